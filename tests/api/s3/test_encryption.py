"""Customers' keys: bytes are sealed on disk, and only the same key opens them."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.api.s3.harness import S3, failing

from wildsage.objects.sealing import PIECE
from wildsage.store.codec import Document

KEY, OTHER = os.urandom(32), os.urandom(32)
TEXT = b"a secret that must not be found on disk "


def customer(key: bytes, prefix: str = "") -> Document:
    """The members that bring a key."""
    return {
        f"{prefix}SSECustomerAlgorithm": "AES256",
        f"{prefix}SSECustomerKey": base64.b64encode(key).decode(),
        f"{prefix}SSECustomerKeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


async def opened(s3: S3, key: bytes, **params: Any) -> bytes:
    body: AsyncIterator[bytes] = (await s3("GetObject", **params, **customer(key)))["Body"]
    return b"".join([chunk async for chunk in body])


def on_disk(s3: S3) -> bytes:
    return b"".join(path.read_bytes() for path in s3.files())


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 40 * PIECE + 7])
async def test_every_size_comes_back_whole_and_in_ranges(s3: S3, bucket: str, size: int) -> None:
    data = (TEXT * (size // len(TEXT) + 1))[:size]
    told = await s3("PutObject", Bucket=bucket, Key="key", Body=data, **customer(KEY))
    assert told["SSECustomerAlgorithm"] == "AES256"
    assert TEXT not in on_disk(s3)
    assert await opened(s3, KEY, Bucket=bucket, Key="key") == data
    for first, last in ((0, 0), (1, 5), (PIECE - 1, PIECE), (PIECE, 3 * PIECE), (size - 1, size + 100)):
        if 0 <= first < size:
            got = await opened(s3, KEY, Bucket=bucket, Key="key", Range=f"bytes={first}-{last}")
            assert got == data[first : last + 1]
    assert (await s3("HeadObject", Bucket=bucket, Key="key", **customer(KEY)))["ContentLength"] == size


async def test_without_the_key_or_with_another_nothing_is_told(s3: S3, bucket: str) -> None:
    await s3("PutObject", Bucket=bucket, Key="key", Body=TEXT, **customer(KEY))
    for operation in ("GetObject", "HeadObject"):
        await failing(s3(operation, Bucket=bucket, Key="key"), "InvalidRequest", 400)
        await failing(s3(operation, Bucket=bucket, Key="key", **customer(OTHER)), "InvalidRequest", 400)
    await s3("PutObject", Bucket=bucket, Key="plain", Body=TEXT)
    await failing(s3("GetObject", Bucket=bucket, Key="plain", **customer(KEY)), "InvalidRequest", 400)


async def test_keys_that_cannot_be(s3: S3, bucket: str) -> None:
    async def put(**params: Any) -> None:
        await s3("PutObject", Bucket=bucket, Key="key", Body=TEXT, **params)

    good = customer(KEY)
    await failing(put(SSECustomerAlgorithm="AES256"), "InvalidArgument", 400)
    await failing(put(**{**good, "SSECustomerAlgorithm": "AES512"}), "InvalidEncryptionAlgorithmError", 400)
    await failing(put(**{**good, "SSECustomerKeyMD5": base64.b64encode(b"0" * 16).decode()}), "InvalidArgument", 400)
    await failing(put(**customer(b"short")), "InvalidArgument", 400)
    await failing(put(**good, ServerSideEncryption="AES256"), "InvalidArgument", 400)


async def test_copies_change_the_key(s3: S3, bucket: str) -> None:
    await s3("PutObject", Bucket=bucket, Key="key", Body=TEXT, **customer(KEY))
    source = {"CopySource": f"{bucket}/key"}
    await failing(s3("CopyObject", Bucket=bucket, Key="copy", **source), "InvalidRequest", 400)
    brought = customer(KEY, "CopySource")
    await s3("CopyObject", Bucket=bucket, Key="copy", **source, **brought, **customer(OTHER))
    assert await opened(s3, OTHER, Bucket=bucket, Key="copy") == TEXT
    await s3("CopyObject", Bucket=bucket, Key="plain", **source, **brought)
    assert await s3.bytes(Bucket=bucket, Key="plain") == TEXT


async def test_parts_are_sealed_and_joined(s3: S3, bucket: str) -> None:
    first, second = os.urandom(5 * 1024 * 1024 + 3), TEXT
    names = {"Bucket": bucket, "Key": "parts"}
    upload = (await s3("CreateMultipartUpload", **names, **customer(KEY)))["UploadId"]
    part = {**names, "UploadId": upload}
    await failing(s3("UploadPart", **part, PartNumber=1, Body=first), "InvalidRequest", 400)
    await failing(s3("UploadPart", **part, PartNumber=1, Body=first, **customer(OTHER)), "InvalidRequest", 400)
    etags = [
        (await s3("UploadPart", **part, PartNumber=number, Body=body, **customer(KEY)))["ETag"]
        for number, body in ((1, first), (2, second))
    ]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    await s3("CompleteMultipartUpload", **part, MultipartUpload={"Parts": parts})
    assert TEXT not in on_disk(s3)
    assert await opened(s3, KEY, **names) == first + second
    around = f"bytes={len(first) - 2}-{len(first) + 1}"
    assert await opened(s3, KEY, **names, Range=around) == (first + second)[len(first) - 2 : len(first) + 2]
    assert await opened(s3, KEY, **names, PartNumber=2) == second


async def test_what_was_changed_on_disk_is_not_given_out(s3: S3, bucket: str) -> None:
    await s3("PutObject", Bucket=bucket, Key="key", Body=TEXT, **customer(KEY))
    (blob,) = s3.files_of(bucket)
    data = bytearray(blob.read_bytes())
    data[0] ^= 1
    blob.write_bytes(data)
    with pytest.raises(OSError, match="changed on disk"):
        await opened(s3, KEY, Bucket=bucket, Key="key")


@pytest.mark.parametrize(
    "asked",
    [
        {"ServerSideEncryption": "AES256"},
        {"ServerSideEncryption": "aws:kms"},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "mine"},
    ],
)
async def test_the_server_s_keys_open_by_themselves(s3: S3, bucket: str, asked: Document) -> None:
    told = await s3("PutObject", Bucket=bucket, Key="key", Body=TEXT, **asked)
    assert asked.items() <= told.items()
    assert TEXT not in on_disk(s3)
    got = await s3("GetObject", Bucket=bucket, Key="key")
    assert b"".join([chunk async for chunk in got["Body"]]) == TEXT
    assert asked.items() <= got.items()


async def test_a_bucket_s_default_encrypts_what_comes_from_then_on(s3: S3, bucket: str) -> None:
    await s3("PutObject", Bucket=bucket, Key="before", Body=TEXT)
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "mine"}}]}
    await s3("PutBucketEncryption", Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    told = await s3("PutObject", Bucket=bucket, Key="after", Body=TEXT)
    assert (told["ServerSideEncryption"], told["SSEKMSKeyId"]) == ("aws:kms", "mine")
    assert await s3.bytes(Bucket=bucket, Key="before") == TEXT
    await s3("CopyObject", Bucket=bucket, Key="copy", CopySource=f"{bucket}/before")
    assert "ServerSideEncryption" in await s3("HeadObject", Bucket=bucket, Key="copy")
