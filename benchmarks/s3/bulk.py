"""Large objects: a GET of 64 MiB against nginx on the same file, a PUT against dd on the same disk."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import wrk
from benchmarks.report import Finding, spread
from benchmarks.s3 import peers
from benchmarks.s3.client import Connection, place_of
from benchmarks.s3.signing import UNSIGNED, Place, script
from benchmarks.server import Server

BUCKET = "benchmark-bulk"
_MIB = 64
_CLIENTS = (1, 4)
_BAR = 0.5


def run(server: Server, rounds: int, seconds: int) -> Iterator[Finding]:
    place = place_of(server)
    connection = Connection(place)
    connection.send("PUT", f"/{BUCKET}")
    source = server.folder / "source"
    source.write_bytes(os.urandom(_MIB << 20))
    connection.send("PUT", f"/{BUCKET}/large.bin", source.read_bytes())
    yield from _get(server, place, rounds, seconds)
    yield from _put(server, place, connection, source, rounds)
    connection.close()


def _get(server: Server, place: Place, rounds: int, seconds: int) -> Iterator[Finding]:
    folder = server.data / "objects" / BUCKET
    file = next(folder.glob("*/*~large.bin"))
    ours = script(server.folder / "large.lua", place, "GET", [f"/{BUCKET}/large.bin"])
    with peers.nginx(folder, server.folder / "nginx-large") as url:
        target = f"/{file.relative_to(folder)}"
        theirs = script(server.folder / "nginx-large.lua", Place(url, "none", "none"), "GET", [target])
        for clients in _CLIENTS:
            rates: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds):
                rates[0].append(wrk(place.url, ours, clients, seconds, None).rate * _MIB)
                rates[1].append(wrk(url, theirs, clients, seconds, None).rate * _MIB)
            yield from _compared(f"GET of {_MIB} MiB, {_plural(clients)}", *rates, "nginx, sendfile")


def _put(server: Server, place: Place, connection: Connection, source: Path, rounds: int) -> Iterator[Finding]:
    body = source.read_bytes()
    unsigned: list[float] = []
    signed: list[float] = []
    dd: list[float] = []
    for number in range(rounds):
        for payload, found in ((UNSIGNED, unsigned), (None, signed)):
            path = f"/{BUCKET}/put-{number}"
            headers = place.headers("PUT", path, body, payload)
            began = time.perf_counter()
            connection.send("PUT", path, body, headers)
            found.append(_MIB / (time.perf_counter() - began))
            connection.send("DELETE", path)
        target = server.data / "dd.bin"
        began = time.perf_counter()
        command = ["dd", f"if={source}", f"of={target}", "bs=1M", "conv=fsync", "status=none"]
        subprocess.run(command, check=True)
        dd.append(_MIB / (time.perf_counter() - began))
        target.unlink()
    yield from _compared(f"PUT of {_MIB} MiB, payload not signed (as over TLS)", unsigned, dd, "dd conv=fsync")
    yield from _compared(f"PUT of {_MIB} MiB, payload signed", signed, dd, "dd conv=fsync")


def _plural(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"


def _compared(what: str, ours: list[float], theirs: list[float], peer: str) -> Iterator[Finding]:
    ratio = statistics.median(ours) / statistics.median(theirs)
    yield Finding(what, f"{spread(ours)} MiB/s")
    yield Finding(
        f"  {peer}", f"{spread(theirs)} MiB/s; we do {ratio:.2f} times that", f"{_BAR:g} times", ratio >= _BAR
    )
