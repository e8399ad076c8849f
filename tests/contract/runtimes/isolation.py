"""What a container sees of the machine, and what it can change there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.contract.runtimes.seen import Launch, existing, text_of

from wildsage.runtimes.base import Mount, Runtime

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


class Isolation:
    """Part of the suite."""

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
        text = await text_of(runtime, handle)
        assert text == "deep/read as stored\nspoilt\n[]", text
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

    async def test_host_files_cannot_be_written(self, runtime: Runtime, launch: Launch) -> None:
        marker = f"wildsage-{os.getpid()}"
        code = (
            f"for path in ('/etc/{marker}', '/usr/{marker}', '/var/{marker}', '/proc/sys/kernel/hostname'):\n"
            "    try: open(path, 'a').close()\n"
            "    except OSError: continue\n"
            "    if path.startswith('/proc'): print('written:', path)\n"
        )
        assert await text_of(runtime, await launch(code)) == ""
        assert existing(f"/{folder}/{marker}" for folder in ("etc", "usr", "var")) == []

    async def test_own_process_tree(self, runtime: Runtime, launch: Launch) -> None:
        code = "import os; print({int(n) for n in os.listdir('/proc') if n.isdigit()} == {1, os.getpid()})"
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
            code = f"import socket; socket.create_connection(('127.0.0.1', {port})); print('reached')"
            handle = await launch(code, loopback=(port,))
            assert await text_of(runtime, handle) == "reached"
