"""What every runtime must do, seen from outside. A backend's test module binds it:

class TestSandbox(Suite):
    @pytest.fixture
    def runtime(self) -> Runtime: ...
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from wildsage.core.errors import ClientFault
from wildsage.runtimes.base import Handle, LaunchSpec, LogLine, Mount, Phase, Runtime

MIB = 1 << 20
_PATIENCE = 30.0  # seconds after which a condition that should come true is given up
PYTHON = sys.executable

Launch = Callable[..., Awaitable[Handle]]


async def until(condition: Callable[[], bool]) -> None:
    """Returns when ``condition`` holds; fails the test if it never does."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        await asyncio.sleep(0.01)


async def text_of(runtime: Runtime, handle: Handle) -> str:
    """Everything the container wrote, once it has ended."""
    return "\n".join([line.text async for line in runtime.logs(handle, follow=True)])


async def first_line(runtime: Runtime, handle: Handle) -> str:
    """What the container writes first."""
    lines = runtime.logs(handle, follow=True)
    text = (await anext(lines)).text
    if isinstance(lines, AsyncGenerator):
        await lines.aclose()
    return text


def processes_with(marker: str) -> list[int]:
    """The live processes of this machine whose command line holds ``marker``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found


def existing(paths: Iterable[str]) -> list[str]:
    """Those of ``paths`` that exist on the host."""
    return [path for path in paths if Path(path).exists()]


# A job that tries in every way it has to change its input, and then looks for another way to the same files.
_SPOILER = """
import glob, mmap, os, pathlib, shutil
os.chdir('/opt/ml/input/data/train')
print(pathlib.Path('deep/read').read_text())
pathlib.Path('written').write_text('spoilt')
open('appended', 'a').write('spoilt')
os.truncate('cut', 0)
os.chmod('mode', 0)
os.utime('times')
os.rename('renamed', 'away')
os.unlink('deleted')
os.link('linked', 'twice')
open('twice', 'w').write('spoilt')
with open('mapped', 'r+b') as file, mmap.mmap(file.fileno(), 0) as memory:
    memory[0:6] = b'spoilt'
shutil.rmtree('deep')
pathlib.Path('new').write_text('spoilt')
print(pathlib.Path('written').read_text())
ways = []
for pattern in ('/proc/[0-9]*/root', '/proc/[0-9]*/cwd', '/proc/[0-9]*/fd/*'):
    for path in glob.glob(pattern):
        for below in ('links', '../links', 'stored', '../stored'):
            if os.path.exists(os.path.join(path, below, 'mapped')):
                ways.append(path)
print(ways)
"""


class Suite:
    """Bind ``runtime`` in a subclass."""

    @pytest.fixture
    def spec(self, tmp_path: Path) -> LaunchSpec:
        """One that needs only argv."""
        directory = tmp_path / "instance"
        directory.mkdir()
        environment = {"PATH": f"{Path(PYTHON).parent}:/usr/local/bin:/usr/bin:/bin"}
        return LaunchSpec("container-1", directory, (PYTHON,), environment)

    @pytest.fixture
    async def launch(self, runtime: Runtime, spec: LaunchSpec) -> AsyncIterator[Launch]:
        """Launches ``spec`` with argv ``python -c code``, other fields as given; removed at the end."""
        handles: list[Handle] = []

        async def launch(code: str, **fields: object) -> Handle:
            changed = replace(spec, argv=(PYTHON, "-u", "-c", code), **fields)  # type: ignore[arg-type]
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

    async def test_hostname_is_loopback(self, runtime: Runtime, launch: Launch) -> None:
        handle = await launch("import socket; print(socket.gethostbyname('algo-1'), socket.gethostbyname('localhost'))")
        assert await text_of(runtime, handle) == "127.0.0.1 127.0.0.1"

    async def test_each_has_its_own_opt_ml(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        code = "import pathlib, os; pathlib.Path('/opt/ml/model').write_text(os.environ['WHO'])"
        for name in ("one", "two"):
            await launch(code, name=name, directory=tmp_path / name, environment={"WHO": name})
        for name in ("one", "two"):
            written = tmp_path / name / "ml" / "model"
            await until(lambda written=written, name=name: written.exists() and written.read_text() == name)  # type: ignore[misc]

    async def test_launch_is_idempotent(self, runtime: Runtime, launch: Launch) -> None:
        code = "import time; print('started'); time.sleep(600)"
        first, second = await asyncio.gather(launch(code), launch(code))
        assert first == second
        assert await launch(code) == first
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
        [("pass", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 11)", 139), ("1/0", 1)],
    )
    async def test_exit_codes(self, runtime: Runtime, launch: Launch, code: str, status: int) -> None:
        assert (await runtime.wait(await launch(code))).exit_code == status

    async def test_what_cannot_be_run(self, runtime: Runtime, spec: LaunchSpec) -> None:
        with pytest.raises(ClientFault, match="/no/such/program"):
            await runtime.launch(replace(spec, argv=("/no/such/program",)))
        handle = await runtime.launch(replace(spec, argv=("sh", "-c", "exit 5")))
        assert (await runtime.wait(handle)).exit_code == 5
        await runtime.remove(handle)

    async def test_mounts(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "a.txt").write_text("hello")
        code = (
            "import pathlib; p = pathlib.Path('/opt/ml/input/data/train'); print((p / 'a.txt').read_text())\n"
            "try: (p / 'b').write_text('')\nexcept OSError as e: print(e.strerror)\n"
            "pathlib.Path('/opt/wildsage/x/c').write_text('c')"
        )
        (tmp_path / "out").mkdir()
        mounts = (
            Mount(tmp_path / "data", "/opt/ml/input/data/train", read_only=True),
            Mount(tmp_path / "out", "/opt/wildsage/x"),
        )
        handle = await launch(code, mounts=mounts)
        assert await text_of(runtime, handle) == "hello\nRead-only file system"
        assert (tmp_path / "out" / "c").read_text() == "c"

    async def test_a_layered_mount_can_be_written_and_its_source_cannot(
        self, launch: Launch, runtime: Runtime, tmp_path: Path
    ) -> None:
        stored, links = tmp_path / "stored", tmp_path / "links"
        stored.mkdir()
        (links / "deep").mkdir(parents=True)
        names = ("written", "appended", "cut", "mode", "times", "renamed", "deleted", "linked", "mapped", "deep/read")
        for name in names:
            blob = stored / name.replace("/", "-")
            blob.write_text(f"{name} as stored")
            blob.chmod(0o644)
            os.utime(blob, (1, 1))
            (links / name).hardlink_to(blob)
        before = {path.name: (path.read_text(), path.stat().st_mode, path.stat().st_mtime) for path in stored.iterdir()}
        handle = await launch(_SPOILER, mounts=(Mount(links, "/opt/ml/input/data/train", layered=True),))
        assert await text_of(runtime, handle) == "deep/read as stored\nspoilt\n[]"
        after = {path.name: (path.read_text(), path.stat().st_mode, path.stat().st_mtime) for path in stored.iterdir()}
        assert after == before
        found = sorted(str(path.relative_to(links)) for path in links.rglob("*") if path.is_file())
        assert found == sorted(names)

    async def test_writable_places(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        marker = f"wildsage-{os.getpid()}"
        code = (
            "import os, pathlib, sys\n"
            "for place in ('/tmp', '/dev/shm', '/run', os.environ['HOME'], '/opt/ml', '/var/tmp', '/'):\n"
            f"    pathlib.Path(place, '{marker}').write_text('x')\n"
        )
        assert await text_of(runtime, await launch(code)) == ""
        places = ("/tmp", "/dev/shm", "/run", os.environ["HOME"], "")
        assert existing(f"{place}/{marker}" for place in places) == []

    async def test_python_and_pip_resolve_to_the_environment(self, runtime: Runtime, launch: Launch) -> None:
        code = "import subprocess; print(subprocess.getoutput('python3 -c \"import sys; print(sys.prefix)\"'))"
        assert await text_of(runtime, await launch(code)) == sys.prefix

    # Isolation.

    async def test_host_files_cannot_be_written(self, runtime: Runtime, launch: Launch) -> None:
        code = (
            "for path in ('/etc/passwd', '/usr/x', '/var/x', '/proc/sys/kernel/hostname'):\n"
            "    try: open(path, 'a').close()\n"
            "    except OSError: continue\n"
            "    print('written:', path)\n"
        )
        assert await text_of(runtime, await launch(code)) == ""

    async def test_own_process_tree(self, runtime: Runtime, launch: Launch) -> None:
        code = "import os; print(sorted(int(n) for n in os.listdir('/proc') if n.isdigit()) == [1, os.getpid()])"
        assert await text_of(runtime, await launch(code)) == "True"

    async def test_isolated_network_reaches_nothing(self, runtime: Runtime, launch: Launch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            code = (
                "import socket\n"
                f"try: socket.create_connection(('127.0.0.1', {port})); print('reached')\n"
                "except OSError as error: print(error.strerror)\n"
                "s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())\n"
                "print('loopback')"
            )
            isolated = await launch(code, network="isolated", name="isolated")
            assert await text_of(runtime, isolated) == "Connection refused\nloopback"

    async def test_host_network_reaches_the_host(self, runtime: Runtime, launch: Launch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            handle = await launch(f"import socket; socket.create_connection(('127.0.0.1', {port})); print('reached')")
            assert await text_of(runtime, handle) == "reached"

    # Limits.

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

    # Logs.

    async def test_follow_delivers_at_once_and_ends(self, runtime: Runtime, launch: Launch, tmp_path: Path) -> None:
        code = (
            "import os, sys, time\n"
            "print('one')\n"
            "while not os.path.exists('/opt/ml/go'): time.sleep(0.005)\n"
            "print('two', file=sys.stderr); print('written', time.time()); sys.stdout.write('rest')"
        )
        handle = await launch(code)
        lines = aiter(runtime.logs(handle, follow=True))
        assert (await anext(lines)).text == "one"
        (tmp_path / "instance" / "ml" / "go").touch()
        rest = [line async for line in lines]
        assert [line.text.split()[0] for line in rest] == ["two", "written", "rest"]
        assert rest[1].at >= float(rest[1].text.split()[1])

    async def test_logs_from_an_offset(self, runtime: Runtime, launch: Launch) -> None:
        handle = await launch("print('a\\nbb\\n\\nccc', end='')")
        await runtime.wait(handle)
        lines = [line async for line in runtime.logs(handle)]
        assert [(line.text, line.offset) for line in lines] == [("a", 2), ("bb", 5), ("", 6), ("ccc", 9)]
        assert [line.text async for line in runtime.logs(handle, offset=lines[1].offset)] == ["", "ccc"]
        assert [line.text async for line in runtime.logs(handle, offset=9, follow=True)] == []

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

    # Stopping.

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
        assert ended.cpu_seconds >= running.cpu_seconds - 0.05
        assert ended.memory_bytes > 50_000_000
        assert ended.disk_bytes is not None
        assert ended.disk_bytes >= 1 << 20
        assert ended.span is not None
        began, end = ended.span
        assert abs(began - running.began) < 2
        assert end > began

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

    async def test_stop_kills_after_the_grace(self, runtime: Runtime, launch: Launch) -> None:
        code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready')\ntime.sleep(600)"
        handle = await launch(code)
        assert await first_line(runtime, handle) == "ready"
        await runtime.stop(handle, 0.2)
        assert (await runtime.inspect(handle)).exit_code == 137
        await runtime.stop(handle, 0.2)

    async def test_stop_reaches_the_child_of_a_shell(self, runtime: Runtime, spec: LaunchSpec) -> None:
        """A shell dies of SIGTERM; what it had started gets the signal then, and the grace to finish."""
        code = (
            "import os, signal, time, sys\n"
            "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'saved\\n'), sys.exit(0)))\n"
            "print('ready', flush=True)\nwhile True: time.sleep(600)"
        )
        handle = await runtime.launch(
            replace(
                spec, argv=("sh", "-c", f'{PYTHON} -c "$CODE"; true'), environment={**spec.environment, "CODE": code}
            )
        )
        assert await first_line(runtime, handle) == "ready"
        await runtime.stop(handle, 60)
        assert await text_of(runtime, handle) == "ready\nsaved"
        await runtime.remove(handle)

    async def test_grandchildren_die_with_the_container(self, runtime: Runtime, launch: Launch) -> None:
        marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
        code = (
            "import subprocess, sys, time\n"
            "child = 'import os, sys, time; os.fork(); time.sleep(600)'\n"
            f"subprocess.Popen([sys.executable, '-c', child, '{marker}'], start_new_session=True)\n"
            "import os\n"
            "while sum(n.isdigit() for n in os.listdir('/proc')) < 4: time.sleep(0.01)\n"
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

    # Control comes and goes.

    async def test_adopted_by_another_runtime_object(self, runtime: Runtime, other: Runtime, launch: Launch) -> None:
        handle = await launch("import time, os\nprint('on')\nwhile not os.path.exists('/opt/ml/go'): time.sleep(0.005)")
        assert (await other.inspect(handle)).phase is Phase.RUNNING
        waiting = asyncio.ensure_future(other.wait(handle))
        assert await first_line(other, handle) == "on"
        await other.stop(handle, 60)
        assert (await waiting).exit_code == 143

    async def test_serving_address(self, runtime: Runtime, launch: Launch) -> None:
        code = (
            "import os, socket\n"
            "bind = os.environ['WILDSAGE_BIND'].removeprefix('unix:')\n"
            "server = socket.socket(socket.AF_UNIX); server.bind(bind); server.listen(); print('listening')\n"
            "server.accept()[0].sendall(b'hello')"
        )
        handle = await launch(code, serves=True)
        assert await first_line(runtime, handle) == "listening"
        reader, writer = await asyncio.open_unix_connection(runtime.address_of(handle).removeprefix("unix:"))
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()
