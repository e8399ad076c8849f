"""Stopping and removing containers, and all that they have started."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

from tests.contract.runtimes.seen import Launch, first_line, processes_with, text_of

from wildsage.runtimes.base import Runtime


class Stopping:
    """Part of the suite."""

    async def test_stop_lets_the_process_finish(self, runtime: Runtime, launch: Launch) -> None:
        code = (
            "import os, signal, time, sys\n"
            "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'saved\\n'), sys.exit(0)))\n"
            "print('ready')\nwhile True: time.sleep(600)"
        )
        handle = await launch(code)
        assert await first_line(runtime, handle) == "ready"
        await runtime.stop(handle, 60)
        assert (await runtime.inspect(handle)).exit_code == 0
        assert await text_of(runtime, handle) == "ready\nsaved"

    async def test_what_the_first_process_leaves_behind_has_no_grace(self, runtime: Runtime, launch: Launch) -> None:
        marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
        code = (
            "import signal, subprocess, sys, time\n"
            "child = 'import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)'\n"
            f"left = subprocess.Popen([sys.executable, '-c', child, '{marker}'], stdout=-1, start_new_session=True)\n"
            "left.stdout.readline()\n"
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
            "print('ready', flush=True)\ntime.sleep(600)"
        )
        handle = await launch(code)
        assert await first_line(runtime, handle) == "ready"
        async with asyncio.timeout(60):
            await runtime.stop(handle, 3600)
        assert (await runtime.inspect(handle)).exit_code == 3
        assert processes_with(marker) == []

    async def test_stop_kills_after_the_grace(self, runtime: Runtime, launch: Launch) -> None:
        code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready')\ntime.sleep(600)"
        handle = await launch(code)
        assert await first_line(runtime, handle) == "ready"
        await runtime.stop(handle, 0.2)
        assert (await runtime.inspect(handle)).exit_code == 137
        await runtime.stop(handle, 0.2)

    async def test_grandchildren_die_with_the_container(self, runtime: Runtime, launch: Launch) -> None:
        marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
        code = (
            "import subprocess, sys, time\n"
            "child = 'import os, sys, time; os.fork(); time.sleep(600)'\n"
            f"subprocess.Popen([sys.executable, '-c', child, '{marker}'], start_new_session=True)\n"
            "import glob\n"
            f"while sum(b'{marker}' in open(n, 'rb').read() for n in glob.glob('/proc/[0-9]*/cmdline')) < 3:\n"
            "    time.sleep(0.01)\n"
        )
        handle = await launch(code)
        await runtime.wait(handle)
        assert processes_with(marker) == []

    async def test_remove_a_running_container(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
        handle = await launch(f"'{marker}'; import time; print('ready'); time.sleep(600)")
        assert await first_line(runtime, handle) == "ready"
        assert processes_with(marker)
        await runtime.remove(handle)
        assert processes_with(marker) == []
        await runtime.remove(handle)
        left = {entry.name for entry in (tmp_path / "instance").iterdir()}
        assert left <= {"ml", "log", "exit.json"}
        shutil.rmtree(tmp_path / "instance")
