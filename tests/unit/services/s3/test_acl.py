"""Grants as headers have them."""

from __future__ import annotations

import pytest

from wildsage.core.errors import ApiError
from wildsage.services.s3 import acl

(OWNER,) = acl.ids_of(["000000000000"])
PLACE = acl.Place("000000000000", "000000000000", frozenset({OWNER}))


@pytest.mark.parametrize("text", [f'id="{OWNER}"', f"id={OWNER}", f' id = "{OWNER}" '])
def test_a_grantee_with_and_without_quotes(text: str) -> None:
    (grant,) = acl.read({"GrantRead": text}, PLACE)
    assert (grant["Grantee"]["ID"], grant["Permission"]) == (OWNER, "READ")


@pytest.mark.parametrize("text", ["id", "=x", 'id="x"y"', "who=x", 'id="' + " " * 30_000 + '"' + " " * 30_000 + "x"])
def test_what_is_no_grantee_is_refused_at_once(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        acl.read({"GrantRead": text}, PLACE)
    assert refused.value.code == "InvalidArgument"
