"""Bodies that prove themselves as they stream: AWS's published examples, botocore's own, and damaged ones."""

from __future__ import annotations

import hashlib
import io
from calendar import timegm
from collections.abc import AsyncIterator

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum

from wildsage.core.errors import ApiError
from wildsage.wire import sigv4
from wildsage.wire.http.messages import BodyTooLarge, BytesBody, Headers, Request
from wildsage.wire.sigv4_streaming import SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, ChunkedBody, open_body

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = float(timegm((2013, 5, 24, 0, 0, 0)))  # of the examples
CONTENT = b"a" * 66560
# S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks".
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
# The same, "… Including Trailing Headers".
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_CHUNKS = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


class Slow:
    """A body that arrives in pieces of ``size`` bytes."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._data), self._size):
            yield self._data[at : at + self._size]

    async def read(self, limit: int) -> bytes:
        return self._data


def example(body: bytes, hashed: str, seed: str, extra: Headers, size: int = 5000) -> Request:
    headers: Headers = [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-content-sha256", hashed),
        *extra,
    ]
    signed = ";".join(sorted(name for name, _ in headers))
    scope = f"Credential={KEY}/20130524/us-east-1/s3/aws4_request"
    headers.append(("authorization", f"AWS4-HMAC-SHA256 {scope},SignedHeaders={signed},Signature={seed}"))
    return Request("PUT", "/examplebucket/chunkObject.txt", headers, Slow(body, size))


def signed_body(content: bytes = CONTENT, signatures: tuple[str, ...] = CHUNKS, tail: bytes = b"\r\n") -> bytes:
    first, second, last = (signature.encode() for signature in signatures)
    return (
        b"10000;chunk-signature=" + first + b"\r\n" + content[:65536] + b"\r\n"
        b"400;chunk-signature=" + second + b"\r\n" + content[65536:] + b"\r\n"
        b"0;chunk-signature=" + last + b"\r\n" + tail
    )


def opened(request: Request) -> Request:
    """Verified and opened, as the gateway does it."""
    authorization = sigv4.parse_authorization(request)
    assert authorization is not None
    sigv4.verify(authorization, request, SECRET, sigv4.declared_hash(authorization, request) or "", NOW)
    open_body(authorization, request, SECRET)
    return request


async def refused(request: Request) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await request.body.read(1 << 24)
    return caught.value


@pytest.mark.parametrize("size", [1, 7, 5000, 100_000])
async def test_the_published_example_of_signed_chunks(size: int) -> None:
    request = opened(example(signed_body(), SIGNED, SEED, [("content-length", "66824")], size))
    assert await request.body.read(1 << 20) == CONTENT
    assert request.header("content-encoding") is None
    assert request.header("content-length") == "66560"


async def test_the_published_example_of_signed_trailers() -> None:
    trailers = b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:" + TRAILER_SIGNATURE.encode() + b"\r\n\r\n"
    body = signed_body(signatures=TRAILER_CHUNKS, tail=trailers)
    request = opened(example(body, SIGNED_TRAILER, TRAILER_SEED, [("x-amz-trailer", "x-amz-checksum-crc32c")]))
    assert await request.body.read(1 << 20) == CONTENT
    assert isinstance(request.body, ChunkedBody)
    assert request.body.trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}
    forged = example(
        body.replace(b"sOO8", b"sOO9"), SIGNED_TRAILER, TRAILER_SEED, [("x-amz-trailer", "x-amz-checksum-crc32c")]
    )
    assert (await refused(opened(forged))).code == "SignatureDoesNotMatch"


def test_the_published_examples_of_plain_requests() -> None:
    """S3 API Reference: "GET Object" and "Example: presigned URL"."""
    headers: Headers = [
        ("host", "examplebucket.s3.amazonaws.com"),
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", sigv4.EMPTY_SHA256),
        ("x-amz-date", "20130524T000000Z"),
        (
            "authorization",
            f"AWS4-HMAC-SHA256 Credential={KEY}/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
    ]
    opened(Request("GET", "/test.txt", headers, BytesBody()))
    target = (
        f"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    opened(Request("GET", target, [("host", "examplebucket.s3.amazonaws.com")], BytesBody()))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (signed_body(b"b" + CONTENT[1:]), "SignatureDoesNotMatch"),
        (signed_body(CONTENT[:-1] + b"b"), "SignatureDoesNotMatch"),
        (signed_body(signatures=(CHUNKS[0], CHUNKS[0], CHUNKS[2])), "SignatureDoesNotMatch"),
        (signed_body()[:40000], "IncompleteBody"),
        (signed_body().replace(b"10000;", b"1000;", 1), "SignatureDoesNotMatch"),
        (signed_body().replace(b"10000;", b"zz;", 1), "InvalidChunkSizeError"),
        (signed_body().replace(b"10000;", b"fffffff;", 1), "IncompleteBody"),
        (b"", "IncompleteBody"),
        (b"x" * 100_000, "InvalidChunkSizeError"),
        (b"0;chunk-signature=" + CHUNKS[2].encode() + b"\r\n\r\n", "SignatureDoesNotMatch"),
    ],
)
async def test_damaged_bodies_are_refused(body: bytes, code: str) -> None:
    assert (await refused(opened(example(body, SIGNED, SEED, [("content-length", "66824")])))).code == code


@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 3_000_000])
async def test_botocore_trailers(content: bytes) -> None:
    wrapper = AwsChunkedWrapper(io.BytesIO(content), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32")
    headers = [
        ("x-amz-content-sha256", UNSIGNED_TRAILER),
        ("x-amz-decoded-content-length", str(len(content))),
        ("content-encoding", "gzip,aws-chunked"),
    ]
    request = Request("PUT", "/b/k", headers, Slow(wrapper.read(), 8191))
    open_body(None, request, "")
    assert await request.body.read(1 << 24) == content
    assert isinstance(request.body, ChunkedBody)
    assert list(request.body.trailers) == ["x-amz-checksum-crc32"]
    assert request.header("content-encoding") == "gzip"


@pytest.mark.parametrize(("size", "piece"), [(8, 2), (3 << 20, 65_536), ((3 << 20) + 1, 700_001)])
async def test_a_plain_body_must_be_the_one_that_was_signed(size: int, piece: int) -> None:
    signed = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for content, fine in ((signed, True), (signed[:-1] + b"T", False), (b"T" + signed[1:], False)):
        declared = hashlib.sha256(signed).hexdigest()
        request = Request("PUT", "/b/k", [("x-amz-content-sha256", declared)], Slow(content, piece))
        open_body(None, request, "")
        if fine:
            assert await request.body.read(1 << 24) == content
        else:
            error = await refused(request)
            assert (error.code, error.status) == ("XAmzContentSHA256Mismatch", 400)
            assert error.fields["ClientComputedContentSHA256"] == declared


async def test_read_keeps_to_its_limit() -> None:
    request = opened(example(signed_body(), SIGNED, SEED, [("content-length", "66824")]))
    with pytest.raises(BodyTooLarge):
        await request.body.read(1000)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("x-amz-content-sha256", SIGNED), ("x-amz-decoded-content-length", "1")], "AccessDenied"),
        ([("x-amz-content-sha256", UNSIGNED_TRAILER)], "MissingContentLength"),
        ([("x-amz-content-sha256", UNSIGNED_TRAILER), ("x-amz-decoded-content-length", "-1")], "MissingContentLength"),
        ([("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")], "NotImplemented"),
        ([("x-amz-content-sha256", "abc")], "InvalidArgument"),
    ],
)
def test_announcements_that_cannot_be_kept(headers: Headers, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        open_body(None, Request("PUT", "/b/k", headers, BytesBody()), "")
    assert caught.value.code == code
