"""Bytes that nobody has signed, on one port: damaged heads, bodies and signatures, several requests in one connection.

Each connection ends, nothing is answered with an error of ours, and no process grows or logs an exception. The seed is
fixed, so a failure can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import re
from pathlib import Path

from tests.conftest import Server
from tests.damage import damaged

CONNECTIONS = 1500
AT_ONCE = 64
SEED = 20_261_122
QUIET_SECONDS = 0.3  # then the client says that it will send no more
END_SECONDS = 120.0
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
NOT_OURS = (b"505",)  # of a damaged version
SIGNED = "AWS4-HMAC-SHA256 Credential={key}/20261122/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature="
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; '
    b'name="policy"\r\n\r\nZm9v\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nxyz\r\n'
    b"--b--\r\n"
)
SCRAPS = (
    b"\r\n", b"\n", b"\0", b"\xff\xfe", b"%", b"%00", b"%zz", b"%ff", b"..", b"//", b"?", b"&", b"=", b" ", b": ",
    b"A" * 300, b"9" * 40, b"-1", b"\xed\xa0\x80", b"<!DOCTYPE x>", b"HTTP/1.0", b"\x16\x03\x01\x02\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Host: [::\r\n",
    b"x-amz-date: \r\n", b"x-amz-security-token: \xe9\r\n", b"Content-Encoding: gzip\r\n", b"Upgrade: h2c\r\n",
    b"Origin: null\r\n", b"Content-Type: application/cbor\r\n", b"versionId=%&", b"partNumber=99999999999&",
    b"max-keys=-1&", b"X-Amz-Expires=999999999999&", b"X-Amz-Date=99999999T999999Z&",
)  # fmt: skip


def message(method: str, target: str, body: bytes = b"", *headers: str, cut: bool = False) -> bytes:
    """A request; ``cut``: its body in chunks of seven bytes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
    lines.append("Transfer-Encoding: chunked" if cut else f"Content-Length: {len(body)}")
    if cut:
        pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body


def messages(key: str) -> list[bytes]:
    """What each parser is reached by: of heads, queries, bodies in every protocol, uploads, the registry."""

    def by(service: str) -> tuple[str, str]:
        return "Authorization: " + SIGNED.format(key=key, service=service) + "0" * 64, "X-Amz-Date: 20261122T080000Z"

    presigned = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key}%2F20261122%2Fus-east-1%2Fs3%2Faws4_request"
        f"&X-Amz-Date=20261122T080000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={'a' * 64}"
    )
    signed_chunk = b"3;chunk-signature=" + b"a" * 64 + b"\r\nabc\r\n0;chunk-signature=" + b"a" * 64 + b"\r\n\r\n"
    trailing = b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    form, multipart = "Content-Type: application/x-www-form-urlencoded", "Content-Type: multipart/form-data; boundary=b"
    chunks = "x-amz-decoded-content-length: 3", "Content-Encoding: aws-chunked"
    describe, metrics = "SageMaker.DescribeTrainingJob", "GraniteServiceVersion20100801"
    tagged = "x-amz-copy-source: /a/b%3FversionId=c", "x-amz-meta-a: =?utf-8?q?=c3?="
    names = b'{"TrainingJobName":"a"}'
    token = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=a&WebIdentityToken=x&RoleSessionName=abc"
    return [
        message("GET", f"/bucket/key?{presigned}"),
        message("PUT", f"/bucket/key?{presigned}", b"abc"),
        message("GET", f"/bucket/key?AWSAccessKeyId={key}&Signature=abc%3D&Expires=1795330000"),
        message("GET", "/b%C3%BC/k?list-type=2&prefix=%F0%9F%98%80"),
        message("OPTIONS", "/b/k", b"", "Origin: http://x", "Access-Control-Request-Method: PUT"),
        message("POST", "/", names, f"X-Amz-Target: {describe}", *by("sagemaker")),
        message("POST", "/", names, f"X-Amz-Target: {describe}", *by("sagemaker"), cut=True),
        message("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", form, *by("sts")),
        message("POST", "/", token, form),
        message("POST", "/", b"Action=ConfirmSubscription&Version=2010-03-31&TopicArn=t&Token=abc", form),
        message(
            "POST", f"/service/{metrics}/operation/PutMetricData", b"\xa1\x61N\x61a", "smithy-protocol: rpc-v2-cbor",
            *by("monitoring"),
        ),
        message(
            "POST", "/", gzip.compress(b'{"a":1}', mtime=0), f"X-Amz-Target: {metrics}.PutMetricData",
            "Content-Encoding: gzip", *by("monitoring"),
        ),
        message(
            "PUT", "/bucket/key", signed_chunk, *chunks, "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            *by("s3"),
        ),
        message(
            "PUT", "/bucket/key", trailing, *chunks, "x-amz-trailer: x-amz-checksum-crc32",
            "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", *by("s3"),
        ),
        message("POST", "/bucket", FORM, multipart),
        message("POST", "/bucket", FORM, multipart, cut=True),
        message("POST", "/bucket?delete", b"<Delete><Object><Key>a</Key></Object></Delete>", "Content-MD5: AAAA"),
        message("PUT", "/bucket/key", b"", *tagged),
        message("GET", "/bucket/key", b"", "Range: bytes=0-1,5-", "If-Modified-Since: Sun, 22 Nov 2026 08:00:00 GMT"),
        message("POST", "/endpoints/e/invocations", b"1,2", "X-Amzn-SageMaker-Target-Model: ../x", *by("sagemaker")),
        message("POST", "/endpoints/e%2F..%2f/invocations-response-stream", b"1,2"),
        message("PUT", "/2015-03-31/functions/f/code", b'{"ZipFile":"AAAA"}', *by("lambda")),
        message("GET", "/v2/a/b/manifests/latest", b"", "Authorization: Basic QVdTOmZvbw=="),
        message("PATCH", f"/v2/a/blobs/uploads/0?digest=sha256:{'0' * 64}", b"abc", "Content-Range: 0-2"),
        message("GET", "/_wildsage/health"),
        message("POST", "/_wildsage/commands/interrupt", b"{}", *by("sagemaker")),
        message("PUT", "/bucket/key", b"abc", "Expect: 100-continue"),
    ]  # fmt: skip


def spoilt(dice: random.Random, sent: bytes) -> bytes:
    """As it is, or damaged, at times with a line more."""
    if not dice.randrange(6):
        return sent
    raw = damaged(dice, sent, SCRAPS)
    if dice.randrange(3):
        return raw
    lines = raw.split(b"\r\n")
    lines.insert(dice.randrange(len(lines)) + 1, dice.choice(SCRAPS).strip())
    return b"\r\n".join(lines)


async def answered(host: str, port: int, sent: bytes) -> bytes:
    """All that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection(host, port)
    found = b""
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        with contextlib.suppress(TimeoutError):
            while piece := await asyncio.wait_for(reader.read(65536), QUIET_SECONDS):
                found += piece
        if not reader.at_eof():
            writer.write_eof()
            found += await asyncio.wait_for(reader.read(), END_SECONDS)
    writer.close()
    return found


def grown(server: Server) -> dict[str, tuple[int, int]]:
    """MiB of memory and open files of each process."""
    found = {}
    for name, pid in server.status["processes"].items():
        status = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        found[name] = (int(status[1]) // 1024 if status else 0, len(list(Path(f"/proc/{pid}/fd").iterdir())))
    return found


async def test_unsigned_bytes(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    known, turns = messages(server.root_key[0]), asyncio.Semaphore(AT_ONCE)
    before, logs = grown(server), {path: path.stat().st_size for path in (server.data / "logs").glob("*.log")}

    async def one(number: int) -> set[bytes]:
        dice = random.Random(SEED + number)
        sent = b"".join(spoilt(dice, dice.choice(known)) for _ in range(dice.choice((1, 1, 2, 4))))
        async with turns:
            found = set(STATUS.findall(await answered(host, int(port), sent)))
        assert not [each for each in found if each >= b"500" and each not in NOT_OURS], (number, sent)
        return found

    statuses = set().union(*await asyncio.gather(*(one(number) for number in range(CONNECTIONS))))
    assert statuses >= {b"200", b"400", b"403", b"404"}, "the messages do not reach what they are meant for"
    for name, (memory, files) in grown(server).items():
        assert memory < before[name][0] + 64, (name, before[name], memory)
        assert files < before[name][1] + AT_ONCE, (name, before[name], files)
    for path in (server.data / "logs").glob("*.log"):
        said = path.read_bytes()[logs.get(path, 0) :]
        assert b"Traceback" not in said, (path, said)
