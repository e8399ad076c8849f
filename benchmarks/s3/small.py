"""Small objects: 1 KB, 32 clients, every request signed, keys that hardly repeat."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import wrk
from benchmarks.report import Finding, spread
from benchmarks.s3 import peers
from benchmarks.s3.client import Connection, await_rest, place_of
from benchmarks.s3.signing import Place, script
from benchmarks.server import Server

BUCKET = "benchmark-small"
_CLIENTS = 32
_BODY = b"x" * 1024
_GET_KEYS = 4_000
_PUT_KEYS = 20_000  # some three seconds of the bar
_BARS = {"MiniStack": 3.0, "moto": 10.0}
_BAR_GET = 8_000


def run(server: Server, rounds: int, seconds: int, bin_folder: Path | None) -> Iterator[Finding]:
    """GET and PUT per second, ours and theirs, one after the other in each round."""
    with contextlib.ExitStack() as stack:
        places = {"Wildsage": place_of(server)}
        if bin_folder is not None:
            places["MiniStack"] = stack.enter_context(peers.ministack(bin_folder, server.folder))
            places["moto"] = stack.enter_context(peers.moto(bin_folder, server.folder))
        for place in places.values():
            _fill(place)
        for method in ("GET", "PUT"):
            rates = _rates(server, places, method, rounds, seconds)
            if method == "GET":
                rates["nginx, not signed"] = _nginx(server, places["Wildsage"], rounds, seconds)
            yield from _findings(method, rates)


def _fill(place: Place) -> None:
    """Puts the objects that are read, by eight clients."""
    first = Connection(place)
    first.send("PUT", f"/{BUCKET}")
    first.close()
    failed: list[BaseException] = []

    def put(start: int) -> None:
        connection = Connection(place)
        try:
            for number in range(start, _GET_KEYS, 8):
                connection.send("PUT", _target("get", number), _BODY)
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=put, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(f"{place.url} could not be filled") from failed[0]


def _target(kind: str, number: int) -> str:
    return f"/{BUCKET}/{kind}-{number:05}"


def _rates(server: Server, places: dict[str, Place], method: str, rounds: int, seconds: int) -> dict[str, list[float]]:
    count = _GET_KEYS if method == "GET" else _PUT_KEYS
    body = b"" if method == "GET" else _BODY
    targets = [_target(method.lower(), number) for number in range(count)]
    scripts = {
        name: script(server.folder / f"{name}-{method}.lua", place, method, targets, body)
        for name, place in places.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(rounds):
        for name, place in places.items():
            rates[name].append(wrk(place.url, scripts[name], _CLIENTS, seconds, None).rate)
            await_rest(server.data)
    return rates


def _nginx(server: Server, ours: Place, rounds: int, seconds: int) -> list[float]:
    """nginx on the very files of our objects."""
    root = server.folder / "small"
    (root / BUCKET).mkdir(parents=True)
    for path in (server.data / "objects" / BUCKET).glob("*/*~get-*"):
        os.link(path, root / BUCKET / path.name.rpartition("~")[2])
    with peers.nginx(root, server.folder / "nginx-small") as url:
        lua = server.folder / "nginx.lua"
        script(lua, Place(url, ours.access_key, ours.secret), "GET", [_target("get", n) for n in range(_GET_KEYS)])
        return [wrk(url, lua, _CLIENTS, seconds, None).rate for _ in range(rounds)]


def _findings(method: str, rates: dict[str, list[float]]) -> Iterator[Finding]:
    ours = statistics.median(rates["Wildsage"])
    bar, met = (f"{_BAR_GET:,}/s", ours >= _BAR_GET) if method == "GET" else ("", True)
    yield Finding(f"{method} of 1 KB, {_CLIENTS} clients", f"{spread(rates['Wildsage'])}/s", bar, met)
    for name, found in rates.items():
        if name == "Wildsage":
            continue
        ratio = ours / statistics.median(found)
        least = _BARS.get(name)
        bar = "" if least is None else f"{least:g} times"
        figure = f"{spread(found)}/s; we do {ratio:.2f} times that"
        yield Finding(f"  {name}", figure, bar, least is None or ratio >= least)
