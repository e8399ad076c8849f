"""Checksums of uploads in parts, against values computed from the algorithms' definitions and by other libraries."""

from __future__ import annotations

import base64
import functools
import hashlib
import random
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.api.s3.harness import S3, failing

FIVE = 5 * 1024 * 1024
DATA = random.Random(7).randbytes(FIVE) + b"the end"
PIECES = (DATA[:FIVE], DATA[FIVE:])
NUMBERS = (3, 9_999)  # neither in order nor without gaps


def crc(data: bytes, polynomial: int, bits: int) -> bytes:
    """A reflected CRC that begins and ends with all bits flipped; ``polynomial`` reflected."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    flipped = state = (1 << bits) - 1
    for byte in data:
        state = state >> 8 ^ table[(state ^ byte) & 0xFF]
    return (state ^ flipped).to_bytes(bits // 8)


DIGESTS: Mapping[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4),
    "CRC32C": functools.cache(lambda data: crc(data, 0x82F63B78, 32)),
    "CRC64NVME": functools.cache(lambda data: crc(data, 0x9A6C9329AC4BC9B5, 64)),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(("algorithm", "check"), [("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")])
def test_the_test_s_own_algorithms(algorithm: str, check: str) -> None:
    """The check values of the catalogue of parametrised CRC algorithms."""
    assert DIGESTS[algorithm](b"123456789").hex() == check


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("CRC32", "COMPOSITE"),
        ("CRC32", "FULL_OBJECT"),
        ("CRC32C", "COMPOSITE"),
        ("CRC32C", "FULL_OBJECT"),
        ("CRC64NVME", "FULL_OBJECT"),
        ("SHA1", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
    ],
)
async def test_checksums_of_parts_and_of_the_whole(s3: S3, bucket: str, algorithm: str, kind: str) -> None:
    digest, member = DIGESTS[algorithm], f"Checksum{algorithm}"
    made = await s3("CreateMultipartUpload", Bucket=bucket, Key="key", ChecksumAlgorithm=algorithm, ChecksumType=kind)
    upload = {"Bucket": bucket, "Key": "key", "UploadId": made["UploadId"]}
    stated = [text(digest(piece)) for piece in PIECES]
    parts: list[dict[str, Any]] = []
    for number, piece, value in reversed(list(zip(NUMBERS, PIECES, stated, strict=True))):
        wrong = text(digest(b"other"))
        await failing(s3("UploadPart", **upload, PartNumber=number, Body=piece, **{member: wrong}), "BadDigest", 400)
        part = await s3("UploadPart", **upload, PartNumber=number, Body=piece, **{member: value})
        assert part[member] == value
        parts.insert(0, {"PartNumber": number, "ETag": part["ETag"], member: value})
    whole = text(digest(DATA))
    if kind == "COMPOSITE":
        whole = f"{text(digest(b''.join(map(digest, PIECES))))}-2"
    swapped = [{**parts[0], member: stated[1]}, parts[1]]
    await failing(s3("CompleteMultipartUpload", **upload, MultipartUpload={"Parts": swapped}), "InvalidPart", 400)
    listed = {"MultipartUpload": {"Parts": parts}}
    lie = {member: text(digest(b"other"))}
    await failing(s3("CompleteMultipartUpload", **upload, **listed, **lie), "BadDigest", 400)
    told = await s3("CompleteMultipartUpload", **upload, **listed, **{member: whole})
    assert (told[member], told["ChecksumType"]) == (whole, kind)
    head = await s3("HeadObject", Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (head[member], head["ChecksumType"], head["ContentLength"]) == (whole, kind, len(DATA))
    assert await s3.bytes(Bucket=bucket, Key="key") == DATA


async def test_parts_are_told_page_by_page(s3: S3, bucket: str) -> None:
    made = await s3("CreateMultipartUpload", Bucket=bucket, Key="key", ChecksumAlgorithm="SHA256")
    upload = {"Bucket": bucket, "Key": "key", "UploadId": made["UploadId"]}
    pieces = {1: bytes(FIVE), 2: bytes(FIVE), 5: bytes(FIVE), 10_000: b"end"}
    parts: list[dict[str, Any]] = []
    for number, piece in pieces.items():
        sent = await s3(
            "UploadPart", **upload, PartNumber=number, Body=piece, ChecksumSHA256=text(DIGESTS["SHA256"](piece))
        )
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]})
    await s3("CompleteMultipartUpload", **upload, MultipartUpload={"Parts": parts})
    found, marker, truncated = [], 0, True
    while truncated:
        told = await s3(
            "GetObjectAttributes",
            Bucket=bucket,
            Key="key",
            ObjectAttributes=["ObjectParts"],
            MaxParts=3,
            PartNumberMarker=marker,
        )
        page = told["ObjectParts"]
        assert (page["TotalPartsCount"], page["PartNumberMarker"], page["MaxParts"]) == (4, marker, 3)
        found += [(each["PartNumber"], each["Size"], each["ChecksumSHA256"]) for each in page["Parts"]]
        marker, truncated = page["NextPartNumberMarker"], page["IsTruncated"]
    assert found == [(n, len(piece), text(DIGESTS["SHA256"](piece))) for n, piece in pieces.items()]
    # partNumber of GetObject counts the parts that the object has, as those who download it part by part expect.
    for index, piece in enumerate(pieces.values(), 1):
        assert (await s3("HeadObject", Bucket=bucket, Key="key", PartNumber=index))["ContentLength"] == len(piece)
