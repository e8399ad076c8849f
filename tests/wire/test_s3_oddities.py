"""S3 where its model is silent: routing by query, roots of answers, errors without a wrapper."""

from __future__ import annotations

from email.header import decode_header
from typing import Any

import pytest
from botocore.handlers import parse_get_bucket_location

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import BytesBody, Request, Response
from wildsage.wire.model import load
from wildsage.wire.protocols import protocol_named
from wildsage.wire.protocols.bindings import header_text, mail_safe
from wildsage.wire.routing import match_rest

S3 = load("s3")
REST_XML = protocol_named("rest-xml")


def _request(method: str, target: str, headers: dict[str, str] | None = None) -> Request:
    return Request(method, target, list((headers or {}).items()), BytesBody())


def _text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


@pytest.mark.parametrize(
    ("method", "target", "headers", "name"),
    [
        ("GET", "/", {}, "ListBuckets"),
        ("GET", "/b", {}, "ListObjects"),
        ("GET", "/b/", {}, "ListObjects"),
        ("GET", "/b/?list-type=2&prefix=a", {}, "ListObjectsV2"),
        ("GET", "/b?location", {}, "GetBucketLocation"),
        ("GET", "/b?location=", {}, "GetBucketLocation"),
        ("GET", "/b?lifecycle", {}, "GetBucketLifecycleConfiguration"),
        ("GET", "/b?inventory", {}, "ListBucketInventoryConfigurations"),
        ("GET", "/b?inventory&id=x", {}, "GetBucketInventoryConfiguration"),
        ("GET", "/b?uploads", {}, "ListMultipartUploads"),
        ("GET", "/b/k/with/slashes", {}, "GetObject"),
        ("GET", "/b/k?x-id=GetObject&partNumber=1", {}, "GetObject"),
        ("GET", "/b/k?uploadId=u", {}, "ListParts"),
        ("GET", "/b/k?tagging", {}, "GetObjectTagging"),
        ("HEAD", "/b", {}, "HeadBucket"),
        ("HEAD", "/b/k", {}, "HeadObject"),
        ("PUT", "/b", {}, "CreateBucket"),
        ("PUT", "/b/k", {}, "PutObject"),
        ("PUT", "/b/k?x-id=PutObject", {}, "PutObject"),
        ("PUT", "/b/k", {"x-amz-copy-source": "b/j"}, "CopyObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", {}, "UploadPart"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", {"x-amz-copy-source": "b/j"}, "UploadPartCopy"),
        ("POST", "/b/k?uploads", {}, "CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=u", {}, "CompleteMultipartUpload"),
        ("POST", "/b?delete", {}, "DeleteObjects"),
        ("DELETE", "/b/k", {}, "DeleteObject"),
        ("DELETE", "/b/k?uploadId=u", {}, "AbortMultipartUpload"),
        ("DELETE", "/b?policy", {}, "DeleteBucketPolicy"),
        ("GET", "/k", {"host": "b.s3.us-east-1.amazonaws.com"}, "GetObject"),
        ("GET", "/", {"host": "b.localhost:4566"}, "ListObjects"),
    ],
)
def test_the_operation_is_found(method: str, target: str, headers: dict[str, str], name: str) -> None:
    assert match_rest(S3, _request(method, target, headers))[0].name == name


@pytest.mark.parametrize(
    ("target", "host", "labels"),
    [
        ("/b/a%20b/%E2%82%AC+c", "", {"Bucket": "b", "Key": "a b/€+c"}),
        ("/b//double//", "", {"Bucket": "b", "Key": "/double//"}),
        ("/b/dir/", "", {"Bucket": "b", "Key": "dir/"}),
        ("/a/./../b", "b.s3.amazonaws.com", {"Bucket": "b", "Key": "a/./../b"}),
        ("/k", "my.dotted.bucket.s3.eu-west-1.amazonaws.com:443", {"Bucket": "my.dotted.bucket", "Key": "k"}),
    ],
)
def test_keys_are_taken_literally(target: str, host: str, labels: dict[str, str]) -> None:
    assert match_rest(S3, _request("GET", target, {"host": host}))[1] == labels


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        match_rest(S3, _request("PATCH", "/b/k"))
    assert (caught.value.code, caught.value.status) == ("MethodNotAllowed", 405)


def test_a_path_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        match_rest(S3, _request("GET", "/b/%FF"))
    assert (caught.value.code, caught.value.status) == ("InvalidURI", 400)


@pytest.mark.parametrize("region", ["eu-west-1", None])
def test_the_bucket_location_is_the_root_element(region: str | None) -> None:
    result = {"LocationConstraint": region}
    response = REST_XML.serialize_response(S3.operations["GetBucketLocation"], result, "id")
    assert isinstance(response.body, bytes)

    class Raw:
        content = raw = response.body

    parsed: dict[str, Any] = {}
    parse_get_bucket_location(parsed, Raw())
    assert parsed == result


def test_roots_are_those_of_the_reference() -> None:
    listing = REST_XML.serialize_response(S3.operations["ListObjectsV2"], {"Name": "b", "KeyCount": 0}, "id")
    assert _text(listing) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<Name>b</Name><KeyCount>0</KeyCount></ListBucketResult>"
    )


def test_a_grantee_keeps_its_type() -> None:
    grant = {"Grantee": {"ID": "x", "Type": "CanonicalUser"}, "Permission": "READ"}
    response = REST_XML.serialize_response(S3.operations["GetBucketAcl"], {"Grants": [grant]}, "id")
    assert '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">' in _text(response)


def test_errors_have_no_wrapper_and_carry_their_fields() -> None:
    error = ApiError("NoSuchKey", "The specified key does not exist.", 404, {"Key": "a<b"})
    response = REST_XML.serialize_error(S3.operations["GetObject"], error, "1-2")
    assert _text(response) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
        "<Message>The specified key does not exist.</Message><Key>a&lt;b</Key>"
        "<RequestId>1-2</RequestId><HostId>12/wildsage</HostId></Error>"
    )
    assert REST_XML.serialize_error(S3.operations["HeadObject"], error, "1-2").body == b""


def test_last_modified_has_milliseconds() -> None:
    contents = [{"Key": "k", "LastModified": 1_700_000_000}]
    response = REST_XML.serialize_response(S3.operations["ListObjectsV2"], {"Contents": contents}, "id")
    assert "<LastModified>2023-11-14T22:13:20.000Z</LastModified>" in _text(response)
    head = REST_XML.serialize_response(S3.operations["HeadObject"], {"LastModified": 1_700_000_000}, "id")
    assert head.header("last-modified") == "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(("result", "status"), [({"ContentRange": "bytes 0-0/5"}, 206), ({}, 200)])
def test_a_part_of_an_object_is_partial_content(result: dict[str, Any], status: int) -> None:
    assert REST_XML.serialize_response(S3.operations["GetObject"], {**result, "Body": b"x"}, "id").status == status


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("plain = ASCII?", "plain = ASCII?"),
        ("ÄMÄZÕÑ S3", "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?="),  # the example of the S3 User Guide
        ("Miniö", "=?UTF-8?Q?Mini=C3=83=C2=B6?="),
        ("a_b =?ö", "=?UTF-8?Q?a=5Fb_=3D=3F=C3=83=C2=B6?="),
    ],
)
def test_metadata_that_is_not_ascii_comes_back_as_a_word_of_rfc_2047(text: str, sent: str) -> None:
    as_read = text.encode().decode("latin-1")
    assert mail_safe(as_read) == sent
    (decoded,) = decode_header(sent)
    assert decoded[0] in (as_read, as_read.encode())


def test_other_headers_come_back_byte_for_byte() -> None:
    for sent in (b"attachment; filename=\xc3\xa9", b"\xe9", b""):
        assert header_text(sent.decode("latin-1")).encode("latin-1") == sent
