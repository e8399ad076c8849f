"""What every runtime must do, seen from outside. A backend's test module binds it:

class TestSandbox(Suite):
    @pytest.fixture
    def runtime(self) -> Runtime: ...

``plain`` (a fixture, too) is a launch that needs only code: its argv is what runs Python there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.contract.runtimes.isolation import Isolation
from tests.contract.runtimes.limits import Limits
from tests.contract.runtimes.metadata import Metadata
from tests.contract.runtimes.seen import Launch, first_line, text_of, until
from tests.contract.runtimes.stopping import Stopping

from wildsage.core import trees
from wildsage.core.errors import ClientFault
from wildsage.runtimes.base import Handle, LaunchSpec, LogLine, Phase, Runtime


def _holds(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


class Suite(Isolation, Limits, Metadata, Stopping):
    """Bind ``runtime`` in a subclass, and ``lenient`` as ``Metadata`` says."""

    @pytest.fixture
    def spec(self, plain: LaunchSpec, tmp_path: Path) -> LaunchSpec:
        """``plain`` in a folder of its own."""
        directory = tmp_path / "instance"
        directory.mkdir()
        return replace(plain, name="container-1", directory=directory)

    @pytest.fixture
    async def launch(self, runtime: Runtime, spec: LaunchSpec) -> AsyncIterator[Launch]:
        """Launches ``spec`` with argv ``python -c code``, other fields as given; removed at the end."""
        handles: list[Handle] = []

        async def launch(code: str, **fields: Any) -> Handle:
            changed = replace(spec, argv=(*spec.argv, "-u", "-c", code), **fields)
            changed.directory.mkdir(exist_ok=True)
            handle = await runtime.launch(changed)
            handles.append(handle)
            return handle

        yield launch
        for handle in handles:
            await runtime.remove(handle)

    # What runs.

    async def test_argv_environment_hostname_and_directory(self, runtime: Runtime, launch: Launch) -> None:
        code = "import os, socket; print(os.environ['A'], socket.gethostname(), os.getcwd(), 'LANG' in os.environ)"
        handle = await launch(code, environment={"A": "ü b"}, hostname="algo-7", working_directory="/opt/ml")
        assert await text_of(runtime, handle) == "ü b algo-7 /opt/ml False"
        end = await runtime.wait(handle)
        assert (end.phase, end.exit_code, end.out_of_memory) == (Phase.EXITED, 0, False)
        assert end.started_at is not None and end.ended_at is not None and end.started_at <= end.ended_at

    async def test_its_hostname_is_its_own_address(self, runtime: Runtime, launch: Launch) -> None:
        code = (
            "import socket; server = socket.create_server(('algo-1', 0))\n"
            "socket.create_connection(server.getsockname()); print(socket.gethostbyname('localhost'))"
        )
        assert await text_of(runtime, await launch(code)) == "127.0.0.1"

    async def test_each_has_its_own_opt_ml(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        code = "import pathlib, os; pathlib.Path('/opt/ml/model').write_text(os.environ['WHO'])"
        for name in ("one", "two"):
            await launch(code, name=name, directory=tmp_path / name, environment={"WHO": name})
        for name in ("one", "two"):
            written = tmp_path / name / "ml" / "model"
            await until(partial(_holds, written, name))

    async def test_launch_is_idempotent(self, runtime: Runtime, launch: Launch) -> None:
        code = "import time; print('started'); time.sleep(600)"
        first, second = await asyncio.gather(launch(code), launch(code))
        assert first == second
        assert await launch(code) == first
        assert await first_line(runtime, first) == "started"
        await runtime.stop(first, 0)
        assert await text_of(runtime, first) == "started"
        assert await launch(code) == first

    async def test_launch_after_remove_starts_anew(self, runtime: Runtime, launch: Launch) -> None:
        first = await launch("raise SystemExit(3)")
        assert (await runtime.wait(first)).exit_code == 3
        await runtime.remove(first)
        second = await launch("raise SystemExit(4)")
        assert (await runtime.wait(second)).exit_code == 4

    @pytest.mark.parametrize(
        ("code", "status"),
        [("pass", 0), ("raise SystemExit(7)", 7), ("import ctypes; ctypes.string_at(0)", 139), ("1/0", 1)],
    )
    async def test_exit_codes(self, runtime: Runtime, launch: Launch, code: str, status: int) -> None:
        assert (await runtime.wait(await launch(code))).exit_code == status

    async def test_what_cannot_be_run(self, runtime: Runtime, spec: LaunchSpec) -> None:
        with pytest.raises(ClientFault, match="/no/such/program"):
            await runtime.launch(replace(spec, argv=("/no/such/program",)))
        handle = await runtime.launch(replace(spec, argv=("sh", "-c", "exit 5")))
        assert (await runtime.wait(handle)).exit_code == 5
        await runtime.remove(handle)

    # Logs.

    async def test_follow_delivers_at_once_and_ends(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        code = (
            "import os, sys, time\n"
            "def wait_for(name):\n"
            "    while not os.path.exists(f'/opt/ml/{name}'): time.sleep(0.005)\n"
            "print('one'); wait_for('first'); print('two', file=sys.stderr); wait_for('second')\n"
            "print('written', time.time()); sys.stdout.write('rest')"
        )
        handle = await launch(code)
        lines = aiter(runtime.logs(handle, follow=True))
        for text, name in (("one", "first"), ("two", "second")):
            assert (await anext(lines)).text == text
            (tmp_path / "instance" / "ml" / name).touch()
        rest = [line async for line in lines]
        assert [line.text.split()[0] for line in rest] == ["written", "rest"]
        assert rest[0].at >= float(rest[0].text.split()[1])

    async def test_logs_from_an_offset(self, runtime: Runtime, launch: Launch) -> None:
        handle = await launch("print('a\\nbb\\n\\nccc', end='')")
        await runtime.wait(handle)
        lines = [line async for line in runtime.logs(handle)]
        assert [(line.text, line.offset) for line in lines] == [("a", 2), ("bb", 5), ("", 6), ("ccc", 9)]
        assert [line.text async for line in runtime.logs(handle, offset=lines[1].offset)] == ["", "ccc"]
        assert [line.text async for line in runtime.logs(handle, offset=9, follow=True)] == []

    async def test_what_was_removed_with_its_folder_says_nothing(
        self, runtime: Runtime, launch: Launch, tmp_path: Path
    ) -> None:
        """Whoever removes it may be killed before that is known, and does all of it again."""
        handle = await launch("print('said')")
        await runtime.wait(handle)
        for _ in range(2):
            await runtime.remove(handle)
            await asyncio.to_thread(trees.remove, tmp_path / "instance")
            for follow in (False, True):
                assert [line async for line in runtime.logs(handle, follow=follow)] == []

    async def test_a_line_without_end_waits_for_it(self, runtime: Runtime, launch: Launch) -> None:
        handle = await launch("import sys, time; sys.stdout.write('done\\nhalf'); sys.stdout.flush(); time.sleep(600)")
        seen: list[LogLine] = []
        while not seen:
            seen = [line async for line in runtime.logs(handle)]
        assert [line.text for line in seen] == ["done"]
        await runtime.stop(handle, 0)
        assert [line.text async for line in runtime.logs(handle)] == ["done", "half"]

    async def test_large_output(self, runtime: Runtime, launch: Launch) -> None:
        """20 MB in ordinary lines and one line of a megabyte, byte for byte."""
        code = "for n in range(200_000): print(f'{n:0100}')\nprint('é' * 500_000)"
        handle = await launch(code)
        count, offset, long = 0, 0, ""
        async for line in runtime.logs(handle, follow=True):
            if count < 200_000:
                assert int(line.text) == count
            else:
                long += line.text
            count, offset = count + 1, line.offset
        assert long == "é" * 500_000
        assert offset == 200_000 * 101 + 1_000_001

    # Control comes and goes.

    async def test_adopted_by_another_runtime_object(self, runtime: Runtime, other: Runtime, launch: Launch) -> None:
        code = (
            "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
            "print('on')\nwhile True: time.sleep(600)"
        )
        handle = await launch(code)
        assert (await other.inspect(handle)).phase is Phase.RUNNING
        waiting = asyncio.ensure_future(other.wait(handle))
        assert await first_line(other, handle) == "on"
        await other.stop(handle, 60)
        assert (await waiting).exit_code == 143

    async def test_serving_address(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        code = (
            "import os, socket\n"
            "bind = os.environ.get('WILDSAGE_BIND', '').removeprefix('unix:')\n"
            "server = socket.socket(socket.AF_UNIX if bind else socket.AF_INET)\n"
            "server.bind(bind or ('0.0.0.0', 8080)); server.listen(); print('listening')\n"
            "peer, _ = server.accept(); peer.sendall(b'hello'); peer.shutdown(socket.SHUT_WR); peer.recv(1)"
        )
        for network in ("host", "isolated"):
            place = tmp_path / f"serves-{network}"
            handle = await launch(code, serves=True, network=network, name=place.name, directory=place)
            assert await first_line(runtime, handle) == "listening"
            kind, _, address = runtime.address_of(handle).partition(":")
            if kind == "unix":
                reader, writer = await asyncio.open_unix_connection(address)
            else:
                host, _, port = address.rpartition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()
