"""What happens when the upstream is away, silent, wrong or not who it says it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError
from tests.api.s3.upstreams import Upstream, in_front_of, wildsage
from tests.conftest import Server, start_server

from wildsage.core.clock import SystemClock
from wildsage.core.errors import ApiError
from wildsage.core.upstream import S3Upstream, s3_upstream
from wildsage.services.s3.upstream.check import look
from wildsage.services.s3.upstream.forwarder import Forwarder
from wildsage.services.s3.upstream.resuming import Resuming
from wildsage.wire.http.messages import BytesBody, ClientGone

MIB = 1024 * 1024
BUCKET = "bucket"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Upstream, Server]]:
    with wildsage(tmp_path_factory.mktemp("ws")) as (upstream, server):
        upstream.client.create_bucket(Bucket=BUCKET)
        yield upstream, server


@pytest.fixture
def settings(behind: tuple[Upstream, Server]) -> S3Upstream:
    found = s3_upstream(behind[0].settings())
    assert found is not None
    return found


@contextlib.asynccontextmanager
async def forwarding(settings: S3Upstream, folder: Path) -> AsyncIterator[Forwarder]:
    forwarder = Forwarder(settings, SystemClock(), folder)
    try:
        yield forwarder
    finally:
        forwarder.close()


async def refused(call: Awaitable[Any], code: str, status: int, words: str) -> None:
    with pytest.raises(ApiError) as caught:
        await call
    assert (caught.value.code, caught.value.status) == (code, status)
    assert words in caught.value.message


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def test_nobody_answers(settings: S3Upstream, tmp_path: Path) -> None:
    nowhere = replace(settings, port=free_port())
    async with forwarding(nowhere, tmp_path) as forwarder:
        call = forwarder.call("PutObject", {"Bucket": BUCKET, "Key": "k", "Body": BytesBody(b"x"), "ContentLength": 1})
        await refused(call, "ServiceUnavailable", 503, "cannot be reached")
    works, detail = await look(nowhere)
    assert not works
    assert nowhere.url in detail


async def test_wrong_keys_are_the_server_s_business(settings: S3Upstream, tmp_path: Path) -> None:
    for wrong in (replace(settings, secret_key="wrong"), replace(settings, access_key="AKIAWRONG")):
        async with forwarding(wrong, tmp_path) as forwarder:
            words = "correct WILDSAGE_S3_UPSTREAM_ACCESS_KEY"
            await refused(forwarder.call("ListObjectsV2", {"Bucket": BUCKET}), "UpstreamRefused", 403, words)
        assert words in (await look(wrong))[1]


async def test_only_trusted_certificates(behind: tuple[Upstream, Server], settings: S3Upstream, tmp_path: Path) -> None:
    secure = replace(settings, scheme="https")
    async with forwarding(secure, tmp_path) as forwarder:
        words = "set WILDSAGE_S3_UPSTREAM_CA"
        await refused(forwarder.call("ListBuckets", {}), "UpstreamRefused", 403, words)
    trusted = replace(secure, ca=behind[1].data / "tls" / "ca.pem")
    data = os.urandom(20 * MIB)
    async with forwarding(trusted, tmp_path) as forwarder:
        await forwarder.call("PutObject", {"Bucket": BUCKET, "Key": "tls", "Body": BytesBody(data)})
        body = (await forwarder.call("GetObject", {"Bucket": BUCKET, "Key": "tls"}))["Body"]
        assert b"".join([chunk async for chunk in body]) == data
    assert await look(trusted) == (True, f"{trusted.url} answers; it keeps 1 buckets for this server")


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def talking(settings: S3Upstream, talk: Talk, folder: Path, seconds: float = 60.0) -> AsyncIterator[Forwarder]:
    """A forwarder to somebody who talks to it as told."""
    conversations: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with contextlib.suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with forwarding(replace(settings, port=port, seconds=seconds), folder) as forwarder:
            yield forwarder
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*conversations)


async def test_silence_is_slow_down(settings: S3Upstream, tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with talking(settings, silent, tmp_path, 1.0) as forwarder:
        await refused(forwarder.call("HeadBucket", {"Bucket": BUCKET}), "SlowDown", 503, "has not answered for 1 sec")


@pytest.mark.parametrize("hang", [False, True])
async def test_an_answer_that_breaks_off(settings: S3Upstream, tmp_path: Path, hang: bool) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000)
        await writer.drain()
        if hang:
            await reader.read()

    async with talking(settings, half, tmp_path, 1.0 if hang else 60.0) as forwarder:
        body = (await forwarder.call("GetObject", {"Bucket": BUCKET, "Key": "k"}))["Body"]

        async def read() -> None:
            async for _ in body:
                pass

        code, words = ("SlowDown", "has not answered") if hang else ("ServiceUnavailable", "before its answer was")
        await refused(read(), code, 503, words)


async def test_an_error_may_come_with_status_200(settings: S3Upstream, tmp_path: Path) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'   <?xml version="1.0"?>\n<Error><Code>InternalError</Code><Message>Sorry.</Message></Error>'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async with talking(settings, late, tmp_path) as forwarder:
        params = {"Bucket": BUCKET, "Key": "k", "CopySource": f"{BUCKET}/other"}
        await refused(forwarder.call("CopyObject", params), "InternalError", 500, "Sorry.")


async def test_what_is_no_s3_at_all(settings: S3Upstream, tmp_path: Path) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 18\r\n\r\n<html>Oops</html>\n")
        await writer.drain()

    async with talking(settings, page, tmp_path) as forwarder:
        await refused(forwarder.call("ListBuckets", {}), "MalformedResponse", 502, "unreadable")


class Broken:
    """A body whose last words are that it is not what it said."""

    def __init__(self, data: bytes, error: Exception) -> None:
        self._data, self._error = data, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data
        raise self._error

    async def read(self, limit: int) -> bytes:
        raise self._error


@pytest.mark.parametrize("error", [ApiError("XAmzContentSHA256Mismatch", "no"), ClientGone("gone")])
@pytest.mark.parametrize("size", [10, 5 * MIB])
async def test_a_body_that_ends_badly_is_not_kept(
    behind: tuple[Upstream, Server], settings: S3Upstream, tmp_path: Path, error: Exception, size: int
) -> None:
    key = f"bad-{size}"
    async with forwarding(settings, tmp_path) as forwarder:
        params = {"Bucket": BUCKET, "Key": key, "Body": Broken(bytes(size), error), "ContentLength": size}
        with pytest.raises(type(error)):
            await forwarder.call("PutObject", params)
    client = behind[0].client
    assert not [each for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", []) if each["Key"] == key]


@pytest.fixture(scope="module")
def front(behind: tuple[Upstream, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with in_front_of(behind[0].settings(), tmp_path_factory.mktemp("ws")) as server:
        yield server


def test_a_body_that_is_not_what_was_signed(behind: tuple[Upstream, Server], front: Server) -> None:
    url = f"{front.url}/{BUCKET}/tampered"
    signed = AWSRequest("PUT", url, data=b"what was signed", headers={"content-length": "15"})
    S3SigV4Auth(Credentials(*front.root_key), "s3", "us-east-1").add_auth(signed)
    done = httpx.put(url, content=b"what was forged", headers=dict(signed.headers.items()))
    assert (done.status_code, "XAmzContentSHA256Mismatch" in done.text) == (400, True), done.text
    with pytest.raises(ClientError, match="404"):
        behind[0].client.head_object(Bucket=BUCKET, Key="tampered")


def test_an_upstream_that_leads_back_here(tmp_path: Path) -> None:
    with in_front_of({}, tmp_path / "front") as before:
        access_key, secret_key = before.root_key
    port = free_port()
    variables = {"": f"http://127.0.0.1:{port}", "_ACCESS_KEY": access_key, "_SECRET_KEY": secret_key}
    settings = {f"WILDSAGE_S3_UPSTREAM{name}": value for name, value in variables.items()}
    server = start_server(tmp_path / "front", "--port", str(port), variables=settings)
    try:
        with pytest.raises(ClientError, match="leads back to this server"):
            server.client("s3").list_buckets()
    finally:
        server.stop()


def _kill(server: Server) -> None:
    """As if the machine had gone: supervisor first, so that nothing is started again."""
    pids = [server.process.pid, *server.status["processes"].values()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.process.wait(60)


def test_the_upstream_dies_in_the_middle_of_a_transfer(tmp_path: Path) -> None:
    with wildsage(tmp_path / "back") as (upstream, behind):
        upstream.client.create_bucket(Bucket=BUCKET)
        upstream.client.put_object(Bucket=BUCKET, Key="big", Body=bytes(64 * MIB))
        with in_front_of(upstream.settings(_BUCKETS="buck*"), tmp_path / "front") as front:
            s3 = front.client("s3")
            body = s3.get_object(Bucket=BUCKET, Key="big")["Body"]
            body.read(MIB)
            _kill(behind)
            with pytest.raises((IncompleteReadError, ResponseStreamingError)):
                while body.read(MIB):
                    pass
            with pytest.raises(ClientError) as caught:
                s3.get_object(Bucket=BUCKET, Key="big")
            assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
            assert "cannot be reached" in caught.value.response["Error"]["Message"]
            s3.create_bucket(Bucket="own-bucket")
            s3.put_object(Bucket="own-bucket", Key="k", Body=b"goes on")


async def test_reads_of_our_own_go_on_where_they_broke_off(settings: S3Upstream, tmp_path: Path) -> None:
    data = os.urandom(1000)
    asked: list[str] = []

    async def stuttering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """300 bytes of each answer."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        wanted = re.search(r"range: bytes=(\d+)-999\r", head)
        first = int(wanted[1]) if wanted else 0
        asked.append(str(first))
        assert ('if-match: "tag"' in head) == bool(first)
        status = f"206 Partial Content\r\ncontent-range: bytes {first}-999/1000" if first else "200 OK"
        told = f'HTTP/1.1 {status}\r\netag: "tag"\r\ncontent-length: {1000 - first}\r\n\r\n'
        writer.write(told.encode() + data[first : first + 300])
        await writer.drain()

    async with talking(settings, stuttering, tmp_path) as forwarder:
        request = {"Bucket": BUCKET, "Key": "k"}
        answer = await forwarder.call("GetObject", request, inner=True)
        body = Resuming(forwarder, request, answer)
        assert b"".join([chunk async for chunk in body]) == data
    assert asked == ["0", "300", "600", "900"]
