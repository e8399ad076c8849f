"""What manifests say, and what they may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wildsage.core.errors import ClientFault
from wildsage.services.sagemaker.instance.inputs.manifests import manifest, record
from wildsage.services.sagemaker.instance.places import Location

URI = "s3://bucket/my.manifest"


def test_a_manifest_is_a_prefix_and_what_comes_after_it() -> None:
    text = b'[{"prefix": "s3://other/some/"}, "one", "deep/two"]'
    assert manifest(text, URI) == (Location("other", "some/"), ["one", "deep/two"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"one\ntwo", "is not JSON: Expecting value"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"{}", "must be a JSON array that begins with"),
        (b'["s3://bucket/a"]', "must be a JSON array that begins with"),
        (b'[{"prefix": 3}, "a"]', "has a prefix that is no S3 URI: 3"),
        (b'[{"prefix": "bucket/a"}, "a"]', "has a prefix that is no S3 URI"),
        (b'[{"prefix": "s3://b/"}, 7]', "has an entry that is no part of a key: 7"),
        (b'[{"prefix": "s3://b/"}]', "names no objects"),
    ],
)
def test_manifests_that_are_none(text: bytes, words: str) -> None:
    with pytest.raises(ClientFault, match=f"^ClientError: Data download failed:The manifest {URI} {words}"):
        manifest(text, URI)


def line(**values: Any) -> bytes:
    return json.dumps(values).encode()


def test_a_line_of_an_augmented_manifest_gives_its_attributes_in_the_order_asked_for() -> None:
    text = line(**{"source-ref": "s3://b/cat.jpg", "class": 1, "line": "Call me", "box": {"x": [1]}, "left": "out"})
    assert record(text, ["class", "source-ref"], URI, 1) == ["1", Location("b", "cat.jpg")]
    assert record(text, ["line", "box"], URI, 1) == ["Call me", '{"x": [1]}']


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "is not in JSON lines format: line 5: "),
        (b"[]", "is not in JSON lines format: line 5 is no JSON object"),
        (line(b=1), "has no attribute a-ref in line 5"),
        (line(**{"a-ref": 7}), "has 7 as a-ref in line 5; that must be s3://bucket/key"),
        (line(**{"a-ref": "s3://bucket"}), "that must be s3://bucket/key"),
        (line(**{"a-ref": "/x" * 200}), "…"),
    ],
)
def test_lines_that_are_none(text: bytes, words: str) -> None:
    with pytest.raises(ClientFault, match=f"^ClientError: Data download failed:The manifest {URI} .*{words}"):
        record(text, ["a-ref"], URI, 5)
