"""Limits on memory and CPUs, and what a container used."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.contract.runtimes.seen import MIB, Launch, first_line, text_of

from wildsage.runtimes.base import Phase, Runtime


class Limits:
    """Part of the suite."""

    async def test_memory_limit(self, runtime: Runtime, launch: Launch) -> None:
        code = "data = []\nwhile True: data.append(b'x' * (1 << 20))"
        handle = await launch(code, memory_bytes=128 * MIB)
        end = await runtime.wait(handle)
        assert (end.phase, end.exit_code, end.out_of_memory) == (Phase.EXITED, 137, True)

    async def test_memory_of_all_processes_counts(self, runtime: Runtime, launch: Launch) -> None:
        code = (
            "import os, time\n"
            "for _ in range(4):\n"
            "    if os.fork() == 0: data = bytearray(os.urandom(1 << 20) * 60); time.sleep(600)\n"
            "while True:\n"
            "    if os.waitstatus_to_exitcode(os.wait()[1]): raise SystemExit(9)\n"
        )
        end = await runtime.wait(await launch(code, memory_bytes=128 * MIB))
        assert end.out_of_memory
        assert end.exit_code in (9, 137)

    async def test_within_the_memory_limit(self, runtime: Runtime, launch: Launch) -> None:
        code = "data = b'x' * (32 << 20); raise SystemExit(5)"
        end = await runtime.wait(await launch(code, memory_bytes=128 * MIB))
        assert (end.exit_code, end.out_of_memory) == (5, False)

    async def test_a_fork_bomb_fails_by_itself(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        """The container has its errors, and nobody else's work is slowed or ended by it."""
        code = (
            "import os, signal, time\n"
            "children = []\n"
            "try:\n"
            "    while True:\n"
            "        child = os.fork()\n"
            "        if child == 0: time.sleep(600); os._exit(0)\n"
            "        children.append(child)\n"
            "except OSError as error: print(error.strerror, len(children))\n"
            "while not os.path.exists('/opt/ml/go'): time.sleep(0.01)\n"
            "raise SystemExit(3)"
        )
        bomb = await launch(code, processes=20)
        words, _, count = (await first_line(runtime, bomb)).rpartition(" ")
        assert words == "Resource temporarily unavailable"
        assert 15 < int(count) <= 20
        other = await launch("print('on')", name="other", directory=tmp_path / "other", processes=20)
        assert await text_of(runtime, other) == "on"
        (Path(bomb["directory"]) / "ml" / "go").touch()
        assert (await runtime.wait(bomb)).exit_code == 3

    async def test_cpu_limit(self, runtime: Runtime, launch: Launch) -> None:
        """Two busy processes on a limit of one CPU get no more than one CPU's time between them."""
        if len(os.sched_getaffinity(0)) < 2:
            pytest.skip("needs two CPUs")
        code = (
            "import os, resource, time\n"
            "for _ in range(2):\n"
            "    if os.fork() == 0:\n"
            "        end = time.monotonic() + 1\n"
            "        while time.monotonic() < end: pass\n"
            "        os._exit(0)\n"
            "begun = time.monotonic(); os.wait(); os.wait(); used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
            "print((used.ru_utime + used.ru_stime) / (time.monotonic() - begun))"
        )
        assert float(await text_of(runtime, await launch(code, cpus=1.0))) < 1.3

    async def test_the_cpu_limit_is_told(self, runtime: Runtime, launch: Launch) -> None:
        code = "import os; print(os.environ['SM_NUM_CPUS'], os.environ['OMP_NUM_THREADS'])"
        assert await text_of(runtime, await launch(code, cpus=0.5, environment={"SM_NUM_CPUS": "7"})) == "7 1"

    async def test_usage_of_a_running_and_of_an_ended_container(self, runtime: Runtime, launch: Launch) -> None:
        script = (
            "import os, time\nkept = bytearray(50_000_000)\n"
            "if os.fork() == 0:\n    while time.process_time() < 0.5: pass\n    os._exit(0)\n"
            "os.wait()\nprint('burnt', flush=True)\nopen('/opt/ml/file', 'wb').write(bytes(1 << 20))\n"
            "while not os.path.exists('/opt/ml/go'): time.sleep(0.01)\n"
        )
        handle = await launch(script)
        assert await first_line(runtime, handle) == "burnt"
        running = await runtime.usage(handle)
        assert running is not None
        assert running.span is None
        assert 0.4 < running.cpu_seconds < 30
        assert running.memory_bytes > 50_000_000
        assert running.began is not None
        assert abs(running.began - time.time()) < 120
        (Path(handle["directory"]) / "ml" / "go").touch()
        await runtime.wait(handle)
        ended = await runtime.usage(handle)
        assert ended is not None
        assert ended.cpu_seconds > 0  # beside an engine it is read four times a second, and the last moment is not seen
        assert ended.cpu_seconds >= running.cpu_seconds - 0.45
        assert ended.memory_bytes > 50_000_000
        assert ended.disk_bytes is not None
        assert ended.disk_bytes >= 1 << 20
        assert ended.span is not None
        began, end = ended.span
        assert abs(began - running.began) < 2
        assert end > began
