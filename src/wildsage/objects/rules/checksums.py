"""Checksums of requests and answers (S3 User Guide, "Checking object integrity").

An upload states at most one checksum, in a header or in a trailer after its body; what is stated is verified before
anything becomes visible.  An upload that states none gets CRC64NVME, as in AWS.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wildsage.core.errors import ApiError
from wildsage.objects.base import Blob
from wildsage.objects.digests import ALGORITHMS, CRC64NVME, LINEAR, combine, digest
from wildsage.objects.rules import errors

Document = dict[str, Any]
DEFAULT: Final = CRC64NVME
FULL_OBJECT: Final = "FULL_OBJECT"
COMPOSITE: Final = "COMPOSITE"
_NAMES: Final = (*sorted(ALGORITHMS), "XXHASH64", "XXHASH3", "XXHASH128")
_MEMBERS: Final = {f"Checksum{name}": name for name in _NAMES}
_STATING: Final = frozenset({*_MEMBERS, "ChecksumAlgorithm", "ContentMD5"})
_HEADERS: Final = {f"x-amz-checksum-{name.lower()}": name for name in _NAMES}


@dataclass(frozen=True, slots=True)
class Demand:
    """What an upload states. ``stated``: algorithm → base64; ``trailing``: the algorithm whose value follows the body.

    ``md5``: base64 of Content-MD5.
    """

    algorithm: str | None
    stated: Mapping[str, str] = field(default_factory=dict)
    trailing: str | None = None
    md5: str | None = None


NONE: Final = Demand(None)


def known(algorithm: str) -> str:
    """Raises InvalidRequest or NotImplemented for an algorithm that is not computed here."""
    upper = algorithm.upper()
    if upper not in _NAMES:
        raise errors.invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types"
        )
    if upper not in ALGORITHMS:
        raise errors.not_implemented(f"the checksum algorithm {upper}")
    return upper


def read_demand(request: Document, trailer: str | None, from_client: bool) -> Demand:
    """What the request states; ``trailer``: the x-amz-trailer header. Raises for what contradicts itself."""
    if not trailer and _STATING.isdisjoint(request):
        return NONE
    stated = {name: request[member] for member, name in _MEMBERS.items() if request.get(member) is not None}
    trailing = _HEADERS.get((trailer or "").strip().lower())
    if trailer and trailing is None:
        raise errors.invalid_request("The value specified in the x-amz-trailer header is not supported")
    if len(stated) + (trailing is not None) > 1:
        raise errors.invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    named = request.get("ChecksumAlgorithm")
    used = next(iter(stated), trailing)
    if named is not None and used is None and from_client:
        raise errors.invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found."
        )
    if named is not None and used is not None and known(named) != used:
        raise errors.invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    for name, value in stated.items():
        decode(value, name)
    md5 = request.get("ContentMD5")
    if md5 is not None and len(_decode(md5) or b"") != 16:
        raise ApiError("InvalidDigest", "The Content-MD5 you specified is not valid.", 400, {"Content-MD5": md5})
    algorithm = used or named
    return Demand(None if algorithm is None else known(algorithm), stated, trailing, md5)


def verify(demand: Demand, blob: Blob, trailers: Mapping[str, str]) -> None:
    """Compares what was stated with what arrived. Raises BadDigest, InvalidRequest or MalformedTrailerError."""
    if demand.md5 is not None and _decode(demand.md5) != blob.md5:
        raise errors.bad_digest("Content-MD5")
    stated = dict(demand.stated)
    if demand.trailing is not None:
        value = trailers.get(f"x-amz-checksum-{demand.trailing.lower()}")
        if value is None:
            raise ApiError("MalformedTrailerError", "The request contained trailing data that was not well-formed", 400)
        stated[demand.trailing] = value
    for name, value in stated.items():
        if decode(value, name) != blob.checksums[name]:
            raise ApiError("BadDigest", f"The {name} you specified did not match the calculated checksum.", 400)


def decode(value: str, algorithm: str) -> bytes:
    """The raw digest; raises InvalidRequest for text that cannot be one."""
    raw = _decode(value)
    if raw is None or len(raw) != len(digest(known(algorithm), b"")):
        raise errors.invalid_request(f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")
    return raw


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def encode_all(checksums: Mapping[str, bytes]) -> dict[str, str]:
    """As the index keeps them: algorithm → base64."""
    return {name: encode(raw) for name, raw in checksums.items()}


def members(document: Document) -> Document:
    """The checksum members of an answer about the object of ``document``."""
    checksums: Mapping[str, str] = document.get("Checksums", {})
    found: Document = {f"Checksum{name}": value for name, value in checksums.items()}
    if found:
        found["ChecksumType"] = document.get("ChecksumType", FULL_OBJECT)
    return found


def algorithms(document: Document) -> Document:
    """The checksum members of an entry of a listing."""
    names = list(document.get("Checksums", {}))
    if not names:
        return {}
    return {"ChecksumAlgorithm": names, "ChecksumType": document.get("ChecksumType", FULL_OBJECT)}


def type_for(algorithm: str, asked: str | None) -> str:
    """The checksum type of a multipart upload. Raises InvalidRequest for a pair that S3 does not have."""
    chosen = asked or (FULL_OBJECT if algorithm == CRC64NVME else COMPOSITE)
    if (chosen == FULL_OBJECT and algorithm not in LINEAR) or (chosen == COMPOSITE and algorithm == CRC64NVME):
        raise errors.invalid_request(
            f"The {chosen} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return chosen


def of_parts(algorithm: str, kind: str, parts: Iterable[tuple[bytes, int]]) -> str:
    """The checksum of a completed upload, from digest and size of each part."""
    listed = list(parts)
    if kind == FULL_OBJECT:
        return encode(combine(algorithm, listed))
    return f"{encode(digest(algorithm, b''.join(raw for raw, _ in listed)))}-{len(listed)}"


def _decode(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
