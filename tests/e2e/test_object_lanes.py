"""The two ways to S3's objects, the objects process and control, answer alike: the same requests are sent to both."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.conftest import Server
from wildsage.wire import sigv4
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import BytesBody, Headers, Request, Response
from wildsage.wire.sigv4 import Credentials

BUCKET = "two-lanes"
VERSIONED = "two-lanes-versioned"
# What belongs to one answer only.
OWN = ("date", "x-amz-request-id", "x-amz-id-2", "connection")


@dataclass
class Lanes:
    """Sends signed requests to the port and to control itself."""

    server: Server
    root: Credentials
    client: Client = field(default_factory=Client)

    @property
    def host(self) -> str:
        return self.server.url.removeprefix("http://")

    async def send(
        self,
        direct: bool,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        **options: Any,
    ) -> Response:
        """``direct``: to control. ``credentials``, ``region``, ``presigned``, ``payload_hash``: of the signature."""
        listed = list((headers or {}).items())
        request = Request(method, target, [("host", self.host), *listed], BytesBody(body))
        if body or method == "PUT":
            request.headers.append(("content-length", str(len(body))))
        signer, region = options.get("credentials", self.root), options.get("region", "us-east-1")
        if options.get("presigned"):
            request.headers = [("host", self.host)]
            request.target = sigv4.presign(request, signer, region, "s3", time.time())
            request.headers += listed
        else:
            hashed = options.get("payload_hash") or hashlib.sha256(body).hexdigest()
            sigv4.sign(request, signer, region, "s3", time.time(), hashed)
        request.headers += options.get("unsigned", [])
        control = f"unix:{self.server.data / 'run' / 'control.sock'}"
        response = await self.client.send(control if direct else f"tcp:{self.host}", request)
        if not isinstance(response.body, bytes):
            response.body = b"".join([chunk async for chunk in response.body])  # type: ignore[union-attr]
        return response

    async def answered(self) -> int:
        """How many requests the objects process has answered itself."""
        address = f"unix:{self.server.data / 'run' / 'objects-routes.sock'}"
        response = await self.client.send(address, Request("GET", "/counters", [("host", "objects")], BytesBody()))
        assert isinstance(response.body, bytes)
        return int(json.loads(response.body)["answered"])

    async def same(self, *words: Any, fast: bool | None = None, **options: Any) -> Response:
        """The answer, which must be the same both ways. ``fast``: whether the objects process gave it itself."""
        before = await self.answered()
        quick = await self.send(False, *words, **options)
        if fast is not None:
            assert (await self.answered() - before == 1) is fast, words
        slow = await self.send(True, *words, **options)
        assert quick.status == slow.status, (words, quick.body, slow.body)
        assert _comparable(quick) == _comparable(slow)
        return quick


def _comparable(response: Response) -> tuple[Headers, bytes]:
    """Headers in their order and the body, without what is of this one answer."""
    ids = [value for name, value in response.headers if name in OWN]
    body = response.body
    assert isinstance(body, bytes)
    for value in ids:
        body = body.replace(value.encode(), b"-")
    return [header for header in response.headers if header[0] not in OWN], body


def _await_objects(server: Server) -> None:
    """The objects process is the last to start."""
    deadline = time.monotonic() + 60
    while not (server.data / "run" / "objects-door.sock").exists():
        assert time.monotonic() < deadline, "there is no objects process"
        time.sleep(0.02)


@pytest.fixture
async def lanes(server: Server) -> AsyncIterator[Lanes]:
    found = Lanes(server, Credentials(*server.root_key))
    await asyncio.to_thread(_await_objects, server)
    s3 = server.client("s3")
    try:
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket=VERSIONED)
        s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
    yield found
    found.client.close()


@pytest.fixture
def stored(server: Server, lanes: Lanes) -> str:
    """An object with everything that an answer can tell."""
    server.client("s3").put_object(
        Bucket=BUCKET,
        Key="told/a b+ü.txt",
        Body=bytes(range(256)) * 16,
        CacheControl="no-cache",
        ContentDisposition='attachment; filename="ü.txt"'.encode().decode("latin-1"),
        ContentEncoding="gzip",
        ContentLanguage="de",
        ContentType="text/plain; charset=utf-8",
        Metadata={"color": "blue", "Shape": "round"},
        Tagging="a=1&b=2",
        ChecksumAlgorithm="SHA256",
    )
    return f"/{BUCKET}/{quote('told/a b+ü.txt')}"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"x-amz-checksum-mode": "enabled"}, 200),
        ({"range": "bytes=0-99"}, 206),
        ({"range": "bytes=4000-"}, 206),
        ({"range": "bytes=-1"}, 206),
        ({"range": "bytes=0-0"}, 206),
        ({"range": "bytes=5-2"}, 200),
        ({"range": "lines=1-2"}, 200),
        ({"range": "bytes=0-1,3-4"}, 200),
        ({"range": "bytes=9999-"}, 416),
        ({"if-none-match": '"other"'}, 200),
        ({"if-match": '"other"'}, 412),
        ({"if-match": "*"}, 200),
        ({"if-none-match": "*"}, 304),
        ({"if-modified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200),
        ({"if-modified-since": "Sat, 01 Jan 2095 00:00:00 GMT"}, 304),
        ({"if-unmodified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 412),
        ({"if-modified-since": "yesterday"}, 400),
        ({"origin": "http://example.com"}, 200),
        ({"x-amz-expected-bucket-owner": "000000000000"}, 200),
        ({"x-amz-expected-bucket-owner": "111111111111"}, 403),
        ({"x-amz-server-side-encryption": "AES256"}, 400),
    ],
)
async def test_reads_with_headers(
    lanes: Lanes, stored: str, method: str, headers: Mapping[str, str], status: int
) -> None:
    answer = await lanes.same(method, stored, headers)
    assert answer.status == status


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("query", "fast"),
    [
        ("x-id=GetObject", None),
        ("x-id=PutObject", None),
        ("response-content-type=text%2Fhtml&response-cache-control=max-age%3D1+2", True),
        ("response-content-disposition=a%0D%0Ab%3A+c", True),
        ("response-content-language=&response-content-encoding=br", None),
        ("response-expires=Sat%2C+01+Jan+2000+00%3A00%3A00+GMT", False),
        ("response-content-type=%ff", False),
        ("partNumber=1", False),
        ("partNumber=2", False),
        ("versionId=null", False),
        ("versionId=none", False),
        ("tagging", False),
        ("unknown=1", False),
    ],
)
async def test_reads_with_parameters(lanes: Lanes, stored: str, method: str, query: str, fast: bool | None) -> None:
    await lanes.same(method, f"{stored}?{query}", fast=fast)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_plain_reads_are_answered_by_the_objects_process(lanes: Lanes, stored: str, method: str) -> None:
    role = lanes.server.environment
    session = Credentials(role["AWS_ACCESS_KEY_ID"], role["AWS_SECRET_ACCESS_KEY"], role["AWS_SESSION_TOKEN"])
    for options in ({}, {"credentials": session}, {"presigned": True}):
        answer = await lanes.same(method, stored, fast=True, **options)
        assert answer.status == 200


async def test_other_services_on_a_connection_of_s3(lanes: Lanes, stored: str) -> None:
    assert (await lanes.send(False, "GET", stored)).status == 200  # the client keeps the connection
    request = Request("POST", "/endpoints/none/invocations", [("host", lanes.host)], BytesBody(b"1"))
    request.headers.append(("content-length", "1"))
    sigv4.sign(request, lanes.root, "us-east-1", "sagemaker", time.time(), hashlib.sha256(b"1").hexdigest())
    answer = await lanes.client.send(f"tcp:{lanes.host}", request)
    assert answer.status == 400
    assert isinstance(answer.body, bytes)
    assert b"Endpoint none of account" in answer.body
    assert (await lanes.send(False, "GET", "/_wildsage/health")).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_wrong_signatures(lanes: Lanes, stored: str, method: str) -> None:
    wrong = [
        Credentials("AKIAUNKNOWN", "x"),
        lanes.root._replace(secret="wrong"),
        lanes.root._replace(token="no token"),
    ]
    for credentials in wrong:
        for presigned in (False, True):
            answer = await lanes.same(method, stored, credentials=credentials, presigned=presigned, fast=False)
            assert answer.status in (400, 403)
    assert (await lanes.same(method, stored, payload_hash="0" * 64)).status in (400, 403)
    assert (await lanes.same(method, stored, payload_hash="none", fast=False)).status in (400, 403)
    assert (await lanes.same(method, stored, region="eu-west-1", fast=False)).status == 301
    assert (await lanes.same(method, stored, unsigned=[("x-amz-meta-a", "b")], fast=False)).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_not_there(lanes: Lanes, method: str) -> None:
    s3 = lanes.server.client("s3")
    s3.put_object(Bucket=VERSIONED, Key="gone", Body=b"x")
    s3.delete_object(Bucket=VERSIONED, Key="gone")
    for target in (f"/{BUCKET}/none", "/no-such-bucket-anywhere/a", f"/{VERSIONED}/gone", f"/{BUCKET}", f"/{BUCKET}/"):
        await lanes.same(method, target, fast=False)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_other_kinds_of_objects(lanes: Lanes, method: str) -> None:
    s3 = lanes.server.client("s3")
    s3.put_object(Bucket=VERSIONED, Key="versions", Body=b"x")
    await lanes.same(method, f"/{VERSIONED}/versions", fast=True)
    s3.put_object(Bucket=BUCKET, Key="sealed", Body=b"x", ServerSideEncryption="AES256")
    await lanes.same(method, f"/{BUCKET}/sealed", fast=False)
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    await lanes.same(method, f"/{BUCKET}/empty", fast=True)
    await lanes.same(method, f"/{BUCKET}/empty", {"range": "bytes=0-1"})
    s3.put_object(Bucket=BUCKET, Key="cold", Body=b"x", StorageClass="STANDARD_IA")
    await lanes.same(method, f"/{BUCKET}/cold", fast=True)
    s3.put_object(Bucket=BUCKET, Key="large", Body=b"abc" * 500_000)
    await lanes.same(method, f"/{BUCKET}/large", fast=True)
    await lanes.same(method, f"/{BUCKET}/large", {"range": "bytes=7-900000"}, fast=True)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    where = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
    part = s3.upload_part(**where, PartNumber=1, Body=b"whole")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    await lanes.same(method, f"/{BUCKET}/parts", {"x-amz-checksum-mode": "ENABLED"}, fast=True)


async def test_buckets_with_rules_of_their_own(lanes: Lanes) -> None:
    s3 = lanes.server.client("s3")
    for name in ("two-lanes-policy", "two-lanes-lifecycle"):
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="a", Body=b"x")
        await lanes.same("GET", f"/{name}/a", fast=True)
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::two-lanes-policy/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket="two-lanes-policy", Policy=policy)
    assert (await lanes.same("GET", "/two-lanes-policy/a", fast=False)).status == 403
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}}
    s3.put_bucket_lifecycle_configuration(Bucket="two-lanes-lifecycle", LifecycleConfiguration={"Rules": [rule]})
    answer = await lanes.same("GET", "/two-lanes-lifecycle/a", fast=False)
    assert answer.header("x-amz-expiration") is not None


async def test_policies_are_in_force_at_once(lanes: Lanes, stored: str) -> None:
    iam = lanes.server.client("iam")
    iam.create_user(UserName="lane-user")
    made = iam.create_access_key(UserName="lane-user")["AccessKey"]
    user = Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    def put(effect: str, **more: Any) -> None:
        statement = {"Effect": effect, "Action": "s3:Get*", "Resource": f"arn:aws:s3:::{BUCKET}/*", **more}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="lane-user", PolicyName=effect, PolicyDocument=document)

    assert (await lanes.same("GET", stored, credentials=user, fast=False)).status == 403
    put("Allow")
    assert (await lanes.same("GET", stored, credentials=user, fast=True)).status == 200
    put("Deny", Condition={"StringEquals": {"aws:username": "somebody-else"}})
    assert (await lanes.same("GET", stored, credentials=user, fast=False)).status == 200
    put("Deny")
    assert (await lanes.same("GET", stored, credentials=user, fast=False)).status == 403
    iam.delete_user_policy(UserName="lane-user", PolicyName="Deny")
    assert (await lanes.same("GET", stored, credentials=user, fast=True)).status == 200
    iam.delete_access_key(UserName="lane-user", AccessKeyId=made["AccessKeyId"])
    assert (await lanes.same("GET", stored, credentials=user, fast=False)).status == 403


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def chunked(data: bytes, trailer: str = "") -> bytes:
    """An unsigned ``aws-chunked`` body."""
    first = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
    return b"%b0\r\n%b\r\n" % (first, trailer.encode())


UNSIGNED_TRAILER = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "content-encoding": "aws-chunked"}
DATA = b"plain bytes"
LONG = bytes(range(256)) * 1024


@pytest.mark.parametrize(
    ("headers", "data", "status", "fast"),
    [
        ({}, DATA, 200, True),
        ({}, b"", 200, True),
        ({}, LONG, 200, True),
        ({"content-type": "text/plain", "cache-control": "no-cache", "content-language": "de"}, DATA, 200, True),
        ({"content-disposition": "inline", "content-encoding": "gzip, aws-chunked"}, DATA, 200, True),
        ({"x-amz-meta-color": "blue", "x-amz-meta-size": "7"}, DATA, 200, True),
        ({"x-amz-meta-empty": ""}, DATA, 200, False),
        ({"x-amz-meta-large": "x" * 2100}, DATA, 400, False),
        ({"expires": "Sat, 01 Jan 2095 00:00:00 GMT"}, DATA, 200, False),
        ({"content-md5": base64.b64encode(hashlib.md5(DATA).digest()).decode()}, DATA, 200, True),
        ({"content-md5": base64.b64encode(hashlib.md5(b"").digest()).decode()}, DATA, 400, False),
        ({"content-md5": base64.b64encode(hashlib.md5(b"").digest()).decode()}, LONG, 400, True),
        ({"content-md5": "none"}, DATA, 400, False),
        ({"x-amz-checksum-crc32": crc32(DATA), "x-amz-sdk-checksum-algorithm": "CRC32"}, DATA, 200, True),
        ({"x-amz-checksum-crc32": crc32(LONG)}, LONG, 200, True),
        ({"x-amz-checksum-crc32": crc32(b"")}, DATA, 400, False),
        ({"x-amz-checksum-crc32": crc32(b"")}, LONG, 400, True),
        ({"x-amz-checksum-crc32": "?"}, DATA, 400, False),
        ({"x-amz-checksum-xxhash64": "AAAAAAAAAAA="}, DATA, 501, False),
        ({"x-amz-sdk-checksum-algorithm": "SHA1"}, DATA, 400, False),
        ({"if-none-match": "*"}, DATA, 412, True),
        ({"if-match": "*"}, DATA, 200, True),
        ({"if-match": '"other"'}, LONG, 412, True),
        ({"x-amz-acl": "private"}, DATA, 400, False),
        ({"x-amz-tagging": "a=b"}, DATA, 200, False),
        ({"x-amz-storage-class": "STANDARD_IA"}, DATA, 200, False),
        ({"x-amz-server-side-encryption": "AES256"}, DATA, 200, False),
        ({"origin": "http://example.com"}, DATA, 200, False),
        ({"x-amz-expected-bucket-owner": "111111111111"}, DATA, 403, False),
    ],
)
async def test_writes(lanes: Lanes, headers: Mapping[str, str], data: bytes, status: int, fast: bool) -> None:
    lanes.server.client("s3").put_object(Bucket=BUCKET, Key="written/w", Body=b"before")
    answer = await lanes.same("PUT", f"/{BUCKET}/written/w", headers, data, fast=fast)
    assert answer.status == status
    if status == 200 and "if-match" not in headers:
        for key, direct in (("quick", False), ("slow", True)):
            assert (await lanes.send(direct, "PUT", f"/{BUCKET}/{key}", headers, data)).status == 200
        told = [await lanes.send(True, "GET", f"/{BUCKET}/{key}") for key in ("quick", "slow")]
        (first, body), (second, other) = [_comparable(each) for each in told]
        assert body == other == data
        assert [h for h in first if h[0] != "last-modified"] == [h for h in second if h[0] != "last-modified"]


@pytest.mark.parametrize("data", [DATA, b"", LONG])
@pytest.mark.parametrize(("trailer", "right"), [("", True), ("crc32", True), ("crc32", False), ("missing", False)])
async def test_writes_in_chunks(lanes: Lanes, data: bytes, trailer: str, right: bool) -> None:
    headers = {**UNSIGNED_TRAILER, "x-amz-decoded-content-length": str(len(data))}
    line = ""
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        stated = crc32(data if right else data + b".")
        line = f"x-amz-checksum-crc32:{stated}\r\n" if trailer == "crc32" else ""
    body = chunked(data, line)
    hashed = UNSIGNED_TRAILER["x-amz-content-sha256"]
    answer = await lanes.same("PUT", f"/{BUCKET}/chunks", headers, body, payload_hash=hashed, fast=True)
    assert answer.status == (200 if right else 400)
    if right:
        assert (await lanes.same("GET", f"/{BUCKET}/chunks")).body == data


@pytest.mark.parametrize("data", [DATA, LONG])
async def test_writes_with_other_signatures(lanes: Lanes, data: bytes) -> None:
    target = f"/{BUCKET}/signed"
    assert (await lanes.same("PUT", target, {}, data, payload_hash="UNSIGNED-PAYLOAD", fast=True)).status == 200
    assert (await lanes.same("PUT", target, {}, data, presigned=True, fast=True)).status == 200
    assert (await lanes.same("PUT", target, {}, data, payload_hash="0" * 64)).status == 400
    assert (await lanes.same("PUT", target, {}, data, payload_hash="none")).status == 400
    wrong = lanes.root._replace(secret="wrong")
    assert (await lanes.same("PUT", target, {}, data, credentials=wrong, fast=False)).status == 403
    assert (await lanes.same("PUT", target, {}, data, region="eu-west-1", fast=False)).status == 301
    assert (await lanes.same("PUT", f"/{BUCKET}/{'k' * 1025}", {}, data, fast=False)).status == 400
    assert (await lanes.same("PUT", "/no-such-bucket-anywhere/a", {}, data, fast=False)).status == 404
    assert (await lanes.same("PUT", f"{target}?tagging", {}, b"<Tagging/>", fast=False)).status in (200, 400)


async def test_writes_into_other_buckets(lanes: Lanes) -> None:
    s3 = lanes.server.client("s3")
    answer = await lanes.send(False, "PUT", f"/{VERSIONED}/v", {}, DATA)
    slow = await lanes.send(True, "PUT", f"/{VERSIONED}/v", {}, DATA)
    assert [name for name, _ in answer.headers if name != "connection"] == [name for name, _ in slow.headers]
    listed = s3.list_object_versions(Bucket=VERSIONED, Prefix="v")["Versions"]
    versions = [version["VersionId"] for version in listed if version["Key"] == "v"]
    assert versions == [slow.header("x-amz-version-id"), answer.header("x-amz-version-id")]
    s3.create_bucket(Bucket="two-lanes-sealing")
    await lanes.same("PUT", "/two-lanes-sealing/a", {}, DATA, fast=True)
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    s3.put_bucket_encryption(Bucket="two-lanes-sealing", ServerSideEncryptionConfiguration={"Rules": rules})
    # The objects process may still take the bucket for what it was, and finds out in its transaction.
    answer = await lanes.same("PUT", "/two-lanes-sealing/a", {}, DATA)
    assert answer.header("x-amz-server-side-encryption") == "AES256"
    await lanes.same("PUT", "/two-lanes-sealing/a", {}, DATA, fast=False)
    s3.create_bucket(Bucket="two-lanes-gone")
    await lanes.same("PUT", "/two-lanes-gone/a", {}, DATA, fast=True)
    s3.delete_object(Bucket="two-lanes-gone", Key="a")
    s3.delete_bucket(Bucket="two-lanes-gone")
    assert (await lanes.same("PUT", "/two-lanes-gone/a", {}, DATA)).status == 404


TAGGED = {"x-amz-tagging": "a=b"}


@pytest.mark.parametrize(
    ("method", "target", "headers", "data", "fast"),
    [
        ("GET", "", {}, b"", True),
        ("HEAD", "", {}, b"", True),
        ("GET", "", {"range": "bytes=3-900"}, b"", True),
        ("GET", "", {"if-match": '"other"'}, b"", False),
        ("GET", "?tagging", {}, b"", False),
        ("GET", "-none", {}, b"", False),
        ("PUT", "-put", {"x-amz-meta-a": "b"}, DATA, True),
        ("PUT", "-put", {"x-amz-checksum-crc32": crc32(LONG)}, LONG, True),
        ("PUT", "-put", TAGGED, DATA, False),
        ("PUT", "-put", {"content-md5": "none"}, DATA, False),
    ],
)
async def test_the_same_through_tls(
    lanes: Lanes, stored: str, method: str, target: str, headers: Mapping[str, str], data: bytes, fast: bool
) -> None:
    context = ssl.create_default_context(cafile=lanes.server.environment["AWS_CA_BUNDLE"])
    request = Request(method, stored + target, [("host", lanes.host), *headers.items()], BytesBody(data))
    sigv4.sign(request, lanes.root, "us-east-1", "s3", time.time(), hashlib.sha256(data).hexdigest())
    before = await lanes.answered()
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=60) as client:
        url = f"https://{lanes.host}{stored}{target}"
        async with client.stream(method, url, headers=request.headers, content=data or None) as quick:
            body = b"".join([chunk async for chunk in quick.aiter_raw()])  # the object says that it is gzip, and lies
    assert (await lanes.answered() - before == 1) is fast
    slow = await lanes.send(True, method, stored + target, headers, data)
    told = [(name.decode().lower(), value.decode("latin-1")) for name, value in quick.headers.raw]
    assert quick.status_code == slow.status
    assert _comparable(Response(quick.status_code, told, body)) == _comparable(slow)
