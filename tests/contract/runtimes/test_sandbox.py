"""The contract suite over the native sandbox, and what is the sandbox's alone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from tests.contract.runtimes.seen import (
    PYTHON,
    Launch,
    existing,
    first_line,
    of_this_machine,
    processes_with,
    text_of,
    until,
)
from tests.contract.runtimes.suite import Suite

from wildsage.core.errors import RuntimeRefused
from wildsage.runtimes.base import Handle, LaunchSpec, Phase, Runtime
from wildsage.runtimes.sandbox.keeper import backlog
from wildsage.runtimes.sandbox.runtime import Sandbox


def _mounts_with(text: str) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if text in line]


class TestSandbox(Suite):
    """As the user who runs the tests."""

    @pytest.fixture
    def plain(self) -> LaunchSpec:
        return of_this_machine()

    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Sandbox:
        return Sandbox(hidden=[tmp_path])

    @pytest.fixture
    def other(self, tmp_path: Path) -> Sandbox:
        return Sandbox(hidden=[tmp_path])

    @pytest.fixture
    def lenient(self, tmp_path: Path) -> Sandbox:
        return Sandbox(hidden=[tmp_path], metadata=True)

    @pytest.fixture(autouse=True)
    def no_mount_on_the_host(self, launch: Launch, tmp_path: Path) -> Iterator[None]:
        """Looks while the containers are still there: the host must not even see their mounts."""
        yield
        assert _mounts_with(str(tmp_path)) == []

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

    async def test_it_gives_way_to_the_server(self, runtime: Runtime, launch: Launch) -> None:
        """Where there is not enough of the processors: by its group's share, else each process for itself."""
        handle = await launch("import os, time; print(os.getpriority(os.PRIO_PROCESS, 0)); time.sleep(600)")
        nice = int(await first_line(runtime, handle)) - os.getpriority(os.PRIO_PROCESS, 0)
        shares = [
            (Path(group) / name).read_text().strip()
            for group in handle["groups"]
            for name in ("cpu.shares", "cpu.weight")
            if (Path(group) / name).exists()
        ]
        assert (shares, nice) in ((["512"], 0), (["50"], 0), ([], 3))

    async def test_one_that_writes_what_nobody_takes_over_waits(
        self, runtime: Runtime, launch: Launch, tmp_path: Path
    ) -> None:
        code = "import os\nfor _ in range(900): os.write(1, b'x' * (1 << 20))\nos.write(1, b'over')"
        handle = await launch(code)
        log = tmp_path / "instance" / "log"

        def waits() -> bool:
            keeper = (Path(f"/proc/{handle['pid']}/task/{handle['pid']}/children")).read_text().split()
            states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in keeper]
            return states == ["T"]

        await until(waits)
        assert backlog.MOST < log.stat().st_size < 900 << 20
        while (await runtime.inspect(handle)).phase is Phase.RUNNING:
            await runtime.release(handle, log.stat().st_size)
            await asyncio.sleep(0.01)
        assert (log.stat().st_size, log.stat().st_blocks < 1 << 20) == ((900 << 20) + 4, True)
        assert (await runtime.inspect(handle)).exit_code == 0

    async def test_python_and_pip_resolve_to_the_environment(self, runtime: Runtime, launch: Launch) -> None:
        code = "import subprocess; print(subprocess.getoutput('python3 -c \"import sys; print(sys.prefix)\"'))"
        assert await text_of(runtime, await launch(code)) == sys.prefix

    async def test_handle_is_json(self, launch: Launch) -> None:
        handle = await launch("pass")
        assert json.loads(json.dumps(handle)) == handle

    async def test_keeper_killed_means_lost_and_nothing_lingers(self, runtime: Runtime, launch: Launch) -> None:
        marker = f"marker-{os.getpid()}-keeper"
        handle = await launch(f"'{marker}'; import time; print('ready'); time.sleep(600)", memory_bytes=1 << 28, cpus=1)
        assert await first_line(runtime, handle) == "ready"
        os.kill(handle["pid"], signal.SIGKILL)
        assert (await runtime.wait(handle)).phase is Phase.LOST
        await until(lambda: processes_with(marker) == [])
        await runtime.remove(handle)
        assert existing(handle["groups"]) == []

    async def test_a_later_process_with_the_same_number_is_another(self, runtime: Runtime, launch: Launch) -> None:
        handle = await launch("import time; time.sleep(600)")
        later: Handle = {**handle, "started": handle["started"] - 1}
        assert (await runtime.inspect(later)).phase is Phase.LOST
        await runtime.stop(later, 0)
        assert (await runtime.inspect(handle)).phase is Phase.RUNNING

    async def test_control_killed_and_started_again(self, runtime: Runtime, spec: LaunchSpec, tmp_path: Path) -> None:
        """A process launches and is killed; the container goes on and this process takes it over."""
        program = (
            "import asyncio, json, pathlib, os, signal, sys\n"
            "from wildsage.runtimes.base import LaunchSpec\n"
            "from wildsage.runtimes.sandbox.runtime import Sandbox\n"
            "code = \"import os\\nwhile not os.path.exists('/opt/ml/go'): os.sched_yield()\\nprint('finished')\"\n"
            "spec = LaunchSpec('c', pathlib.Path(sys.argv[1]), (sys.argv[2], '-c', code), {})\n"
            "print(json.dumps(asyncio.run(Sandbox().launch(spec))), flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        control = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(spec.directory), PYTHON),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        printed, _ = await control.communicate()
        handle: Handle = json.loads(printed)
        assert (await runtime.inspect(handle)).phase is Phase.RUNNING
        assert await runtime.launch(replace(spec, argv=("false",), name="c")) == handle
        (spec.directory / "ml" / "go").touch()
        assert await text_of(runtime, handle) == "finished"
        assert (await runtime.wait(handle)).exit_code == 0
        await runtime.remove(handle)

    async def test_what_the_machine_keeps_to_itself_cannot_be_read(self, runtime: Runtime, launch: Launch) -> None:
        code = (
            "import pathlib\n"
            "files = [pathlib.Path(name) for name in ('/etc/shadow', '/etc/gshadow', '/etc/sudoers')]\n"
            "files += pathlib.Path('/etc/ssh').glob('ssh_host_*_key')\n"
            "folders = ('/etc/ssl/private', '/var/lib/docker', '/var/backups')\n"
            "print([each.read_bytes() for each in files if each.exists() and each.read_bytes()])\n"
            "print([name for name in folders if any(pathlib.Path(name).glob('*'))])"
        )
        handle = await launch(code)
        assert await text_of(runtime, handle) == "[]\n[]"

    async def test_hidden_folders_and_homes_cannot_be_seen(
        self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, visible_folder: Path
    ) -> None:
        data, home = visible_folder / "data", visible_folder / "home"
        for folder in (data, home / ".aws"):
            folder.mkdir(parents=True)
            (folder / "credentials").write_text("secret")
        (visible_folder / "seen").write_text("seen")
        monkeypatch.setenv("HOME", str(home))
        code = (
            "import os, sys\n"
            f"for folder in ('{visible_folder}', '{data}', '{home}'):\n"
            "    print(os.path.isdir(folder) and os.listdir(folder))"
        )
        (visible_folder / "instance").mkdir()
        spec = LaunchSpec("c", visible_folder / "instance", (PYTHON, "-c", code), {})
        handle = await Sandbox(hidden=[data]).launch(spec)
        text = await text_of(runtime, handle)
        await runtime.remove(handle)
        assert "credentials" not in text
        assert "'seen'" in text.splitlines()[0]

    @pytest.fixture
    def visible_folder(self) -> Iterator[Path]:
        """A folder at a place whose contents containers can see."""
        parents = [path for path in (Path("/srv"), Path("/mnt"), Path.cwd()) if os.access(path, os.W_OK)]
        if not parents:
            pytest.skip("no writable folder outside of /tmp and the homes")
        with tempfile.TemporaryDirectory(dir=parents[0], prefix="wildsage-test-") as folder:
            yield Path(folder)

    async def test_pip_installs_into_a_layer_of_its_own(self, runtime: Runtime, launch: Launch) -> None:
        code = (
            "import sysconfig, pathlib; p = pathlib.Path(sysconfig.get_path('purelib'), 'x.py'); p.write_text('x = 1')"
        )
        handle = await launch(code)
        end = await runtime.wait(handle)
        if sys.prefix != "/usr":
            assert end.exit_code == 0, await text_of(runtime, handle)
        assert existing(f"{path}/x.py" for path in sys.path) == []

    async def test_a_container_whose_directory_is_deleted_ends(self, runtime: Runtime, spec: LaunchSpec) -> None:
        code = "import time; print('ready'); time.sleep(600)"
        handle = await runtime.launch(replace(spec, argv=(PYTHON, "-u", "-c", code), memory_bytes=1 << 28))
        assert await first_line(runtime, handle) == "ready"
        shutil.rmtree(spec.directory)
        assert (await runtime.wait(handle)).phase is Phase.LOST
        assert existing(handle["groups"]) == []
        await runtime.remove(handle)

    async def test_control_groups_are_removed(self, runtime: Runtime, launch: Launch) -> None:
        handle = await launch("pass", memory_bytes=1 << 28, cpus=1)
        assert existing(handle["groups"]) == handle["groups"]
        await runtime.remove(handle)
        assert existing(handle["groups"]) == []

    async def test_no_way_back_to_the_host(self, runtime: Runtime, launch: Launch) -> None:
        """Not even root inside can mount, remount, make devices or look through the keeper's files."""
        code = (
            "import ctypes, os\n"
            "libc = ctypes.CDLL(None)\n"
            "print(libc.mount(b'none', b'/mnt', b'tmpfs', 0, None), libc.mount(None, b'/etc', None, 32 | 4096, None))\n"
            "print(libc.umount2(b'/etc', 2))\n"
            "attempts = [lambda: os.mknod('/tmp/d', 0o60600, os.makedev(8, 0)), lambda: os.listdir('/proc/1/root/')]\n"
            "for file in os.listdir('/proc/1/fd/') if os.access('/proc/1/fd', os.R_OK) else []:\n"
            "    attempts.append(lambda: os.stat('/proc/1/fd/' + file))\n"
            "for attempt in attempts:\n"
            "    try: attempt(); print('done')\n"
            "    except OSError: pass\n"
        )
        assert await text_of(runtime, await launch(code)) == "-1 -1\n-1"

    async def test_refusals(self, runtime: Runtime, spec: LaunchSpec) -> None:
        with pytest.raises(RuntimeRefused, match=r"image.*engine"):
            await runtime.launch(replace(spec, image="busybox"))
        with pytest.raises(RuntimeRefused, match="none"):
            await runtime.launch(replace(spec, network="none"))

    async def test_without_namespaces_it_refuses_in_words(self, spec: LaunchSpec) -> None:
        program = (
            "import asyncio, pathlib, sys\n"
            "from wildsage.runtimes.base import LaunchSpec\n"
            "from wildsage.runtimes.sandbox.runtime import Sandbox\n"
            "asyncio.run(Sandbox().launch(LaunchSpec('c', pathlib.Path(sys.argv[1]), ('true',), {})))"
        )
        deprive = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all "$@"'
        control = await asyncio.create_subprocess_exec(
            *(
                "unshare",
                "--map-root-user",
                "sh",
                "-c",
                deprive,
                "sh",
                sys.executable,
                "-c",
                program,
                str(spec.directory),
            ),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        _, errors = await control.communicate()
        assert b"RuntimeRefused" in errors and b"wildsage doctor" in errors
        assert [entry.name for entry in os.scandir(spec.directory)] == ["ml"]

    async def test_long_socket_paths(self, runtime: Runtime, spec: LaunchSpec, tmp_path: Path) -> None:
        deep = tmp_path / ("x" * 120)
        deep.mkdir()
        handle = await runtime.launch(replace(spec, directory=deep, argv=("true",), serves=True))
        address = runtime.address_of(handle).removeprefix("unix:")
        assert len(address) < 108
        await runtime.remove(handle)
        assert not Path(address).parent.exists()


def test_a_launch_under_uvloop_returns_while_the_container_runs(tmp_path: Path) -> None:
    """uvloop, on which control runs, leaves more descriptors open in a child than asyncio does."""
    (tmp_path / "ml").mkdir()
    spec = LaunchSpec(
        name="long", directory=tmp_path, argv=(PYTHON, "-c", "import time; time.sleep(600)"), environment={}
    )

    async def launch() -> None:
        sandbox = Sandbox()
        handle = await asyncio.wait_for(sandbox.launch(spec), 60)
        await sandbox.remove(handle)

    uvloop.run(launch())
