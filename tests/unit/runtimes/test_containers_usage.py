"""What a container of an engine uses, by the engine's own answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.state import Container
from wildsage.runtimes.containers.usage import measure
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

STATS = {
    "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
    "memory_stats": {"usage": 300, "stats": {"inactive_file": 100}},
}


@pytest.mark.parametrize(("stats", "used"), [(json.dumps(STATS), (1.5, 200)), ("", None), ("null", None)])
async def test_what_the_engine_tells(tmp_path: Path, stats: str, used: tuple[float, int] | None) -> None:
    """Docker answers 200 and nothing where the container ended meanwhile."""

    async def answer(request: Request) -> Response:
        about = json.dumps({"State": {"Running": True, "StartedAt": "2026-11-22T00:00:00Z"}})
        return Response(200, [], (stats if "/stats" in request.target else about).encode())

    (tmp_path / "instance").mkdir()
    server = await start_server(answer, path=tmp_path / "s")
    try:
        engine = Engine({"DOCKER_HOST": f"unix://{tmp_path / 's'}"})
        found = await measure(engine, Container("c", tmp_path / "instance", "1", "", ""))
    finally:
        await server.close(0)
    assert (found and (found.cpu_seconds, found.memory_bytes)) == used
