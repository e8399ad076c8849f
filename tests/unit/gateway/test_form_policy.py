"""Policies of form uploads that are none."""

from __future__ import annotations

import base64

import pytest

from wildsage.core.errors import ApiError
from wildsage.gateway.form_policy import check_policy


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"expiration": "9999-12-31T23:59:59Z"}'])
def test_documents_that_are_none(text: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        check_policy(base64.b64encode(text).decode(), {}, "bucket", 0.0)
    assert (refused.value.code, refused.value.status) == ("InvalidPolicyDocument", 400)
