"""Requests that no client would send: each is refused in S3's words, and nothing of it stays."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.s3.chunked import Chunks
from tests.api.s3.raw import Headers, Raw
from tests.conftest import Server

BODY = b"hello world" * 1000
CRC = ("x-amz-checksum-crc32", base64.b64encode(zlib.crc32(BODY).to_bytes(4)).decode())
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def raw(server: Server) -> Raw:
    return Raw(server)


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(server: Server, s3: Any) -> Iterator[str]:
    """Whatever happens to it, its object ``old`` stays what it is, and no file is left half written."""
    name = f"hostile-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="old", Body=b"0123456789")
    yield name
    assert s3.get_object(Bucket=name, Key="old")["Body"].read() == b"0123456789"
    assert not list((server.data / "objects").glob(f".incoming*/{name}~*"))


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    "chunks",
    [
        Chunks(BODY),
        Chunks(BODY, trailer=CRC),
        Chunks(BODY, trailer=CRC, signed=False),
        Chunks(b""),
        Chunks(BODY, step=1 << 20),
    ],
)
def test_chunks_as_they_should_be(raw: Raw, s3: Any, bucket: str, chunks: Chunks, together: bool) -> None:
    assert chunks.put(raw, f"/{bucket}/key", together).status == 200
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == chunks.body


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("chunks", "code"),
    [
        *[(Chunks(BODY, forged=number), "SignatureDoesNotMatch") for number in range(4)],
        (Chunks(BODY, trailer=CRC, forged=-1), "SignatureDoesNotMatch"),
        (Chunks(BODY, excess=1), "SignatureDoesNotMatch"),
        (Chunks(BODY, trailer=CRC, signed=False, excess=3), "InvalidChunkSizeError"),
        (Chunks(BODY, stated="5"), "IncompleteBody"),
        (Chunks(BODY, stated=str(len(BODY) + 1)), "IncompleteBody"),
        (Chunks(BODY, stated="-5"), "MissingContentLength"),
        (Chunks(BODY, stated="many"), "MissingContentLength"),
        (Chunks(BODY, trailer=(CRC[0], "AAAAAA==")), "BadDigest"),
        (Chunks(BODY, trailer=(CRC[0], "AAAAAA=="), signed=False), "BadDigest"),
        (Chunks(BODY, trailer=(CRC[0], "!"), signed=False), "InvalidRequest"),
        (Chunks(BODY, trailer=("x-amz-colour", "blue")), "InvalidRequest"),
    ],
)
def test_chunks_that_lie(raw: Raw, bucket: str, chunks: Chunks, code: str, together: bool) -> None:
    assert chunks.put(raw, f"/{bucket}/old", together).code == code


def test_a_body_that_breaks_off_leaves_nothing(raw: Raw, server: Server, bucket: str) -> None:
    signed = raw.signed("PUT", f"/{bucket}/old", hashlib.sha256(BODY).hexdigest())
    lines = [f"PUT /{bucket}/old HTTP/1.1", *(f"{n}: {v}" for n, v in signed), f"Content-Length: {len(BODY)}", "", ""]
    with raw.connect() as connection:
        connection.sendall("\r\n".join(lines).encode() + BODY[:-5])
    assert raw("GET", f"/{bucket}/old").status == 200  # the fixture looks at what is left


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Content-Length", "-1")], 400),
        ([("Content-Length", "5"), ("Content-Length", "6")], 400),
        ([("Content-Length", "5"), ("Transfer-Encoding", "chunked")], 400),
        ([("Transfer-Encoding", "xchunked")], 400),
        ([("Host", "other"), ("Content-Length", "0")], 400),
        ([("Content-Length", str(6 * 1024**3)), ("Expect", "100-continue")], 400),
        ([("Content-Length", "0"), ("x-amz-meta-a", "not signed")], 403),
        ([("Content-Length", "0"), *[(f"h{n}", "x") for n in range(20_000)]], 431),
        ([("Content-Length", "0"), ("h", "x" * 200_000)], 431),
    ],
)
def test_heads_that_contradict_themselves(raw: Raw, bucket: str, headers: Headers, status: int) -> None:
    target = f"/{bucket}/old"
    signed = raw.signed("PUT", target, hashlib.sha256(b"").hexdigest())
    assert raw.send("PUT", target, [*signed, *headers], []).status == status


def test_a_host_as_long_as_a_head_may_be_keeps_nobody_waiting(raw: Raw) -> None:
    began = time.monotonic()
    assert raw.send("GET", "/", [("Host", "aa-" * 20_000)], []).status == 403
    assert time.monotonic() - began < 20  # it took the square of its length


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (("x-amz-tagging", "aws:owner=me"), "InvalidTag"),
        (("x-amz-website-redirect-location", "javascript:alert(1)"), "InvalidRedirectLocation"),
    ],
)
def test_headers_that_no_object_may_have(raw: Raw, bucket: str, header: tuple[str, str], code: str) -> None:
    assert raw("PUT", f"/{bucket}/old", b"x", [header]).code == code


@pytest.mark.parametrize("name", ["$time", "$bytes"])
def test_metadata_named_as_the_store_marks_its_own(raw: Raw, s3: Any, bucket: str, name: str) -> None:
    assert raw("PUT", f"/{bucket}/marked", b"x", [(f"x-amz-meta-{name}", "v")]).status == 200
    for query in "", "?versionId=null":
        assert raw("GET", f"/{bucket}/marked{query}").headers[f"x-amz-meta-{name}"] == "v"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["marked", "old"]


def test_header_values_in_utf_8(raw: Raw, bucket: str) -> None:
    """S3 takes them for latin-1: headers return as they came, metadata as a word of RFC 2047."""
    body, sent = b"x", {"content-disposition": "attachment; filename=ö", "x-amz-meta-name": "Miniö"}
    for more in {}, {"x-amz-storage-class": "STANDARD"}:  # by the objects process, and by control
        target = f"/{bucket}/utf-8"
        signed = raw.signed("PUT", target, hashlib.sha256(body).hexdigest(), [*sent.items(), *more.items()])
        headers = [(name, value.encode().decode("latin-1")) for name, value in signed]
        assert raw.send("PUT", target, [*headers, ("Content-Length", "1")], [body]).status == 200
        for query in "", "?versionId=null":
            told = raw("GET", f"{target}{query}").headers
            assert told["content-disposition"].encode("latin-1").decode() == sent["content-disposition"]
            assert told["x-amz-meta-name"] == "=?UTF-8?Q?Mini=C3=83=C2=B6?="
    told = raw("GET", f"/{bucket}/old?response-content-disposition=%C3%B6").headers
    assert told["content-disposition"] == "ö"
    assert raw("GET", f"/{bucket}/old?response-content-disposition=%E2%82%AC").code == "InvalidArgument"


DEEP = b"<Delete>" + b"<Object>" * 100_000 + b"</Object>" * 100_000 + b"</Delete>"
ENTITIES = b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><Delete>&b;</Delete>'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<", "MalformedXML"),
        (b"\xff\xfe<\0a\0/\0>\0", "MalformedXML"),
        (ENTITIES, "MalformedXML"),
        (ENTITIES.decode().encode("utf-16"), "MalformedXML"),
        (DEEP, "MalformedXML"),
        (b"<Delete/>", "MalformedXML"),
        (b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>", "MalformedXML"),
        (b"<Delete>" + b"<Object><Key>k</Key></Object>" * 200_000 + b"</Delete>", "MaxMessageLengthExceeded"),
        (b"<Delete><Object><Key>&#0;</Key></Object></Delete>", "MalformedXML"),
    ],
)
def test_xml_that_is_none(raw: Raw, bucket: str, body: bytes, code: str) -> None:
    assert raw("POST", f"/{bucket}?delete", body).code == code


@pytest.mark.parametrize("setting", ["publicAccessBlock", "logging", "website", "notification", "accelerate", "acl"])
def test_a_document_of_another_kind_changes_nothing(raw: Raw, bucket: str, setting: str) -> None:
    before = raw("GET", f"/{bucket}?{setting}").body.partition(b"<RequestId>")[0]
    assert raw("PUT", f"/{bucket}?{setting}", b"<Other/>").code == "MalformedXML"
    assert raw("GET", f"/{bucket}?{setting}").body.partition(b"<RequestId>")[0] == before


ODD = ("", "x", "-1", "0", "1", "2147483648", "9" * 30, "9" * 5000, "1.5", "%00", "%FF", "%ED%A0%80", "%F4%8F%BF%BF")
QUERIES = {
    "list-type=2": ("prefix", "delimiter", "start-after", "continuation-token", "max-keys", "encoding-type"),
    "x-id=ListObjects": ("prefix", "delimiter", "marker", "max-keys"),
    "versions": ("prefix", "delimiter", "key-marker", "version-id-marker", "max-keys"),
    "uploads": ("prefix", "delimiter", "key-marker", "upload-id-marker", "max-uploads"),
}


@pytest.mark.parametrize("query", QUERIES)
def test_listings_of_nonsense(raw: Raw, bucket: str, query: str) -> None:
    for name in QUERIES[query]:
        for value in (*ODD, "a" * 5000, "%2F"):
            answer = raw("GET", f"/{bucket}?{query}&{name}={value}")
            assert answer.status in (200, 400), (query, name, value)


def test_ranges_and_part_numbers_of_nonsense(raw: Raw, bucket: str) -> None:
    asked = [("GET", "partNumber={}"), ("GET", "versionId={}"), ("GET", "uploadId={}"), ("DELETE", "uploadId={}")]
    asked += [("PUT", "uploadId=x&partNumber={}"), ("PUT", "uploadId={}&partNumber=1"), ("POST", "uploadId={}")]
    for value in ODD:
        for method, query in asked:
            answer = raw(method, f"/{bucket}/old?{query.format(value)}")
            assert answer.status in (200, 206, 400, 404, 416), (method, query, value)
    for value in (*ODD, "0-", "-0", "-5", "5-2", "0-0,2-3", "0-" + "9" * 5000, "-" + "9" * 5000, "a-b"):
        header = [("Range", f"bytes={value}")]
        if "%" not in value:
            assert raw("GET", f"/{bucket}/old", b"", header).status in (200, 206, 416), value


def test_lifecycle_beyond_the_end_of_the_calendar(raw: Raw, bucket: str) -> None:
    rule = "<Rule><Status>Enabled</Status><Filter/><Expiration><Days>2147483647</Days></Expiration></Rule>"
    body = f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>".encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    assert raw("PUT", f"/{bucket}?lifecycle", body, [("Content-MD5", md5)]).status == 200
    assert "9999" in raw("GET", f"/{bucket}/old").headers["x-amz-expiration"]


def at_once(*calls: Callable[[], object]) -> list[str]:
    """Makes all calls at the same time; the error code of each, empty for none."""
    barrier, outcomes = threading.Barrier(len(calls)), [""] * len(calls)

    def run(number: int) -> None:
        barrier.wait()
        try:
            calls[number]()
        except ClientError as error:
            outcomes[number] = error.response["Error"]["Code"]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize("disturbance", ["none", "abort", "part"])
def test_one_upload_is_completed_by_many_at_once(server: Server, s3: Any, bucket: str, disturbance: str) -> None:
    clients = [server.client("s3") for _ in range(5)]
    piece = os.urandom(5 * MIB)
    for number in range(3):
        where = {"Bucket": bucket, "Key": f"key{number}"}
        where["UploadId"] = upload = s3.create_multipart_upload(**where)["UploadId"]
        etags = [s3.upload_part(**where, PartNumber=n, Body=piece)["ETag"] for n in (1, 2)]
        listed = {"Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]}
        calls = [partial(each.complete_multipart_upload, **where, MultipartUpload=listed) for each in clients[:4]]
        if disturbance == "abort":
            calls.append(partial(clients[4].abort_multipart_upload, **where))
        elif disturbance == "part":
            calls.append(partial(clients[4].upload_part, **where, PartNumber=1, Body=b"other"))
        outcomes = at_once(*calls)
        del where["UploadId"]
        if "" in outcomes[:4]:
            assert s3.get_object(**where)["Body"].read() == piece * 2
        else:
            with pytest.raises(s3.exceptions.NoSuchKey):
                s3.get_object(**where)
        if disturbance == "none":
            assert outcomes == [""] * 4
        assert set(outcomes) <= {"", "NoSuchUpload", "InvalidPart"}
        if s3.list_multipart_uploads(Bucket=bucket).get("Uploads"):
            assert disturbance == "part"
            s3.abort_multipart_upload(**where, UploadId=upload)


def test_a_reader_goes_on_while_the_object_is_deleted_and_replaced(s3: Any, bucket: str) -> None:
    data = os.urandom(20 * MIB)
    s3.put_object(Bucket=bucket, Key="key", Body=data)
    body = s3.get_object(Bucket=bucket, Key="key")["Body"]
    first = body.read(100)
    s3.delete_object(Bucket=bucket, Key="key")
    s3.put_object(Bucket=bucket, Key="key", Body=b"other")
    assert first + body.read() == data
