"""Client and server over TLS: bodies larger than every buffer, and whom the client trusts."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import Pool, Untrusted
from wildsage.wire.http.messages import BytesBody, FileBody, Request, Response
from wildsage.wire.http.server import start_server

_PIECE, _COUNT = bytes(range(256)) * 256, 320  # 20 MiB


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


class Pieces:
    """20 MiB, a piece at a time."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(_COUNT):
            yield _PIECE

    async def read(self, limit: int) -> bytes:
        return _PIECE * _COUNT


async def echo(request: Request) -> Response:
    """Counts what comes and sends as much back."""
    size = 0
    async for chunk in request.body:
        size += len(chunk)
    return Response(200, [("x-size", str(size))], aiter(Pieces()))


@asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = await start_server(echo, sock=sock, tls=context)
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.close(grace=1.0)


def get() -> Request:
    return Request("GET", "/", [("host", "x")], BytesBody())


async def test_large_bodies_both_ways(certificate: Path) -> None:
    client = Client(Pool(tls=ssl.create_default_context(cafile=certificate)))
    async with serving(certificate) as place:
        for _ in range(2):
            request = Request("PUT", "/", [("host", "x")], Pieces())
            response = await client.send(f"tls:{place}", request, 60)
            assert response.header("x-size") == str(len(_PIECE) * _COUNT)
            assert not isinstance(response.body, bytes | FileBody)
            received = [len(chunk) async for chunk in response.body]
            assert sum(received) == len(_PIECE) * _COUNT
        client.close()


async def test_only_those_it_was_told_to_trust(certificate: Path) -> None:
    strict = Client(Pool(tls=ssl.create_default_context()))
    plain = Client()
    async with serving(certificate) as place:
        with pytest.raises(Untrusted, match="self-signed"):
            await strict.send(f"tls:{place}", get())
        with pytest.raises(ValueError, match="whom to trust"):
            await plain.send(f"tls:{place}", get())
    strict.close()
    plain.close()


async def test_a_server_without_tls(certificate: Path) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = await start_server(echo, sock=sock)
    client = Client(Pool(tls=ssl.create_default_context(cafile=certificate)))
    with pytest.raises(Untrusted, match="does not speak TLS"):
        await client.send(f"tls:127.0.0.1:{server.port}", get())
    client.close()
    await server.close(grace=1.0)
