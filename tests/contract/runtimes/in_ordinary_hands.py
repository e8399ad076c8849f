"""Run by ``test_containers_as_user`` alone: what an ordinary user's containers leave, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.runtimes.networks import greeter
from tests.contract.runtimes.seen import first_line, text_of, until
from tests.contract.runtimes.test_containers_faults import _emptied, _held, _kill_attendant

from wildsage.core import trees
from wildsage.core.errors import InternalFault
from wildsage.runtimes.base import LaunchSpec, Mount, Phase
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.runtime import Containers

# Everything that a container may do to keep its files from others.
_HOSTILE = """
import os, socket, sys
os.chdir('/opt/ml')
os.makedirs('model/closed/deep', 0o700)
open('model/closed/deep/secret', 'w').write('secret')
os.chmod('model/closed/deep/secret', 0)
os.chmod('model/closed/deep', 0)
os.symlink('/etc/passwd', 'model/link')
os.symlink('/', 'model/root')
os.symlink('../../..', 'model/up')
os.mkfifo('model/pipe', 0)
os.mknod('model/device', 0o600)
socket.socket(socket.AF_UNIX).bind('model/socket')
open('model/others', 'w'); os.chown('model/others', 4711, 4711)
for owner in (0, int(sys.argv[1])):
    open(f'model/program-of-{owner}', 'w'); os.chown(f'model/program-of-{owner}', owner, owner)
    os.chmod(f'model/program-of-{owner}', 0o6311)
os.chmod('model', 0o700); os.chown('model', 1234, 1234)
for _ in range(1500):
    os.mkdir('x'); os.chdir('x')
open('end', 'w')
open('/shared/new', 'w').write('new')
os.chown('/opt/ml', 0, 0)
os.chmod('/opt/ml', 0)
"""
_ASKS = """
import os, socket, sys, time
def ask():
    while True:
        try: return socket.create_connection(('127.0.0.1', int(sys.argv[1])), 60).recv(5).decode()
        except ConnectionRefusedError: time.sleep(0.01)
for name in ('first', 'second'):
    while not os.path.exists(f'/opt/ml/{name}'): time.sleep(0.01)
    print(ask())
"""
_WRITES = """
import os, time
open('/opt/ml/last', 'w'); os.makedirs('/opt/ml/deep/er'); os.makedirs('/kept/deep/er')
print('ready', flush=True); time.sleep(600)
"""
_WAITS = """
import os, time
for name in ('first', 'second'):
    print(name, flush=True)
    while not os.path.exists(f'/opt/ml/{name}'): time.sleep(0.01)
os.makedirs('/opt/ml/deep/er')
print('over')
"""


class Between:
    """A socket before the engine's, that may be closed: then the engine is gone for who uses it."""

    def __init__(self, path: Path, engine: str) -> None:
        self.path = path
        self._engine = engine
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._carry, self.path)

    async def close(self) -> None:
        """With every connection there is."""
        if self._server is not None:
            self._server.close()
        self.path.unlink()
        for each in self._writers:
            each.transport.abort()
        await asyncio.sleep(0)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(self._engine)
        self._writers |= {writer, engine_writer}
        await asyncio.gather(self._pump(reader, engine_writer), self._pump(engine_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass  # one of them hung up
        writer.close()


@pytest.fixture
def spec(debian: str, tmp_path: Path) -> LaunchSpec:
    (tmp_path / "instance").mkdir()
    return LaunchSpec("container-1", tmp_path / "instance", (), {}, image=debian)


@pytest.fixture
async def between(engine: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Between]:
    place = Between(Path(f"/tmp/wildsage-between-{os.getpid()}"), engine.removeprefix("unix://"))
    await place.open()
    yield place
    await place.close()


def _runs(spec: LaunchSpec, code: str) -> LaunchSpec:
    return replace(spec, argv=("python3", "-u", "-c", code))


def _others(folder: Path) -> list[str]:
    """What in it is not the user's."""
    return [str(each) for each in (folder, *folder.rglob("*")) if each.lstat().st_uid != os.geteuid()]


async def test_whatever_a_container_leaves_is_its_users(engine: str, spec: LaunchSpec, tmp_path: Path) -> None:
    runtime = Containers(Engine({"DOCKER_HOST": engine}))
    shared = tmp_path / "shared"
    shared.mkdir()
    argv = ("python3", "-u", "-c", _HOSTILE, str(os.geteuid()))
    handle = await runtime.launch(replace(spec, argv=argv, mounts=(Mount(shared, "/shared"),)))
    assert (await runtime.wait(handle)).exit_code == 0, await text_of(runtime, handle)
    model = spec.directory / "ml" / "model"
    assert (model / "closed" / "deep" / "secret").read_text() == "secret"
    assert _others(model) == [] and _others(shared) == []
    assert {stat.S_IMODE(each.stat().st_mode) for each in model.glob("program-*")} == {0o711}
    assert (model / "link").is_symlink() and (model / "link").stat().st_uid == 0
    (shared / "new").unlink()
    await runtime.remove(handle)
    await _emptied(runtime.engine, tmp_path)
    trees.remove(spec.directory)


async def test_the_servers_ports_outlive_the_attendant(engine: str, spec: LaunchSpec) -> None:
    runtime = Containers(Engine({"DOCKER_HOST": engine}))
    go = spec.directory / "ml"
    with greeter() as port:
        argv = ("python3", "-u", "-c", _ASKS, str(port))
        handle = await runtime.launch(replace(spec, argv=argv, loopback=(port,)))
        (go / "first").touch()
        assert await first_line(runtime, handle) == "hello"
        _kill_attendant(spec)
        assert (await runtime.inspect(handle)).phase is Phase.RUNNING
        (go / "second").touch()
        assert await text_of(runtime, handle) == "hello\nhello"
    await runtime.remove(handle)


async def test_an_engine_that_is_gone_keeps_nothing_from_going(
    between: Between, engine: str, spec: LaunchSpec, tmp_path: Path
) -> None:
    """What root has written is set aside, and removed by the next sweep with an engine."""
    aside = tmp_path / "aside"
    runtime = Containers(Engine({"DOCKER_HOST": f"unix://{between.path}"}), patience=1.0, aside=aside)
    kept = spec.directory / "kept"
    kept.mkdir()
    handle = await runtime.launch(replace(_runs(spec, _WRITES), mounts=(Mount(kept, "/kept"),)))
    assert await first_line(runtime, handle) == "ready"
    await between.close()
    end = await runtime.wait(handle)
    assert (end.phase, end.reason) == (Phase.LOST, "the container engine stopped while the container ran")
    with pytest.raises(PermissionError):
        trees.remove(spec.directory / "ml")
    assert not (spec.directory / "ml" / "last").exists()
    await runtime.remove(handle)
    assert (spec.directory / "log").read_text() == "ready\n"
    shutil.rmtree(spec.directory)
    assert _others(aside) != []
    await between.open()
    await runtime.sweep(tmp_path)
    assert list(aside.iterdir()) == [] and await _held(runtime.engine, tmp_path) == []


async def test_an_engine_that_comes_back_hands_over(between: Between, spec: LaunchSpec, tmp_path: Path) -> None:
    runtime = Containers(Engine({"DOCKER_HOST": f"unix://{between.path}"}))
    handle = await runtime.launch(_runs(spec, _WAITS))
    assert await first_line(runtime, handle) == "first"
    await between.close()
    assert (await runtime.inspect(handle)).phase is Phase.RUNNING
    await between.open()
    (spec.directory / "ml" / "first").touch()
    await until(lambda: "second" in (spec.directory / "log").read_text())  # then the attendant has found the engine
    (spec.directory / "ml" / "second").touch()
    assert (await runtime.wait(handle)).exit_code == 0
    assert await text_of(runtime, handle) == "first\nsecond\nover"
    assert _others(spec.directory) == []
    await runtime.remove(handle)
    await _emptied(runtime.engine, tmp_path)


async def test_an_engine_that_is_not_the_users(spec: LaunchSpec, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0)
    runtime = Containers(Engine({"DOCKER_HOST": f"unix://{closed}/docker.sock"}))
    with pytest.raises(InternalFault, match="usermod -aG docker"):
        await runtime.launch(_runs(spec, "pass"))
    closed.chmod(0o700)
