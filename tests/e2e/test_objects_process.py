"""The objects process may die at any moment: nothing acknowledged is lost, and others do its work meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Sized
from functools import partial
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.killing import gone
from tests.waiting import wait_until
from wildsage.store.packs import pack, unpack

SECONDS = 120.0  # what is overwritten stays for 30
BUCKET = "killed"


def more_than(found: Sized, count: int) -> bool:
    return len(found) > count


def objects_pid(server: Server) -> int:
    """The pid of an objects process that runs."""

    def running() -> int:
        pid = int(server.status["processes"].get("objects", 0))
        return 0 if not pid or gone(pid) else pid

    return int(wait_until(running))


@pytest.fixture
def killable(short_directory: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    name: str = request.node.name
    server = start_server(short_directory / name[5:20])
    server.client("s3").create_bucket(Bucket=BUCKET)
    wait_until((server.data / "run" / "objects-door.sock").exists)
    yield server
    server.stop()


def write(server: Server, worker: int, acknowledged: dict[str, str], stop: threading.Event) -> None:
    """Puts small and larger objects until told to stop; notes the MD5 of what was acknowledged."""
    s3, chance = server.client("s3", config=Config(retries={"total_max_attempts": 1})), random.Random(worker)
    number = 0
    while not stop.is_set():
        key = f"{worker}/{number}"
        data = chance.randbytes(chance.choice((10, 1_000, 30_000, 300_000)))
        number += 1
        with contextlib.suppress(BotoCoreError, ClientError):
            s3.put_object(Bucket=BUCKET, Key=key, Body=data)
            acknowledged[key] = hashlib.md5(data).hexdigest()


def files_of(server: Server) -> set[str]:
    """Every file of the object store but those that only its processes keep."""
    root = server.data / "objects"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def blobs_of(server: Server) -> set[str]:
    """Every blob that the index names."""
    with contextlib.closing(sqlite3.connect(server.data / "wildsage.db")) as connection:
        return {name for (name,) in connection.execute("SELECT blob FROM s3_objects WHERE blob IS NOT NULL")}


def test_killed_under_load_it_loses_nothing_and_leaves_nothing(killable: Server) -> None:
    acknowledged: dict[str, str] = {}
    stop = threading.Event()
    writers = [threading.Thread(target=write, args=(killable, worker, acknowledged, stop)) for worker in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            before, pid = len(acknowledged), objects_pid(killable)
            wait_until(partial(more_than, acknowledged, before + 20))
            os.kill(pid, signal.SIGKILL)
            wait_until(partial(gone, pid))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    s3 = killable.client("s3")
    for key, digest in acknowledged.items():
        assert hashlib.md5(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest() == digest, key
    killable.stop()
    again = start_server(killable.data)
    try:
        wait_until(lambda: files_of(again) == blobs_of(again))
    finally:
        again.stop()


def test_what_is_overwritten_leaves_neither_files_nor_bytes(killable: Server) -> None:
    def put(worker: int) -> None:
        s3 = killable.client("s3")
        for number in range(40):
            s3.put_object(Bucket=BUCKET, Key=f"k{number % 3}", Body=b"%d %d" % (worker, number))

    writers = [threading.Thread(target=put, args=(worker,)) for worker in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wait_until(lambda: not unsynced(killable) and files_of(killable) == blobs_of(killable))
    assert len(blobs_of(killable)) == 3


def test_while_it_is_away_the_others_serve(killable: Server) -> None:
    for number in range(5):
        pid, key = objects_pid(killable), f"a{number}"
        os.kill(pid, signal.SIGKILL)
        wait_until(partial(gone, pid))
        s3 = killable.client("s3")
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"text")
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"text"
        assert killable.client("sts").get_caller_identity()["Account"] == "000000000000"


def answered(server: Server) -> int:
    """How many requests the objects process has answered itself."""
    line = http.client.HTTPConnection("objects")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.settimeout(SECONDS)
    try:
        line.sock.connect(str(server.data / "run" / "objects-routes.sock"))
        line.request("GET", "/counters")
        return int(json.load(line.getresponse())["answered"])
    finally:
        line.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_while_it_is_stopped_the_others_serve(killable: Server, scheme: str) -> None:
    """New clients are not handed to a process that does not answer."""
    options = {"endpoint_url": killable.url.replace("http", scheme)}
    if scheme == "https":
        options["verify"] = killable.environment["AWS_CA_BUNDLE"]
    first = killable.client("s3", **options)
    first.put_object(Bucket=BUCKET, Key="a", Body=b"text")
    wait_until(lambda: not unsynced(killable))  # it is not in the middle of a commit
    pid = objects_pid(killable)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(1.0)  # longer than an answer is believed in
        config = Config(read_timeout=20, retries={"total_max_attempts": 3})
        for number in range(3):
            s3 = killable.client("s3", config=config, **options)
            s3.put_object(Bucket=BUCKET, Key=f"b{number}", Body=b"text")
            assert s3.get_object(Bucket=BUCKET, Key=f"b{number}")["Body"].read() == b"text"
        if scheme == "https":  # the slower one
            wait_until(partial(gone, pid))  # it is replaced
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def again() -> bool:
        with contextlib.suppress(OSError):  # the next one does not listen yet
            before = answered(killable)
            killable.client("s3", **options).get_object(Bucket=BUCKET, Key="a")
            return answered(killable) > before
        return False

    wait_until(again)


def test_files_that_a_power_failure_took_come_back(killable: Server) -> None:
    """The files of small objects are not flushed one by one; until they are, the database has their bytes."""
    s3, pids = killable.client("s3"), [killable.process.pid, *killable.status["processes"].values()]
    kept = {f"k{number}": os.urandom(2_000) for number in range(60)}
    for number, (key, data) in enumerate(kept.items()):
        # What has tags is written by control.
        s3.put_object(Bucket=BUCKET, Key=key, Body=data, **({"Tagging": "a=b"} if number % 2 else {}))
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    killable.stop()
    for pid in pids:  # one that still ends may be about to forget bytes
        wait_until(partial(gone, pid))
    with contextlib.closing(sqlite3.connect(killable.data / "wildsage.db")) as connection:
        lost = [name for (name,) in connection.execute("SELECT name FROM s3_unsynced")]
        packs = connection.execute("SELECT contents, bytes FROM s3_packs").fetchall()
    lost += [name for each in packs for name, _ in unpack(*each)]
    for number, name in enumerate(lost):
        path = killable.data / "objects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 3 == 0:
            path.unlink(missing_ok=True)
        elif number % 3 == 1:
            path.write_bytes(b"")
        else:
            path.write_bytes(bytes(2_000))
    again = start_server(killable.data)
    try:
        s3 = again.client("s3")
        for key, data in kept.items():
            assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == data, key
        assert unsynced(again) == 0
    finally:
        again.stop()
    assert packs, "everything was flushed before the kill: nothing was tested"


def unsynced(server: Server) -> int:
    """How many small objects, or packs of them, have their bytes in the database."""
    count = "SELECT (SELECT count(*) FROM s3_unsynced) + (SELECT count(*) FROM s3_packs)"
    with contextlib.closing(sqlite3.connect(server.data / "wildsage.db")) as connection:
        return int(connection.execute(count).fetchone()[0])


def keep(connection: sqlite3.Connection, blob: str, data: bytes, packed: bool) -> None:
    """As control does, or the objects process."""
    if packed:
        row = pack([("x", b"abc"), (blob, data), ("y", b"")])
        connection.execute("INSERT OR REPLACE INTO s3_packs (number, contents, bytes) VALUES (1, ?, ?)", row)
    else:
        connection.execute("INSERT INTO s3_unsynced (name, bytes) VALUES (?, ?)", (blob, data))
    connection.commit()


@pytest.mark.parametrize(("size", "packed"), [(3_000, False), (3_000, True), (200_000, False)])
def test_a_reader_that_finds_no_file_gets_the_bytes_that_the_database_has(
    server: Server, size: int, packed: bool
) -> None:
    s3, data = server.client("s3"), os.urandom(size)
    where = {"Bucket": f"without-files-{size}-{packed:d}", "Key": "a"}
    s3.create_bucket(Bucket=where["Bucket"])
    s3.put_object(**where, Body=data)
    wait_until(lambda: not unsynced(server))
    with contextlib.closing(sqlite3.connect(server.data / "wildsage.db", timeout=60)) as connection:
        (blob,) = connection.execute("SELECT blob FROM s3_objects WHERE bucket = ?", (where["Bucket"],)).fetchone()
        path = server.data / "objects" / blob
        for damage in (path.unlink, partial(path.write_bytes, b""), partial(path.write_bytes, data[:-1])):
            keep(connection, blob, data, packed)
            damage()
            assert s3.get_object(**where)["Body"].read() == data
            damage()
            s3.copy_object(Bucket=where["Bucket"], Key="copy", CopySource=where)
            assert path.read_bytes() == data
        connection.execute("DELETE FROM s3_unsynced")
        connection.execute("DELETE FROM s3_packs")
        connection.commit()
    path.unlink()
    with pytest.raises(ClientError, match="missing in the data directory"):
        s3.get_object(**where)
