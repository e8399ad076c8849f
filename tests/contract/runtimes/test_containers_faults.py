"""What becomes of containers when their engine, their attendant or control goes away."""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.container_engine import Dockerd
from tests.contract.runtimes.networks import greeter
from tests.contract.runtimes.seen import first_line, text_of, until

from wildsage.core.errors import CannotStart, ClientFault, InternalFault, RuntimeRefused
from wildsage.runtimes.base import LaunchSpec, Phase
from wildsage.runtimes.containers import plan
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.plan import DIRECTORY_LABEL, this_machine
from wildsage.runtimes.containers.runtime import Containers

# Says a number each moment until it is told to go; then how many there were.
_COUNTS = """
import os, time
n = 0
while not os.path.exists('/opt/ml/go'):
    print(n, flush=True); n += 1; time.sleep(0.01)
print('counted', n)
"""
_SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def spec(debian: str, tmp_path: Path) -> LaunchSpec:
    (tmp_path / "instance").mkdir()
    return LaunchSpec("container-1", tmp_path / "instance", ("python3", "-c", _COUNTS), {}, image=debian)


def _runs(spec: LaunchSpec, code: str) -> LaunchSpec:
    return replace(spec, argv=("python3", "-c", code))


@pytest.fixture
def runtime(engine: str) -> Containers:
    return Containers(Engine({"DOCKER_HOST": engine}))


async def _held(engine: Engine, below: Path) -> list[str]:
    """The containers and networks of directories below a folder."""
    containers = await engine.call("GET", "/containers/json?all=1")
    networks = await engine.call("GET", "/networks")
    found = [each["Labels"] or {} for each in (*containers, *networks)]
    return [each[DIRECTORY_LABEL] for each in found if str(below) in each.get(DIRECTORY_LABEL, "")]


async def _emptied(engine: Engine, below: Path) -> None:
    """Returns when there is none left."""
    for pause in range(600):
        if not await _held(engine, below):
            return
        await asyncio.sleep(min(pause, 10) / 100)
    raise AssertionError(await _held(engine, below))


def _kill_attendant(spec: LaunchSpec) -> None:
    """Returns when it is gone."""
    attendant = os.pidfd_open(int((spec.directory / "keeper").read_text().split()[1]))
    signal.pidfd_send_signal(attendant, signal.SIGKILL)
    select.select([attendant], [], [])
    os.close(attendant)


def _is_longer(file: Path, size: int) -> bool:
    return file.stat().st_size > size


def _counted(text: str) -> bool:
    """Whether no line is missing, none is there twice."""
    *numbers, last = text.splitlines()
    return [int(each) for each in numbers] == list(range(int(last.split()[1])))


async def test_an_ended_container_leaves_nothing_in_the_engine(
    runtime: Containers, spec: LaunchSpec, tmp_path: Path
) -> None:
    """Even if nobody asks for it any more."""
    handle = await runtime.launch(_runs(spec, "print('over')"))
    assert json.loads(json.dumps(handle)) == handle
    assert await text_of(runtime, handle) == "over"
    await _emptied(runtime.engine, tmp_path)
    assert (await runtime.inspect(handle)).exit_code == 0
    await runtime.remove(handle)


async def test_another_attendant_goes_on_where_one_was_killed(runtime: Containers, spec: LaunchSpec) -> None:
    handle = await runtime.launch(spec)
    for _ in range(2):
        log = spec.directory / "log"
        await until(partial(_is_longer, log, log.stat().st_size + 100))
        _kill_attendant(spec)
        assert (await runtime.inspect(handle)).phase is Phase.RUNNING
    (spec.directory / "ml" / "go").touch()
    assert _counted(await text_of(runtime, handle))
    assert (await runtime.wait(handle)).exit_code == 0
    await runtime.remove(handle)


async def test_another_attendant_goes_on_where_the_engine_has_forgotten_the_beginning(
    runtime: Containers, spec: LaunchSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_LOG_BYTES", "1m")
    code = (
        "import os, time\nfor number in range(60_000): print(f'{number:060}')\nprint(end='', flush=True)\n"
        "while not os.path.exists('/opt/ml/go'): time.sleep(0.01)\nprint('60000\\ncounted 60001')"
    )
    handle = await runtime.launch(_runs(spec, code))
    await until(lambda: (spec.directory / "log").stat().st_size == 60_000 * 61)
    _kill_attendant(spec)
    (spec.directory / "ml" / "go").touch()
    assert _counted(await text_of(runtime, handle))
    await runtime.remove(handle)


async def test_a_container_that_ended_unattended_is_heard_to_its_end(runtime: Containers, spec: LaunchSpec) -> None:
    handle = await runtime.launch(spec)
    assert await first_line(runtime, handle) == "0"
    _kill_attendant(spec)
    (spec.directory / "ml" / "go").touch()
    await runtime.engine.call("POST", f"/containers/{handle['container']}/wait")
    assert _counted(await text_of(runtime, handle))
    assert (await runtime.inspect(handle)).exit_code == 0
    await runtime.remove(handle)


async def test_control_killed_and_started_again(runtime: Containers, spec: LaunchSpec) -> None:
    program = (
        "import asyncio, json, os, pathlib, signal, sys\n"
        "from wildsage.runtimes.base import LaunchSpec\n"
        "from wildsage.runtimes.containers.engine import Engine\n"
        "from wildsage.runtimes.containers.runtime import Containers\n"
        "address, directory, image, code = sys.argv[1:]\n"
        "spec = LaunchSpec('c', pathlib.Path(directory), ('python3', '-c', code), {}, image=image)\n"
        "print(json.dumps(asyncio.run(Containers(Engine({'DOCKER_HOST': address})).launch(spec))), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    control = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, runtime.engine.address, str(spec.directory), spec.image, _COUNTS),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    printed, _ = await control.communicate()
    handle = json.loads(printed)
    assert (await runtime.inspect(handle)).phase is Phase.RUNNING
    assert await runtime.launch(replace(spec, name="c")) == handle
    (spec.directory / "ml" / "go").touch()
    assert _counted(await text_of(runtime, handle))
    assert (await runtime.wait(handle)).exit_code == 0
    await runtime.remove(handle)


async def test_a_container_whose_directory_is_deleted_ends(
    runtime: Containers, spec: LaunchSpec, tmp_path: Path
) -> None:
    handle = await runtime.launch(_runs(spec, _SLEEPS))
    assert await first_line(runtime, handle) == "ready"
    shutil.rmtree(spec.directory)
    assert (await runtime.wait(handle)).phase is Phase.LOST
    await _emptied(runtime.engine, tmp_path)
    await runtime.remove(handle)


async def test_what_nobody_knows_any_more_is_swept(runtime: Containers, spec: LaunchSpec, tmp_path: Path) -> None:
    kept, lost = replace(spec, name="kept", directory=tmp_path / "kept"), _runs(spec, _SLEEPS)
    kept.directory.mkdir()
    handle = await runtime.launch(_runs(kept, _SLEEPS))
    await runtime.launch(lost)
    _kill_attendant(lost)
    (lost.directory / "keeper").unlink()
    await runtime.sweep(tmp_path)
    assert set(await _held(runtime.engine, tmp_path)) == {str(kept.directory)}
    assert (await runtime.inspect(handle)).phase is Phase.RUNNING
    await runtime.remove(handle)


async def test_what_cannot_be_started_is_said(runtime: Containers, spec: LaunchSpec, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r'"train".*not found'):
        await runtime.launch(replace(spec, argv=("train",)))
    with pytest.raises(CannotStart, match="No command specified"):
        await runtime.launch(replace(spec, argv=()))
    with pytest.raises(ClientFault, match=r"'No Name' is no name of an image: .*must be lowercase"):
        await runtime.engine.find("No Name")
    with pytest.raises(ClientFault, match="does not have the image no/such:image"):
        await runtime.launch(replace(spec, image="no/such:image"))
    assert await _held(runtime.engine, tmp_path) == []
    handle = await runtime.launch(replace(spec, argv=("one", "two"), entrypoint=("echo", "and"), working_directory=""))
    assert await text_of(runtime, handle) == "and one two"
    await runtime.remove(handle)


async def test_the_machines_ports_are_there_before_the_first_process(runtime: Containers, spec: LaunchSpec) -> None:
    with greeter() as port:
        program = ("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port} && cat <&3")
        for _ in range(3):
            handle = await runtime.launch(replace(spec, argv=program, loopback=(port,)))
            said = await text_of(runtime, handle)
            await runtime.remove(handle)
    assert said == "hello" * 3  # the log goes on


async def test_gpus_that_the_engine_cannot_give_are_refused(engine: str, spec: LaunchSpec) -> None:
    """The machine says that it has one; this engine knows no way to give it."""
    known = Engine({"DOCKER_HOST": engine})
    if "nvidia" in (await known.version()).runtimes:
        pytest.skip("this engine can give GPUs")
    runtime = Containers(known, machine=replace(this_machine(), gpus=1))
    with pytest.raises(RuntimeRefused, match="nvidia-container-toolkit"):
        await runtime.launch(replace(spec, gpus=8))
    handle = await runtime.launch(_runs(spec, "print('on CPUs')"))
    assert await text_of(runtime, handle) == "on CPUs"
    await runtime.remove(handle)


async def test_without_an_engine(spec: LaunchSpec, tmp_path: Path) -> None:
    absent = Containers(Engine({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}))
    with pytest.raises(InternalFault, match="container engine is out of reach"):
        await absent.launch(spec)


async def test_the_engine_goes_and_comes_back(dockerd: Dockerd, spec: LaunchSpec, tmp_path: Path) -> None:
    """With its containers alive nothing is lost; where it ended them, that is said."""
    runtime = Containers(Engine({"DOCKER_HOST": f"unix://{dockerd.socket}"}))
    handle = await runtime.launch(spec)
    assert await first_line(runtime, handle) == "0"
    dockerd.stop(signal.SIGKILL)
    assert (await runtime.inspect(handle)).phase is Phase.RUNNING
    dockerd.start("--live-restore")
    size = (spec.directory / "log").stat().st_size
    await until(lambda: (spec.directory / "log").stat().st_size > size + 100)
    (spec.directory / "ml" / "go").touch()
    assert _counted(await text_of(runtime, handle))
    assert (await runtime.wait(handle)).exit_code == 0
    await runtime.remove(handle)

    dockerd.stop()
    dockerd.start()
    impatient = Containers(Engine({"DOCKER_HOST": f"unix://{dockerd.socket}"}), patience=1.0)
    spec = replace(_runs(spec, _SLEEPS), directory=tmp_path / "second")
    spec.directory.mkdir()
    handle = await impatient.launch(spec)
    assert await first_line(impatient, handle) == "ready"
    await asyncio.to_thread(dockerd.stop)
    end = await impatient.wait(handle)
    assert (end.phase, end.reason) == (Phase.LOST, "the container engine stopped while the container ran")
    await impatient.remove(handle)

    dockerd.start()
    await runtime.sweep(tmp_path)
    assert await _held(runtime.engine, tmp_path) == []
