"""Buckets as host names: ``bucket.s3.localhost`` over HTTP and TLS, and AWS's own names through ``wildsage run``."""

from __future__ import annotations

import socket
import ssl
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.conftest import Server

VIRTUAL = Config(s3={"addressing_style": "virtual"})
AWS = str(Path(sys.executable).with_name("aws"))
KEYS = ("key", "a/b c.txt", "../../x", "//", "ü?#%+&=", "/leading", "trailing/")


@pytest.fixture
def _resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names below localhost are this machine, as RFC 6761 wants it and not every resolver does it."""
    asked = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        local = isinstance(name, str) and name.endswith(".localhost")
        return asked("127.0.0.1" if local else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture(params=["http", "https"])
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return f"{request.param}://s3.localhost:{urlsplit(server.url).port}"


@pytest.fixture
def s3(server: Server, url: str, _resolver: None) -> Any:
    return server.client("s3", endpoint_url=url, verify=server.environment["AWS_CA_BUNDLE"], config=VIRTUAL)


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    name = f"virtual-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    yield name
    for each in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=each["Key"])
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=server.environment["AWS_CA_BUNDLE"])
    with httpx.Client(verify=context, trust_env=False) as client:
        yield client


def test_boto3_names_the_bucket_in_the_host(s3: Any, bucket: str) -> None:
    asked: list[str] = []
    s3.meta.events.register("before-send.s3", lambda request, **_: asked.append(urlsplit(request.url).hostname or ""))
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
    assert set(asked) == {f"{bucket}.s3.localhost"}
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == sorted(KEYS)
    assert bucket in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a/b c.txt"})
    upload = {"Bucket": bucket, "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"data")["ETag"]}
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="absent")


@pytest.mark.parametrize("key", [key for key in KEYS if ".." not in key])  # httpx would resolve them
def test_presigned_urls(s3: Any, bucket: str, http: httpx.Client, key: str) -> None:
    where = {"Bucket": bucket, "Key": key}
    put = s3.generate_presigned_url("put_object", Params=where)
    assert urlsplit(put).hostname == f"{bucket}.s3.localhost"
    assert http.put(httpx.URL(put), content=b"data").status_code == 200
    assert http.get(s3.generate_presigned_url("get_object", Params=where)).content == b"data"
    assert http.head(s3.generate_presigned_url("get_object", Params=where)).status_code == 403  # signed for GET
    assert http.head(s3.generate_presigned_url("head_object", Params=where)).status_code == 200


def test_a_presigned_form(s3: Any, bucket: str, http: httpx.Client) -> None:
    form = s3.generate_presigned_post(bucket, "from/${filename}")
    assert urlsplit(form["url"]).hostname == f"{bucket}.s3.localhost"
    answer = http.post(form["url"], data=form["fields"], files={"file": ("name.txt", b"data")})
    assert answer.status_code == 204, answer.text
    assert s3.get_object(Bucket=bucket, Key="from/name.txt")["Body"].read() == b"data"


def test_aws_s_own_names_through_the_proxy(server: Server) -> None:
    """As ``wildsage run`` sets it up, but with the endpoints that boto3 has for AWS: TLS to names of AWS."""
    keys = {name: server.environment[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}
    config = Config(proxies={"https": server.environment["HTTPS_PROXY"]}, retries={"total_max_attempts": 1})
    for region, name in (("us-east-1", "logs"), ("eu-central-1", f"virtual-{uuid.uuid4()}")):
        s3 = boto3.session.Session().client(
            "s3",
            region_name=region,
            verify=server.environment["AWS_CA_BUNDLE"],
            aws_session_token=server.environment["AWS_SESSION_TOKEN"],
            config=config,
            **keys,
        )
        asked: list[str] = []
        s3.meta.events.register("before-send.s3", lambda request, asked=asked, **_: asked.append(request.url))
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
        s3.create_bucket(Bucket=name, **elsewhere)
        s3.put_object(Bucket=name, Key="a b", Body=b"data")
        assert s3.get_object(Bucket=name, Key="a b")["Body"].read() == b"data"
        form = s3.generate_presigned_post(name, "form")
        verify = ssl.create_default_context(cafile=server.environment["AWS_CA_BUNDLE"])
        with httpx.Client(verify=verify, proxy=server.environment["HTTPS_PROXY"]) as http:
            assert http.post(form["url"], data=form["fields"], files={"file": b"data"}).status_code == 204
            assert http.get(s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "form"})).is_success
            assert http.get(f"https://{name}.s3.amazonaws.com/form").status_code == 403  # nobody's
        assert all((urlsplit(each).hostname or "").startswith(f"{name}.s3.") for each in asked), asked
        for key in ("a b", "form"):
            s3.delete_object(Bucket=name, Key=key)
        s3.delete_bucket(Bucket=name)


def test_the_aws_cli_with_aws_s_own_names(server: Server, tmp_path: Path) -> None:
    bucket = f"virtual-{uuid.uuid4()}"
    (tmp_path / "file").write_bytes(bytes(9 * 1024 * 1024))
    script = f"""set -e; export AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true
    {AWS} s3 mb s3://{bucket}
    {AWS} s3 cp file s3://{bucket}/a/file --debug 2>debug
    {AWS} s3 cp s3://{bucket}/a/file back
    {AWS} s3 rb --force s3://{bucket}"""
    done = server.run("bash", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    assert f"https://{bucket}.s3." in (tmp_path / "debug").read_text()
