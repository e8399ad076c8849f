"""Imports the modules named, then forks whatever keepers ask for into their containers.

    python main.py SOCKET kernel.py MODULE… [SCRIPT=FOLDER]

A script's ``preload`` is called with the folder in which containers have it.

It runs outside every container, so it imports nothing of a user's: the modules are those of the environment that stands
in for an image.  It is single-threaded, or its forks could enter no namespace and would inherit locked locks.

A keeper (``keeper/forked.py``) connects and sends one message with three descriptors: itself as a process descriptor,
the container's log, and a pipe whose byte says that the fork may begin.  What comes back is the fork's number in the
container, once the keeper is its parent:

    zygote ──fork──► enters the keeper's namespaces ──fork──► process of the container ──fork──► argv
                     (its children are the container's)       (ends, so that the keeper inherits its child)
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import importlib.util
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

_LINGER_SECONDS = 30.0
_MOST = 1 << 18


def main() -> None:
    """Until nothing forked from it has been alive for a while."""
    path, kernel_path, *modules = sys.argv[1:]
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != os.path.dirname(__file__)]
    kernel = _load(kernel_path)
    for name in modules:
        script, _, inside = name.partition("=")
        try:
            if inside:
                runpy.run_path(script)["preload"](inside)
            else:
                importlib.import_module(name)
        except ImportError:
            continue  # not every environment has each
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        print(f"{threads} threads run after the import of {', '.join(modules)}", flush=True)
        sys.exit(1)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(128)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("ready", flush=True)
    if os.fork():
        os._exit(0)  # who started it need not look after it
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    _serve(listener, kernel)
    folder = os.path.dirname(path)
    for name in os.listdir(folder):
        os.unlink(f"{folder}/{name}")
    os.rmdir(folder)


def _load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("_wildsage_kernel", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _serve(listener: socket.socket, kernel: Any) -> None:
    """Each fork holds a lock that goes with its last process, so that none costs this one a descriptor."""
    locked = f"/proc/self/fd/{os.memfd_create('forks')}"
    while True:
        if not select.select([listener.fileno()], [], [], _LINGER_SECONDS)[0]:
            if _alone(locked):
                return
            continue
        connection = listener.accept()[0]
        held = os.open(locked, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_SH)
        if os.fork() == 0:
            _enter(connection, kernel, held)
        os.close(held)
        connection.close()


def _alone(locked: str) -> bool:
    mine = os.open(locked, os.O_RDONLY)
    try:
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(mine)
    return True


def _enter(connection: socket.socket, kernel: Any, held: int) -> None:
    """The first fork: enters the namespaces, where the second forks the third, which the keeper inherits."""
    try:
        connection.settimeout(10.0)
        raw, descriptors, _, _ = socket.recv_fds(connection, _MOST, 3)
        keeper, log, gate = descriptors
        flags, order = marshal.loads(raw)
        kernel.enter(keeper, flags)
        os.close(keeper)
        if os.fork() == 0:
            if os.fork() == 0:
                _begin(connection, kernel, order, log, gate, held)
            os._exit(0)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _begin(connection: socket.socket, kernel: Any, order: Any, log: int, gate: int, held: int) -> None:
    """The container's first process."""
    argv, environment, folder, capabilities = order
    try:
        while os.getppid() != 1:
            time.sleep(0.0005)
        connection.sendall(str(os.getpid()).encode())
        connection.close()
        os.setsid()
        os.umask(0o022)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.read(gate, 1)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) != held:
                with suppress(OSError):  # the listing's own
                    os.close(int(name))
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        if os.geteuid() == 0:
            with open("/proc/sys/kernel/cap_last_cap") as file:
                kernel.keep_only(frozenset(capabilities), int(file.read()))
        kernel.forbid_new_privileges()
        _become(argv, environment)
    except SystemExit as error:
        _finish(error.code)
    except BaseException:
        traceback.print_exc()
        _finish(1)
    _finish(0)


def _become(argv: list[str], environment: dict[str, str]) -> None:
    """What the interpreter does with a script and these variables."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.reconfigure(line_buffering=True, write_through=bool(environment.get("PYTHONUNBUFFERED")))
    sys.path[:0] = [each for each in environment.get("PYTHONPATH", "").split(":") if each]
    importlib.invalidate_caches()
    sys.argv[:] = argv[1:]
    runpy.run_path(argv[1], run_name="__main__")


def _finish(code: object) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    main()
