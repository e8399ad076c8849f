"""The server killed in the middle of pushes: what was acknowledged is there and whole, and nothing else stays."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import signal
import sqlite3
import threading
from collections.abc import Iterator, Sized
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.api.ecr.pushing import Registry, config_bytes, digest, image, new_repository, registry_of
from tests.conftest import Server, start_server
from tests.e2e.test_objects_process import objects_pid
from tests.e2e.test_s3_crash import kill_all
from tests.waiting import wait_until

SEED = 20_261_122
KILLS = 3
CLIENTS = 3
MEGABYTE = 1024 * 1024


class Pusher(threading.Thread):
    """Pushes images until the server is gone. ``told``: tag → digests of the manifest and of its layer."""

    def __init__(self, registry: Registry, name: str, seed: int, told: dict[str, tuple[str, str]]) -> None:
        super().__init__()
        self._registry = registry
        self._name = name
        self._dice = random.Random(seed)
        self._told = told
        self._tag = f"t{seed}"

    def run(self) -> None:
        number = 0
        try:
            while True:
                number += 1
                self._push(f"{self._tag}-{number}", self._dice.randbytes(self._dice.choice((0, 100, 70_000, MEGABYTE))))
        except (OSError, http.client.HTTPException, AssertionError):
            return  # killed: what was under way may have happened or not

    def _push(self, tag: str, layer: bytes) -> None:
        registry, name = self._registry, self._name
        place = registry.begin(name)
        half = self._dice.choice((0, len(layer) // 2))
        for piece in (layer[:half], layer[half:]):
            assert not piece or registry("PATCH", place, iter([piece])).status == 202
        assert registry("PUT", f"{place}?digest={digest(layer)}").status == 201
        registry.push_blob(name, config_bytes())
        manifest = registry.push_manifest(name, tag, image(config_bytes(), layer))
        self._told[tag] = manifest, digest(layer)


def check(server: Server, registry: Registry, name: str, told: dict[str, tuple[str, str]]) -> None:
    for tag, (manifest, layer) in told.items():
        found = registry("GET", f"/v2/{name}/manifests/{tag}")
        assert (found.status, digest(found.body)) == (200, manifest)
        assert digest(registry("GET", f"/v2/{name}/blobs/{layer}").body) == layer
    with closing(sqlite3.connect(f"file:{server.data / 'wildsage.db'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT digest, size, blob FROM image_layers").fetchall()
        pieces = {row[0] for row in database.execute("SELECT blob FROM image_pieces")}
        held = {row[0] for row in database.execute("SELECT name FROM held_blobs")}
        going = {row[0] for row in database.execute("SELECT name FROM s3_garbage")}
    objects = server.data / "objects"
    for stated, size, blob in rows:
        data = (objects / blob).read_bytes()
        assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (size, stated)
    assert held == {blob for _, _, blob in rows} | pieces
    files = {str(path.relative_to(objects)) for path in (objects / "ECR").rglob("*") if path.is_file()}
    assert files - going == held


def first_names(server: Server) -> list[Path]:
    """Files that were being written."""
    return [path for folder in (server.data / "objects").glob(".incoming*") for path in folder.iterdir()]


def settled(server: Server) -> bool:
    """Whether nothing is half written."""
    return not first_names(server)


def reached(told: Sized, enough: int) -> bool:
    return len(told) >= enough


def test_no_push_is_lost_or_half_there(short_directory: Path) -> None:
    dice, told = random.Random(SEED), dict[str, tuple[str, str]]()
    server = start_server(short_directory / "registry-crash")
    name = new_repository(server.client("ecr"))
    try:
        for turn in range(KILLS):
            registry, enough = registry_of(server), len(told) + dice.randrange(2, 15)
            clients = [Pusher(registry, name, turn * CLIENTS + number, told) for number in range(CLIENTS)]
            for client in clients:
                client.start()
            wait_until(partial(reached, told, enough))
            kill_all(server)
            for client in clients:
                client.join()
            server = start_server(short_directory / "registry-crash")
            objects_pid(server)
            wait_until(partial(settled, server))
            check(server, registry_of(server), name, told)
    finally:
        server.stop()
    assert len(told) > KILLS


@pytest.fixture
def killable(short_directory: Path) -> Iterator[Server]:
    server = start_server(short_directory / "registry-objects")
    wait_until((server.data / "run" / "objects-door.sock").exists)
    yield server
    server.stop()


def test_the_process_that_moves_the_bytes_dies(killable: Server) -> None:
    registry, name = registry_of(killable), new_repository(killable.client("ecr"))
    data = random.Random(SEED).randbytes(4 * MEGABYTE)

    def dying() -> Iterator[bytes]:
        yield data[: 2 * MEGABYTE]
        wait_until(lambda: first_names(killable))
        os.kill(objects_pid(killable), signal.SIGKILL)
        for start in range(2 * MEGABYTE, len(data), 65536):
            yield data[start : start + 65536]

    place = registry.begin(name)
    try:
        broken = registry("PATCH", place, dying()).status != 202
    except (OSError, http.client.HTTPException):
        broken = True
    assert broken
    # A request that was on its way to it is lost with it, and asked again.
    wait_until(lambda: registry("GET", place).headers.get("range") == "0-0")
    assert registry.push_blob(name, data) == digest(data)  # by control, or by the next process
    objects_pid(killable)
    wait_until(partial(settled, killable))
    check(killable, registry, name, {})


def test_a_client_that_goes_leaves_nothing(killable: Server) -> None:
    registry, name = registry_of(killable), new_repository(killable.client("ecr"))

    def going() -> Iterator[bytes]:
        yield bytes(2 * MEGABYTE)
        wait_until(lambda: first_names(killable))
        raise OSError("the client goes")

    place = registry.begin(name)
    with pytest.raises(OSError, match="the client goes"):
        registry("PATCH", place, going())
    wait_until(partial(settled, killable))
    assert registry("GET", place).headers["range"] == "0-0"
    check(killable, registry, name, {})


def peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_a_large_layer_takes_no_memory(killable: Server) -> None:
    registry, name = registry_of(killable), new_repository(killable.client("ecr"))
    registry.push_blob(name, b"so that all is loaded")
    pids = killable.status["processes"].values()
    before = {pid: peak_memory(pid) for pid in pids}
    piece = random.Random(SEED).randbytes(MEGABYTE)
    hashed = hashlib.sha256()
    for _ in range(300):
        hashed.update(piece)
    place = registry.begin(name)
    assert registry("PATCH", place, iter([piece] * 300)).headers["range"] == f"0-{300 * MEGABYTE - 1}"
    assert registry("PUT", f"{place}?digest=sha256:{hashed.hexdigest()}").status == 201
    grown = {pid: peak_memory(pid) - peak for pid, peak in before.items()}
    assert max(grown.values()) < 50 * MEGABYTE, grown
