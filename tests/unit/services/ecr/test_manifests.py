"""Manifests that nobody means well with."""

from __future__ import annotations

import json

import pytest

from wildsage.services.ecr import manifests
from wildsage.services.ecr.manifests import MOST_BYTES, MOST_VALUES, Malformed

_DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "filling", [b"[],", b"1,", b"{},", b'"":0,', b"["], ids=["lists", "numbers", "objects", "members", "depth"]
)
def test_one_that_would_take_a_second_to_read_is_not_read(filling: bytes) -> None:
    head = b'{"schemaVersion":2,"x":['
    data = head + filling * ((MOST_BYTES - len(head)) // len(filling))
    with pytest.raises(Malformed, match=f"at most {MOST_VALUES} lists, objects and members"):
        manifests.read(data, None, 0.0)


def test_one_with_a_thousand_layers_and_a_long_note_is() -> None:
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": _DIGEST, "size": 1}
    document = {"schemaVersion": 2, "config": layer, "layers": [layer] * 1000, "annotations": {"x": "y" * (3 << 20)}}
    image, named = manifests.read(json.dumps(document).encode(), None, 0.0)
    assert (image.size, named.layers) == (1000, frozenset({_DIGEST}))
