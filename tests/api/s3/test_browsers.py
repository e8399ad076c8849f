"""What browsers do with a bucket: form uploads with a signed policy, and requests from other origins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.config import Config
from tests.conftest import Server

BOUNDARY = "----form"
ORIGIN = "https://app.example.com"


@pytest.fixture
def s3(server: Server) -> Any:
    return server.client("s3", config=Config(signature_version="s3v4"))


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    s3.create_bucket(Bucket="browsers")
    yield "browsers"
    for item in s3.list_objects_v2(Bucket="browsers").get("Contents", []):
        s3.delete_object(Bucket="browsers", Key=item["Key"])
    s3.delete_bucket(Bucket="browsers")


def upload(form: dict[str, Any], content: bytes, filename: str = "file.bin") -> httpx.Response:
    return httpx.post(form["url"], data=form["fields"], files={"file": (filename, content)}, timeout=30)


def error_of(response: httpx.Response) -> str:
    return response.text.partition("<Code>")[2].partition("</Code>")[0]


def test_a_presigned_form_uploads_a_file(s3: Any, bucket: str) -> None:
    content = bytes(range(256)) * 5000 + b"\r\n--not the boundary\r\n"
    fields = {"Content-Type": "image/png", "x-amz-meta-from": "a browser", "success_action_status": "201"}
    conditions: list[Any] = [{name: value} for name, value in fields.items()]
    form = s3.generate_presigned_post(bucket, "pictures/${filename}", Fields=fields, Conditions=conditions)
    response = upload(form, content, "cat.png")
    assert (response.status_code, "<Key>pictures/cat.png</Key>" in response.text) == (201, True)
    got = s3.get_object(Bucket=bucket, Key="pictures/cat.png")
    assert got["Body"].read() == content
    assert (got["ContentType"], got["Metadata"]) == ("image/png", {"from": "a browser"})


@pytest.mark.parametrize(
    ("change", "content", "status", "code"),
    [
        ({"x-amz-meta-more": "x"}, b"data", 403, "AccessDenied"),
        ({"key": "elsewhere"}, b"data", 403, "AccessDenied"),
        ({"x-amz-signature": "0" * 64}, b"data", 403, "SignatureDoesNotMatch"),
        ({"policy": "e30="}, b"data", 403, "SignatureDoesNotMatch"),
        ({}, b"too long for this form", 400, "EntityTooLarge"),
        ({}, b"", 400, "EntityTooSmall"),
    ],
)
def test_forms_that_the_policy_does_not_allow(
    s3: Any, bucket: str, change: dict[str, str], content: bytes, status: int, code: str
) -> None:
    form = s3.generate_presigned_post(bucket, "key", Conditions=[["content-length-range", 1, 10]])
    form["fields"] |= change
    response = upload(form, content)
    assert (response.status_code, error_of(response)) == (status, code)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("redirect", ["http://x/\r\nset-cookie: a=b", "http://x/\u2192", "javascript:alert(1)"])
def test_a_redirect_that_cannot_be_a_header_is_left_out(s3: Any, bucket: str, redirect: str) -> None:
    form = s3.generate_presigned_post(
        bucket, "key", {"success_action_redirect": redirect}, [["starts-with", "$success_action_redirect", ""]]
    )
    response = upload(form, b"data")
    assert (response.status_code, "set-cookie" in response.headers) == (204, False)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"data"


@pytest.mark.parametrize("name", ["x-amz-meta-\u2192", "x-amz-meta-a: b", "x-amz-meta-a b"])
def test_a_field_that_cannot_be_a_header_is_refused(s3: Any, bucket: str, name: str) -> None:
    """Once stored, nobody could be told of it."""
    form = s3.generate_presigned_post(bucket, "key", {name: "value"}, [{name: "value"}])
    response = upload(form, b"data")
    assert (response.status_code, error_of(response)) == (400, "InvalidArgument")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_form_for_endlessly_many_bytes(s3: Any, bucket: str) -> None:
    form = s3.generate_presigned_post(bucket, "key", Conditions=[["content-length-range", 1, float("inf")]])
    response = upload(form, b"data")
    assert (response.status_code, error_of(response)) == (400, "InvalidPolicyDocument")


def test_a_form_without_a_policy_is_nobody_s(server: Server, bucket: str) -> None:
    response = upload({"url": f"{server.url}/{bucket}", "fields": {"key": "key"}}, b"data")
    assert (response.status_code, error_of(response)) == (403, "AccessDenied")
    response = upload({"url": f"{server.url}/{bucket}", "fields": {}}, b"data")
    assert (response.status_code, error_of(response)) == (400, "InvalidArgument")


def test_a_form_that_ends_too_early_leaves_nothing(s3: Any, bucket: str) -> None:
    form = s3.generate_presigned_post(bucket, "key")
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items()
    ]
    body = "".join(parts) + f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf a fi'
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    response = httpx.post(form["url"], content=body, headers=headers, timeout=30)
    assert (response.status_code, error_of(response)) == (400, "MalformedPOSTRequest")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_other_origins_get_what_the_bucket_allows(server: Server, s3: Any, bucket: str) -> None:
    url = f"{server.url}/{bucket}/key"
    ask = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-amz-meta-a"}
    assert httpx.options(url, headers=ask).status_code == 403
    rule = {
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["https://*.example.com"],
        "AllowedHeaders": ["x-amz-*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    }
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    answer = httpx.options(url, headers=ask)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "GET, PUT"
    assert answer.headers["access-control-allow-headers"] == "x-amz-meta-a"
    assert answer.headers["access-control-max-age"] == "60"
    for change in ({"Origin": "https://example.org"}, {"Access-Control-Request-Headers": "content-type"}):
        assert httpx.options(url, headers={**ask, **change}).status_code == 403
    assert httpx.options(url).status_code == 400
    got = httpx.get(url, headers={"Origin": ORIGIN})
    assert (got.status_code, got.headers["access-control-allow-origin"]) == (403, ORIGIN)
    assert "access-control-allow-origin" not in httpx.get(url).headers
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]


def test_the_head_of_a_part_keeps_nobody_waiting(server: Server, bucket: str) -> None:
    body = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {'a' * 60_000}\r\n\r\nx\r\n--{BOUNDARY}--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    began = time.monotonic()
    response = httpx.post(f"{server.url}/{bucket}", content=body, headers=headers, timeout=120)
    assert (response.status_code, error_of(response)) == (400, "InvalidArgument")
    assert time.monotonic() - began < 20  # it took the square of its length
