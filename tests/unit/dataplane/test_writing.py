"""Small writes in the objects process, without control: what cannot be kept there is handed on as it came."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.dataplane.plant import ACCOUNT, ROOT

from wildsage.core.background import Background
from wildsage.core.clock import SystemClock
from wildsage.core.routes import Key, ObjectGrant, Permission, Routes
from wildsage.dataplane.callers import Callers
from wildsage.dataplane.objects.commits import Commits
from wildsage.dataplane.objects.known import Known
from wildsage.dataplane.objects.lane import Lane
from wildsage.dataplane.objects.writing import Writing
from wildsage.dataplane.table import Table
from wildsage.objects.local import LocalObjects
from wildsage.store.buckets import Bucket, Buckets
from wildsage.store.database import Database
from wildsage.store.directindex import DirectIndex
from wildsage.store.directwrites import DirectWrites
from wildsage.wire.http.client import Client
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.limits import Limits
from wildsage.wire.http.messages import BytesBody, Headers, Request, Response
from wildsage.wire.http.server import Server
from wildsage.wire.sigv4 import Credentials, sign
from wildsage.wire.sigv4_streaming import UNSIGNED_TRAILER

KEY = "AKIAROOT"
ANYTHING = Permission(("*",))


@dataclass(slots=True)
class Place:
    """``handed_on``: headers and body of what went to control."""

    lane: Lane
    writing: Writing
    database: Database
    client: Client
    address: str
    handed_on: list[tuple[Headers, Any]] = field(default_factory=list)

    async def put(self, key: str, body: bytes, headers: Headers, hashed: str | None) -> tuple[Response, Headers]:
        """The answer, and the headers that were sent."""
        request = Request("PUT", f"/bucket/{key}", [("host", "localhost"), *headers], BytesBody(body))
        sign(request, Credentials(KEY, "root-secret"), "us-east-1", "s3", time.time(), hashed)
        sent = [*request.headers, ("content-length", str(len(body)))]
        request.headers = list(sent)
        return await self.client.send(self.address, request), sent


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    (tmp_path / "objects").mkdir()
    path = tmp_path / "a.db"
    database = await Database.open(path)
    await Buckets(database).create(Bucket("bucket", ACCOUNT, "us-east-1", 1.0))
    clock, table = SystemClock(), Table()
    keys = {KEY: Key("root-secret", ROOT, ACCOUNT, ROOT)}
    table.put(Routes(1, ACCOUNT, "00" * 32, keys, {}, {}, objects={ROOT: ObjectGrant(ACCOUNT, ANYTHING, ANYTHING)}))
    known = Known(table, Callers(table, clock), DirectIndex(path), clock)
    objects = LocalObjects(tmp_path / "objects", ".incoming-objects")
    commits = Commits(DirectWrites(path), known.index, tmp_path / "objects", tmp_path / "objects" / ".incoming-objects")
    background = Background()

    def forward(exchange: Exchange) -> None:
        found.handed_on.append((exchange.request.headers, exchange.request.body))
        exchange.respond(202, [], b"")

    writing = Writing(known, commits, objects, forward, background)
    lane = Lane(known, writing, tmp_path / "objects", background)
    server = Server(lambda exchange: None if lane.answer(exchange) else forward(exchange), Limits())
    sock = socket.create_server(("127.0.0.1", 0))
    await server.listen(sock)
    client = Client()
    found = Place(lane, writing, database, client, f"tcp:127.0.0.1:{server.port}")
    yield found
    client.close()
    await server.close(1.0)
    await commits.close()
    objects.close()
    known.index.close()
    await database.close()


def chunked(data: bytes) -> tuple[bytes, Headers]:
    body = b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (len(data), data, b"O4unxw==")
    named = [("x-amz-decoded-content-length", str(len(data))), ("x-amz-trailer", "x-amz-checksum-crc32")]
    return body, [*named, ("content-encoding", "aws-chunked")]


async def test_what_came_in_chunks_goes_to_control_as_it_came_when_the_bucket_has_changed(place: Place) -> None:
    body, headers = chunked(b"text")
    first, _ = await place.put("a", body, headers, UNSIGNED_TRAILER)
    assert (first.status, first.header("x-amz-checksum-crc32")) == (200, "O4unxw==")
    await Buckets(place.database).set("bucket", "CORSConfiguration", "{}")
    second, sent = await place.put("a", body, headers, UNSIGNED_TRAILER)
    assert second.status == 202
    ((onward, raw),) = place.handed_on
    assert dict(onward).items() >= dict(sent).items()
    assert isinstance(raw, BytesBody)
    assert raw.data == body
    third, _ = await place.put("a", body, headers, UNSIGNED_TRAILER)
    assert third.status == 200  # the bucket is known anew


async def test_a_bug_is_answered_and_not_a_connection_that_ends(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_exchange: Exchange) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(place.writing, "answer", fail)
    answer, _ = await place.put("a", b"text", [], "UNSIGNED-PAYLOAD")
    assert answer.status == 500
    assert "a bug" in caplog.text


async def test_a_disk_that_is_full_is_told_by_control(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: DirectWrites) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(DirectWrites, "commit", fail)
    answer, _ = await place.put("a", b"text", [], "UNSIGNED-PAYLOAD")
    assert answer.status == 202
    assert [raw.data for _, raw in place.handed_on] == [b"text"]
