"""The one port: control behind it, TLS on it, tunnels through it."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.dataplane.plant import Plant, echo, endpoint

from wildsage.core.routes import Variant
from wildsage.core.settings import DataDir
from wildsage.dataplane.router import Router
from wildsage.dataplane.tunnels import is_aws, refused
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import BytesBody, Request, Response


async def mirror(request: Request) -> Response:
    """A control: what it got, as it got it."""
    body = await request.body.read(1 << 30)
    text = json.dumps([request.method, request.target, request.headers, len(body)]).encode()
    return Response(201, [("content-type", "x/y"), ("etag", '"1"')], text)


def get(path: str, *headers: tuple[str, str]) -> Request:
    return Request("GET", path, [("host", "127.0.0.1:4566"), *headers], BytesBody())


def answer_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


async def test_everything_else_goes_to_control_untouched(plant: Plant) -> None:
    await plant.serve("control", mirror)
    target = "/bucket/a%20b/../c?list-type=2&prefix=%2Fx&empty="
    sent = [("Authorization", "AWS4 …".encode().decode("latin-1")), ("x-amz-meta-a", " two  spaces")]
    sent += [("connection", "keep-alive, x-mine"), ("x-mine", "hop"), ("x-wildsage-peer", "a lie")]
    response = await plant.client.send(plant.address, get(target, *sent))
    method, seen, headers, _ = json.loads(answer_of(response))
    assert (response.status, response.header("content-type"), response.header("etag")) == (201, "x/y", '"1"')
    assert (method, seen) == ("GET", target)
    names = [name for name, _ in headers]
    assert names == ["host", "authorization", "x-amz-meta-a", "x-wildsage-peer", "x-wildsage-scheme"]
    assert dict(headers)["host"] == "127.0.0.1:4566"
    assert dict(headers)["x-wildsage-peer"].startswith("127.0.0.1:")
    assert dict(headers)["x-wildsage-scheme"] == "http"


@pytest.mark.parametrize("expect", [[], [("expect", "100-continue")]])
async def test_bodies_stream_through(plant: Plant, expect: list[tuple[str, str]]) -> None:
    async def turn(request: Request) -> Response:
        chunks = aiter(request.body)
        first = await anext(chunks)

        async def all_of_them() -> AsyncIterator[bytes]:
            yield first
            async for chunk in chunks:
                yield chunk

        return Response(200, [], all_of_them())

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    class Pieces:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return pieces()

        async def read(self, limit: int) -> bytes:
            raise AssertionError("streamed")

    await plant.serve("control", turn)
    headers = [("host", "x"), ("content-length", "10000000"), *expect]
    response = await plant.client.send(plant.address, Request("PUT", "/b/k", headers, Pieces()))
    size = 0
    assert isinstance(response.body, AsyncIterator)
    async for chunk in response.body:
        size += len(chunk)
    assert size == 10_000_000


async def test_without_control_the_router_says_so(plant: Plant) -> None:
    response = await plant.client.send(plant.address, get("/_wildsage/health"))
    assert response.status == 503
    assert json.loads(answer_of(response))["control"] == "down"
    response = await plant.client.send(plant.address, get("/bucket"))
    assert (response.status, response.header("x-amzn-errortype")) == (503, "ServiceUnavailable")


async def test_a_request_waits_for_control_to_come_back(plant: Plant) -> None:
    waiting = asyncio.create_task(plant.client.send(plant.address, get("/bucket")))
    await asyncio.sleep(0.1)
    await plant.serve("control", mirror)
    assert (await waiting).status == 201


async def test_endpoints_answer_without_control_and_after_a_restart(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    plant.data.routes.write_text(plant.routes.to_json())
    again = Router(plant.data, socket.create_server(("127.0.0.1", 0)))
    await again.start()
    host, port = again.home()
    assert (await plant.invoke(plant.boto(url=f"http://{host}:{port}")))["Body"]
    await again.close()


async def test_a_damaged_snapshot_does_not_stop_the_router(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.run.mkdir()
    data.routes.write_text('{"version": 1')
    router = Router(data, socket.create_server(("127.0.0.1", 0)))
    await router.start()
    assert router.table.version == 0
    await router.close()


async def test_control_pushes_snapshots(plant: Plant) -> None:
    newer = plant.routes.to_json().replace(f'"version":{plant.routes.version}', f'"version":{plant.routes.version + 9}')
    older = plant.routes.to_json()
    address = f"unix:{plant.data.router_socket()}"
    for text, status in ((newer, 200), (newer, 200), (older, 409), ("{}", 409)):
        response = await plant.client.send(
            address, Request("PUT", "/routes", [("host", "x")], BytesBody(text.encode()))
        )
        assert response.status == status
        assert json.loads(answer_of(response))["version"] == plant.routes.version + 9


def certify(data: DataDir, *names: str) -> ssl.SSLContext:
    """Makes the server's certificate; returns a client's context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = [x509.DNSName(item) for item in names]
    alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    data.tls.mkdir(parents=True)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (data.tls / "server.pem").write_bytes(pem)
    (data.tls / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ssl.create_default_context(cadata=pem.decode())


async def secure(tmp_path: Path) -> tuple[Router, Plant, ssl.SSLContext]:
    data = DataDir(tmp_path)
    data.run.mkdir()
    context = certify(data, "*.us-east-1.amazonaws.com")
    router = Router(data, socket.create_server(("127.0.0.1", 0)))
    await router.start()
    plant = Plant(router, data, None)  # type: ignore[arg-type]  # no snapshot is needed here
    await plant.serve("control", mirror)
    return router, plant, context


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), b"content-length: 0")
    return head + await reader.readexactly(int(length.partition(b": ")[2]))


async def test_one_port_speaks_plain_http_and_tls(tmp_path: Path) -> None:
    router, plant, context = await secure(tmp_path)
    host, port = router.home()
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    for _ in range(2):
        answer = await exchange(reader, writer, b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b'"x-wildsage-scheme", "https"' in answer
    writer.close()
    plain = await plant.client.send(plant.address, get("/x"))
    assert plain.status == 201
    reader, writer = await asyncio.open_connection(host, port)
    writer.close()  # nothing was said
    plant.client.close()
    await router.close(1.0)
    await plant.servers[0].close(0.1)


async def test_a_proxy_client_finds_aws_here(tmp_path: Path) -> None:
    router, plant, context = await secure(tmp_path)
    reader, writer = await asyncio.open_connection(*router.home())
    name = b"sts.us-east-1.amazonaws.com"
    answer = await exchange(reader, writer, b"CONNECT %b:443 HTTP/1.1\r\nHost: %b:443\r\n\r\n" % (name, name))
    assert answer.startswith(b"HTTP/1.1 200 ")
    await writer.start_tls(context, server_hostname=name.decode())
    answer = await exchange(reader, writer, b"GET /caller HTTP/1.1\r\nHost: %b\r\n\r\n" % name)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b'"/caller"' in answer
    writer.close()
    plant.client.close()
    await router.close(1.0)
    await plant.servers[0].close(0.1)


async def test_a_proxy_client_reaches_everybody_else(plant: Plant) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(-1)).upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(*plant.router.home())
    answer = await exchange(reader, writer, b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port)
    assert answer.startswith(b"HTTP/1.1 200 ")
    writer.write(b"hello")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(-1), 5) == b"HELLO"
    writer.close()
    server.close()


async def test_who_speaks_first_in_a_tunnel_is_heard(plant: Plant) -> None:
    def greet(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"220 hello\r\n")

    async def delay() -> None:
        """What is said meanwhile has arrived before the loop comes to the next of its tasks."""
        while True:
            time.sleep(0.02)  # noqa: ASYNC251
            await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        greeting = asyncio.create_task(asyncio.to_thread(greet, listener))
        reader, writer = await asyncio.open_connection(*plant.router.home())
        delaying = asyncio.create_task(delay())
        writer.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % listener.getsockname()[1])
        told = await asyncio.wait_for(reader.read(-1), 60)
        delaying.cancel()
        await greeting
        writer.close()
    assert told.startswith(b"HTTP/1.1 200 ")
    assert told.endswith(b"\r\n\r\n220 hello\r\n")


async def test_a_tunnel_to_nowhere(plant: Plant) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    far = {f"127.0.0.1:{port}": 502, "a..b:443": 502, "x" * 300 + ":443": 502}
    none = {"nonsense": 400, ":443": 400, f"127.0.0.1:{port + 65536}": 400, "127.0.0.1:" + "9" * 5000: 400}
    for target, status in (far | none).items():
        reader, writer = await asyncio.open_connection(*plant.router.home())
        answer = await exchange(reader, writer, f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        writer.close()


@pytest.mark.parametrize(
    ("peer", "far", "expected"),
    [
        ("127.0.0.1:5", "127.0.0.1", False),
        ("::1:5", "169.254.169.253", False),
        ("127.0.0.1:5", "169.254.169.254", True),
        ("127.0.0.1:5", "::ffff:169.254.169.254", True),
        ("::1:5", "fd00:ec2::254", True),
        ("10.0.0.7:5", "93.184.216.34", False),
        ("10.0.0.7:5", "10.0.0.8", False),
        ("10.0.0.7:5", "127.0.0.1", True),
        ("10.0.0.7:5", "169.254.169.254", True),
        ("fd00::7:5", "::1", True),
        ("fd00::7:5", "::ffff:127.0.0.1", True),
        ("10.0.0.7:5", "fe80::1%eth0", True),
    ],
)
def test_what_is_a_machines_own_is_not_tunnelled_to_others(peer: str, far: str, expected: bool) -> None:
    assert refused(peer, (far, 80)) is expected


def test_the_machines_role_may_be_tunnelled_where_somebody_wants_it_so() -> None:
    assert not refused("127.0.0.1:5", ("169.254.169.254", 80), True)
    assert refused("10.0.0.7:5", ("169.254.169.254", 80), True)


def test_which_names_are_aws() -> None:
    ours = ("sts.us-east-1.amazonaws.com", "STS.AmazonAWS.com.", "x.amazonaws.com.cn", "s3.us-east-1.api.aws")
    others = ("amazonaws.com.example.org", "packages.example.org", "notamazonaws.com", "127.0.0.1")
    assert all(map(is_aws, ours))
    assert not any(map(is_aws, others))


async def test_as_a_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wildsage.dataplane", "--data", str(tmp_path), "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    assert line.startswith("listening on http://127.0.0.1:")
    client = Client()
    response = await client.send("tcp:" + line.rpartition("//")[2], get("/_wildsage/health"))
    assert response.status == 503
    client.close()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_process_inherits_a_socket(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        os.set_inheritable(listener.fileno(), True)
        fd = listener.fileno()
        command = [sys.executable, "-m", "wildsage.dataplane", "--data", str(tmp_path), "--fd", str(fd)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, pass_fds=[fd])
    client = Client()  # the kernel keeps the connection until the router is ready
    response = await client.send(f"tcp:{host}:{port}", get("/_wildsage/health"))
    assert response.status == 503
    client.close()
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0
