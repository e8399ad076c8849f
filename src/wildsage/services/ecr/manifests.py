"""Manifests: what they are and what they name. Pure.

Source: OCI image specification (manifest.md, image-index.md) and Docker's "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from wildsage.services.ecr.names import DIGEST
from wildsage.store.imageindex import Image, Named

MOST_BYTES: Final = 4 * 1024 * 1024
"""The largest manifest (OCI distribution specification; ECR's ImageManifest)."""
MOST_VALUES: Final = 20_000
"""Of all kinds in a manifest: some five thousand layers, and engines take 127. Reading JSON holds everything else back,
and 4 MiB of brackets would do so for a second."""
DOCKER, DOCKER_LIST = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
OCI, OCI_INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
_LISTS: Final = (DOCKER_LIST, OCI_INDEX)
_KNOWN: Final = (DOCKER, DOCKER_LIST, OCI, OCI_INDEX)
_SIGNED: Final = ("application/vnd.docker.distribution.manifest.v1+json", "application/json")
_ELSEWHERE: Final = ("foreign", "nondistributable")  # layers of such types may be kept by others
_LONGEST: Final = 2**63


class Malformed(Exception):
    """Not a manifest; the words say why."""


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read(data: bytes, declared: str | None, now: float) -> tuple[Image, Named]:
    """The image of a manifest, and what it names. ``declared``: the media type beside it. Raises Malformed."""
    if len(data) > MOST_BYTES:
        raise Malformed(f"a manifest has at most {MOST_BYTES} bytes, and this one {len(data)}")
    if len(data) - len(data.translate(None, b",[{")) > MOST_VALUES:
        raise Malformed(f"a manifest has at most {MOST_VALUES} lists, objects and members, and this one has more")
    try:
        # In UTF-8, as JSON is between systems (RFC 8259, section 8.1): answers of the API have it as text.
        document = json.loads(data.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"it is not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise Malformed("it is not a JSON object")
    media_type = _media_type(document, declared)
    if document.get("schemaVersion") != 2:
        raise Malformed("its schemaVersion is not 2; push the image with a client that is not that old")
    if media_type in _LISTS:
        listed = [_descriptor(each, "manifests")[0] for each in _list(document, "manifests")]
        kind, size, named = _text(document, "artifactType"), 0, Named(images=frozenset(listed))
    else:
        kind, size, named = _of_layers(document)
    subject = document.get("subject")
    about = None if subject is None else _descriptor(subject, "subject")[0]
    return Image(digest_of(data), media_type, kind, about, size, now, manifest=data), named


def _of_layers(document: Mapping[str, Any]) -> tuple[str, int, Named]:
    """Its type, the size of its layers, and what it names."""
    config = document.get("config")
    configuration, _ = _descriptor(config, "config")
    named, size = {configuration}, 0
    for each in _list(document, "layers"):
        digest, length = _descriptor(each, "layers")
        size += length
        if not (each.get("urls") or any(word in str(each.get("mediaType")) for word in _ELSEWHERE)):
            named.add(digest)
    kind = _text(document, "artifactType") or _text(config, "mediaType")
    return kind, min(size, _LONGEST - 1), Named(layers=frozenset(named))


def _media_type(document: Mapping[str, Any], declared: str | None) -> str:
    own = document.get("mediaType")
    given = (declared or "").partition(";")[0].strip()
    if own is not None and not isinstance(own, str):
        raise Malformed("its mediaType is not a string")
    if own and given and given not in _SIGNED and own != given:
        raise Malformed(f"it says that it is {own[:100]}, but was sent as {given[:100]}")
    found = own or (given if given not in _SIGNED else "")
    if not found:  # an OCI manifest need not say what it is
        found = OCI_INDEX if "manifests" in document else OCI
    if found not in _KNOWN:
        raise Malformed(
            f"manifests of the type {found[:100]} are not kept; those of these types are: {', '.join(_KNOWN)}"
        )
    return found


def _descriptor(given: Any, place: str) -> tuple[str, int]:
    """Digest and size."""
    if not isinstance(given, Mapping):
        raise Malformed(f"there must be a descriptor in {place}")
    digest, size = given.get("digest"), given.get("size")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise Malformed(f"the digest {str(digest)[:80]!r} in {place} is not sha256: and 64 hexadecimal digits")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _LONGEST:
        raise Malformed(f"the size {str(size)[:40]} in {place} is not a number of bytes")
    return digest, size


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    if not isinstance(found, list):
        raise Malformed(f"{name} is not a list")
    return found


def _text(document: Any, name: str) -> str:
    """A member that is kept; empty where there is none."""
    found = document.get(name) if isinstance(document, Mapping) else None
    if not isinstance(found, str):
        return ""
    if not found.isprintable():  # no media type, and half a surrogate or a NUL is no text for a database
        raise Malformed(f"the {name} {found[:100]!r} is not a media type")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a value")
