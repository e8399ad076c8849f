"""Stock boto3 against a server whose buckets are kept by another S3: a second Wildsage, or moto."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from tests.api.s3.upstreams import Upstream, in_front_of, moto, wildsage
from tests.conftest import Server

MIB = 1024 * 1024


@dataclass(frozen=True)
class Pair:
    """The server in front (``here``) and the one behind it, each by its client."""

    server: Server
    upstream: Upstream
    here: Any

    @property
    def there(self) -> Any:
        return self.upstream.client


@pytest.fixture(scope="module", params=["wildsage", "moto"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("ws")
    if request.param == "moto":
        with moto(folder / "moto.log") as upstream, in_front_of(upstream.settings(), folder / "front") as server:
            yield Pair(server, upstream, server.client("s3"))
    else:
        with (
            wildsage(folder / "back") as (upstream, _),
            in_front_of(upstream.settings(), folder / "front") as server,
        ):
            yield Pair(server, upstream, server.client("s3"))


@pytest.fixture
def bucket(pair: Pair) -> str:
    name = f"bucket-{uuid.uuid4()}"
    pair.here.create_bucket(Bucket=name)
    return name


def failing(call: Any, code: str, status: int) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    answer: dict[str, Any] = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), answer
    return answer


def test_both_see_the_same_objects(pair: Pair, bucket: str) -> None:
    made = pair.here.put_object(
        Bucket=bucket, Key="a/b é", Body=b"data", Metadata={"colour": "blue"}, ContentType="text/plain", Expires="0"
    )
    told = pair.there.get_object(Bucket=bucket, Key="a/b é")
    assert (told["Body"].read(), told["ETag"], told["Metadata"]) == (b"data", made["ETag"], {"colour": "blue"})
    assert told["ContentType"] == "text/plain"
    pair.there.put_object(Bucket=bucket, Key="theirs", Body=b"from there", ContentEncoding="gzip")
    told = pair.here.get_object(Bucket=bucket, Key="theirs", ChecksumMode="ENABLED")
    assert (told["Body"].read(), told["ContentEncoding"], told["ContentLength"]) == (b"from there", "gzip", 10)
    head = pair.here.head_object(Bucket=bucket, Key="theirs")
    assert (head["ContentLength"], head["LastModified"]) == (10, told["LastModified"])
    assert [each["Key"] for each in pair.here.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/b é", "theirs"]
    assert bucket in [each["Name"] for each in pair.here.list_buckets()["Buckets"]]
    assert bucket in [each["Name"] for each in pair.there.list_buckets()["Buckets"]]
    pair.here.delete_object(Bucket=bucket, Key="theirs")
    failing(lambda: pair.there.head_object(Bucket=bucket, Key="theirs"), "404", 404)


def test_empty_objects(pair: Pair, bucket: str) -> None:
    pair.here.put_object(Bucket=bucket, Key="empty")
    assert pair.here.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    assert pair.there.head_object(Bucket=bucket, Key="empty")["ContentLength"] == 0


def test_ranges_and_conditions(pair: Pair, bucket: str) -> None:
    etag = pair.here.put_object(Bucket=bucket, Key="key", Body=b"0123456789")["ETag"]
    told = pair.here.get_object(Bucket=bucket, Key="key", Range="bytes=2-4")
    assert (told["Body"].read(), told["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 206
    failing(lambda: pair.here.get_object(Bucket=bucket, Key="key", Range="bytes=20-"), "InvalidRange", 416)
    unchanged = failing(lambda: pair.here.get_object(Bucket=bucket, Key="key", IfNoneMatch=etag), "304", 304)
    assert unchanged["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag
    failing(lambda: pair.here.get_object(Bucket=bucket, Key="key", IfMatch='"no"'), "PreconditionFailed", 412)
    failing(lambda: pair.here.put_object(Bucket=bucket, Key="key", IfNoneMatch="*"), "PreconditionFailed", 412)


def test_uploads_in_parts(pair: Pair, bucket: str) -> None:
    data = bytes(range(256)) * (12 * MIB // 256)
    parts = TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB)
    pair.here.upload_fileobj(io.BytesIO(data), bucket, "big", Config=parts)
    assert pair.there.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-3"')
    target = io.BytesIO()
    pair.here.download_fileobj(bucket, "big", target, Config=parts)
    assert target.getvalue() == data
    upload = pair.here.create_multipart_upload(Bucket=bucket, Key="copied")["UploadId"]
    copied = pair.here.upload_part_copy(
        Bucket=bucket, Key="copied", UploadId=upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "big"}
    )
    assert [each["Size"] for each in pair.here.list_parts(Bucket=bucket, Key="copied", UploadId=upload)["Parts"]] == [
        len(data)
    ]
    part = {"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}
    pair.here.complete_multipart_upload(Bucket=bucket, Key="copied", UploadId=upload, MultipartUpload={"Parts": [part]})
    assert pair.there.head_object(Bucket=bucket, Key="copied")["ContentLength"] == len(data)
    upload = pair.here.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    assert [each["Key"] for each in pair.there.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["never"]
    pair.here.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=upload)
    failing(lambda: pair.here.list_parts(Bucket=bucket, Key="never", UploadId=upload), "NoSuchUpload", 404)


def test_listings(pair: Pair, bucket: str) -> None:
    for key in ("a/1", "a/2", "b/1", "c d+e&f", "z"):
        pair.there.put_object(Bucket=bucket, Key=key, Body=b"x")
    page = pair.here.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [each["Prefix"] for each in page["CommonPrefixes"]] == ["a/", "b/"]
    assert [each["Key"] for each in page["Contents"]] == ["c d+e&f", "z"]
    pages = pair.here.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    assert [each["Key"] for page in pages for each in page["Contents"]] == ["a/1", "a/2", "b/1", "c d+e&f", "z"]
    pages = pair.here.get_paginator("list_objects").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    assert [each["Key"] for page in pages for each in page["Contents"]] == ["a/1", "a/2", "b/1", "c d+e&f", "z"]


def test_copies(pair: Pair, bucket: str) -> None:
    pair.here.put_object(Bucket=bucket, Key="from é+%2e", Body=b"data", Metadata={"a": "1"})
    source = {"Bucket": bucket, "Key": "from é+%2e"}
    made = pair.here.copy_object(Bucket=bucket, Key="to", CopySource=source)
    assert made["CopyObjectResult"]["ETag"]
    assert pair.there.get_object(Bucket=bucket, Key="to")["Metadata"] == {"a": "1"}
    pair.here.copy_object(Bucket=bucket, Key="to", CopySource=source, Metadata={"b": "2"}, MetadataDirective="REPLACE")
    told = pair.here.get_object(Bucket=bucket, Key="to")
    assert (told["Body"].read(), told["Metadata"]) == (b"data", {"b": "2"})


def test_many_are_deleted(pair: Pair, bucket: str) -> None:
    keys = ["a", "b & <c>", "é"]
    for key in keys:
        pair.here.put_object(Bucket=bucket, Key=key, Body=b"x")
    told = pair.here.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert sorted(each["Key"] for each in told["Deleted"]) == sorted(keys)
    assert "Contents" not in pair.there.list_objects_v2(Bucket=bucket)
    pair.here.delete_bucket(Bucket=bucket)
    failing(lambda: pair.there.head_bucket(Bucket=bucket), "404", 404)


def test_presigned_urls_are_ours(pair: Pair, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "signed key"}
    url = pair.here.generate_presigned_url("put_object", place)
    assert httpx.put(url, content=b"by url").status_code == 200
    assert pair.there.get_object(**place)["Body"].read() == b"by url"
    url = pair.here.generate_presigned_url("get_object", {**place, "ResponseContentType": "text/x"})
    got = httpx.get(url)
    assert (got.content, got.headers["content-type"]) == (b"by url", "text/x")
    assert httpx.get(url.replace("signed%20key", "other")).status_code == 403


def test_a_form_s_file_has_no_length_of_its_own(pair: Pair, bucket: str) -> None:
    form = pair.here.generate_presigned_post(bucket, "posted")
    data = bytes(range(256)) * 4096
    done = httpx.post(form["url"], data=form["fields"], files={"file": ("name", data)})
    assert done.status_code == 204, done.text
    assert pair.there.get_object(Bucket=bucket, Key="posted")["Body"].read() == data


def test_errors_are_the_upstream_s(pair: Pair, bucket: str) -> None:
    with pytest.raises(pair.here.exceptions.NoSuchKey) as caught:
        pair.here.get_object(Bucket=bucket, Key="no")
    assert caught.value.response["Error"]["Message"] == "The specified key does not exist."
    with pytest.raises(pair.here.exceptions.NoSuchBucket):
        pair.here.list_objects_v2(Bucket=f"no-{bucket}"[:63])
    failing(lambda: pair.here.head_object(Bucket=bucket, Key="no"), "404", 404)
    failing(lambda: pair.here.head_bucket(Bucket=f"no-{bucket}"[:63]), "404", 404)
    pair.here.put_object(Bucket=bucket, Key="key")
    failing(lambda: pair.here.delete_bucket(Bucket=bucket), "BucketNotEmpty", 409)
    failing(lambda: pair.here.get_bucket_tagging(Bucket=bucket), "NoSuchTagSet", 404)


def test_documents_of_buckets_and_objects(pair: Pair, bucket: str) -> None:
    tags = [{"Key": "team", "Value": "a & b"}]
    pair.here.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert pair.there.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    pair.here.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = pair.here.put_object(Bucket=bucket, Key="key", Body=b"1")["VersionId"]
    pair.here.put_object(Bucket=bucket, Key="key", Body=b"2", Tagging="a=b")
    assert pair.here.get_object(Bucket=bucket, Key="key", VersionId=first)["Body"].read() == b"1"
    assert pair.here.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [{"Key": "a", "Value": "b"}]
    marker = pair.here.delete_object(Bucket=bucket, Key="key")
    assert marker["DeleteMarker"]
    gone = failing(lambda: pair.here.get_object(Bucket=bucket, Key="key"), "NoSuchKey", 404)
    if pair.upstream.kind == "wildsage":
        assert gone["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    listed = pair.here.list_object_versions(Bucket=bucket)
    assert (len(listed["Versions"]), len(listed["DeleteMarkers"])) == (2, 1)
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/no"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    pair.here.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert json.loads(pair.there.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(policy)


@pytest.mark.parametrize("size", [4, 3 * MIB + 7])
def test_a_trailing_checksum_reaches_the_upstream(pair: Pair, bucket: str, size: int) -> None:
    secure = pair.server.client(
        "s3",
        endpoint_url=pair.server.url.replace("http:", "https:"),
        verify=str(pair.server.data / "tls" / "ca.pem"),
    )
    data = b"x" * size
    made = secure.put_object(Bucket=bucket, Key="key", Body=io.BytesIO(data), ChecksumAlgorithm="SHA256")
    told = pair.there.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert told["Body"].read() == data
    assert told["ChecksumSHA256"] == made["ChecksumSHA256"]
    assert "aws-chunked" not in told.get("ContentEncoding", "")


def test_what_a_path_could_hide_is_refused(pair: Pair, bucket: str) -> None:
    failing(lambda: pair.here.get_object(Bucket=bucket, Key="../other/key"), "InvalidArgument", 400)
    failing(lambda: pair.here.put_object(Bucket=bucket, Key="a/./b"), "InvalidArgument", 400)
    source = f"{bucket}/../other/key"
    failing(lambda: pair.here.copy_object(Bucket=bucket, Key="k", CopySource=source), "InvalidArgument", 400)


@pytest.mark.parametrize("pair", ["wildsage"], indirect=True)  # moto keeps objects in memory itself
@pytest.mark.parametrize("size", [256 * MIB])
def test_bytes_never_pile_up(pair: Pair, bucket: str, size: int) -> None:
    """Growth of each process that the bytes go through."""
    pair.here.put_object(Bucket=bucket, Key="warm", Body=b"x" * MIB)
    pids = pair.server.status["processes"].values()
    before = {pid: _reset_peak(pid) for pid in pids}
    stream = _Zeros(size)
    pair.here.put_object(Bucket=bucket, Key="big", Body=stream, ContentLength=size)
    told = pair.here.get_object(Bucket=bucket, Key="big")
    received = sum(len(chunk) for chunk in told["Body"].iter_chunks(MIB))
    assert received == size
    grown = {pid: _memory(pid, "VmHWM") - memory for pid, memory in before.items()}
    assert max(grown.values()) < 48 * MIB, grown


def _memory(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def _reset_peak(pid: int) -> int:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _memory(pid, "VmRSS")


class _Zeros(io.RawIOBase):
    """A file of zeros that is nowhere."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        count = self._size - self._at if size < 0 else min(size, self._size - self._at)
        self._at += count
        return bytes(count)
