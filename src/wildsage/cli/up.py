"""``wildsage up``: the supervisor. Starts the processes, starts them again when they die, stops them at the end.

It stays for as long as the server runs, so it imports little.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from wildsage.cli import ask, sdk_defaults, server_file
from wildsage.cli.children import Child, end_strays, reap, stop
from wildsage.cli.listeners import listen
from wildsage.cli.server_file import ServerFile
from wildsage.cli.vigil import Vigil, Watched
from wildsage.core.addresses import reached_at
from wildsage.core.errors import SettingsError, WildsageError
from wildsage.core.functions import function_settings
from wildsage.core.invocations import invocation_limits
from wildsage.core.jobs import job_settings
from wildsage.core.scaling import scaling_settings
from wildsage.core.serverless import serverless_settings
from wildsage.core.settings import (
    DataDir,
    Settings,
    account_id,
    data_dir,
    metadata_allowed,
    region_name,
    router_count,
)
from wildsage.core.upstream import s3_upstream

_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
_AGAIN_SECONDS = 1.0
_PATIENCE_WITH_OBJECTS = 6  # looks, half a minute: a disk may make it wait, and the others do its work
_PATIENCE_WITH_CONTROL = 12  # looks, a minute: what is under way in it begins anew, and routers serve without it
_LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 107
_MODULES = {
    "control": "wildsage.compose",
    "router": "wildsage.dataplane",
    "objects": "wildsage.dataplane.objects",
    "certificates": "wildsage.cli.certificates",
}


def main(options: argparse.Namespace) -> int:
    data = _ephemeral_directory(options.data) if options.ephemeral else data_dir(os.environ, options.data)
    s3_upstream(os.environ)  # control reads these; whoever starts the server should see what is wrong with them
    job_settings(os.environ)
    scaling_settings(os.environ)
    serverless_settings(os.environ)
    function_settings(os.environ)
    metadata_allowed(os.environ)
    invocation_limits(os.environ)  # the routers do
    count = router_count(os.environ, options.routers)
    settings = Settings(
        data, options.host, options.port, region_name(os.environ), account_id(os.environ), options.ephemeral
    )
    _prepare(data)
    lock = _lock(data)
    for left in data.router_sockets():
        left.unlink()
    listeners = listen(settings.host, settings.port, count)
    settings = replace(settings, port=listeners[0].getsockname()[1])
    report = _detach(data) if options.detach else None
    try:
        supervisor = Supervisor(settings, listeners)
        supervisor.start()
        _say(report, f"Wildsage is ready at {settings.url} (data in {data.root}). Try: {_example(data)}")
        supervisor.watch()
    except WildsageError as error:
        if report is None:
            raise
        _say(report, f"wildsage: {error}")
        return 2
    finally:
        os.close(lock)
        if settings.ephemeral:
            shutil.rmtree(data.root, ignore_errors=True)
    return 0


class Supervisor:
    """Holds the port and the processes. ``listeners``: the port, once for each router."""

    def __init__(self, settings: Settings, listeners: Sequence[socket.socket]) -> None:
        self._settings = settings
        self._listeners = listeners
        data = settings.data
        lifeline, self._lifeline = os.pipe()
        for number in (lifeline, *(listener.fileno() for listener in listeners)):
            os.set_inheritable(number, True)
        place = ["--data", str(data.root), "--host", settings.host, "--port", str(settings.port)]
        place += ["--lifeline", str(lifeline)]
        control = [*place, *(["--ephemeral"] if settings.ephemeral else [])]
        self._control = Child("control", _argv("control", control), data.logs / "control.log")
        self._routers = [self._router(number, lifeline) for number in range(len(listeners))]
        self._objects = Child("objects", _argv("objects", place), data.logs / "objects.log")
        self._children = (self._control, *self._routers, self._objects)
        self._stopping = False
        self._unwritten = False
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        self._wake_writer = wake

    def _router(self, number: int, lifeline: int) -> Child:
        data = self._settings.data
        name = f"router-{number}" if number else "router"
        words = ["--data", str(data.root), "--fd", str(self._listeners[number].fileno())]
        words += ["--number", str(number), "--lifeline", str(lifeline)]
        return Child(name, _argv("router", words), data.logs / f"{name}.log")

    def start(self) -> None:
        """Returns once the server is whole; raises WildsageError with the end of the log if it never will."""
        signal.set_wakeup_fd(self._wake_writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        data = self._settings.data
        self._control.start()
        for router in self._routers:
            router.start()
        self._write_file()
        try:
            self._await_answer(self._port(), "/_wildsage/health")
            # Made beside what control still loads: before, they would take the processor from what health waits for.
            certificates = None if (data.tls / "server.pem").exists() else _start_certificates(data)
            # What control loads behind its open door too: a part that is broken is told here, not to a client.
            self._await_answer(data.control_socket, "/_wildsage/status")
            if certificates is not None:
                _await_certificates(certificates)
            self._objects.start()  # last: while it is not there, the router and control do its work
            self._write_file()
        except BaseException:
            self.stop()
            raise

    def watch(self) -> None:
        """Until told to stop; then stops everything."""
        vigil = Vigil(self._watched())
        try:
            while not self._stopping:
                self._sleep(min(self._start_due(), vigil.look()))
                if reap(self._children) or self._unwritten:
                    self._write_file()
        finally:
            vigil.close()
            self.stop()

    def _watched(self) -> Sequence[Watched]:
        data = self._settings.data
        return (
            Watched(self._control, data.control_socket, _PATIENCE_WITH_CONTROL),
            *(Watched(router, data.router_socket(number)) for number, router in enumerate(self._routers)),
            Watched(self._objects, data.objects_routes, _PATIENCE_WITH_OBJECTS),
        )

    def stop(self) -> None:
        """The routers first, so that nothing new comes in."""
        stop(self._routers, _STOP_SECONDS)
        stop((self._objects,), _STOP_SECONDS)
        stop((self._control,), _STOP_SECONDS)
        self._settings.data.server_file.unlink(missing_ok=True)

    def _port(self) -> tuple[str, int]:
        """Where the port is reached from here."""
        return reached_at(self._settings.host), self._settings.port

    def _await_answer(self, address: Path | tuple[str, int], path: str) -> None:
        """Returns once ``path`` is answered with 200."""
        deadline = time.monotonic() + _READY_SECONDS
        while not self._stopping:
            try:
                with ask.connect(address, _READY_SECONDS) as sock:
                    ask.send(sock, path)
                    self._sleep(_READY_SECONDS, sock)
                    self._give_up_on_death()
                    ask.answer(sock)
                    return
            except ask.NoAnswer as error:
                if time.monotonic() > deadline:
                    raise WildsageError(f"the server does not become ready: {error}") from error
                self._sleep(0.05)

    def _give_up_on_death(self) -> None:
        """A process that dies before the server was ready once has something to say."""
        for child in reap(self._children):
            raise WildsageError(f"the {child.name} process ended at its start; its log says:\n{child.last_words()}")

    def _start_due(self) -> float:
        """Starts the children whose time has come; the seconds until the next one."""
        now = time.monotonic()
        waits = [_AGAIN_SECONDS if self._unwritten else 3600.0]
        for child in self._children:
            if not child.pid and child.due <= now:
                child.start()
                self._write_file()
            elif not child.pid:
                waits.append(child.due - now)
        return min(waits)

    def _sleep(self, seconds: float, sock: socket.socket | None = None) -> None:
        """Until a signal, an answer on ``sock``, or the end of ``seconds``."""
        sources: list[socket.socket] = [self._wake] if sock is None else [self._wake, sock]
        ready = select.select(sources, [], [], seconds)[0]
        if self._wake in ready:
            self._wake.recv(512)

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _write_file(self) -> None:
        settings = self._settings
        pids = {child.name: child.pid for child in self._children if child.pid}
        known = server_file.read(settings.data)
        started = known.started if known is not None and known.pid == os.getpid() else time.time()
        server = ServerFile(
            os.getpid(),
            settings.host,
            settings.port,
            settings.url,
            settings.region,
            started,
            settings.ephemeral,
            pids,
        )
        try:
            server_file.write(settings.data, server)
            self._unwritten = False
        except OSError:
            self._unwritten = True  # a full disk must not end the server; tried again until there is room


def _example(data: DataDir) -> str:
    """A command to begin with; it names the data directory unless it would find this one by itself."""
    try:
        found = data_dir(os.environ, None) == data
    except SettingsError:
        found = False
    where = "" if found else f" --data {shlex.quote(str(data.root))}"
    return f"wildsage run{where} -- aws s3 ls"


def _argv(name: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", _MODULES[name], *arguments]


def _start_certificates(data: DataDir) -> Child:
    maker = Child("certificates", _argv("certificates", [str(data.root)]), data.logs / "certificates.log")
    maker.start()
    return maker


def _await_certificates(maker: Child) -> None:
    _, status = os.waitpid(maker.pid, 0)
    if status:
        raise WildsageError(f"the server's certificates could not be made:\n{maker.last_words()}")


def _ephemeral_directory(option: str | None) -> DataDir:
    chosen = option or str(Path(os.environ.get("TMPDIR", "/tmp")) / f"wildsage-{os.urandom(6).hex()}")
    data = DataDir(Path(chosen).absolute())
    if data.root.exists() and any(data.root.iterdir()):
        raise SettingsError(f"{data.root} is not empty; --ephemeral would delete it at the end")
    return data


def _prepare(data: DataDir) -> None:
    if len(os.fsencode(data.control_socket)) > _LONGEST_SOCKET_PATH:
        raise SettingsError(f"the path of the data directory {data.root} is too long for sockets; choose a shorter one")
    try:
        data.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (data.run, data.logs, data.objects, data.instances, data.functions):
            folder.mkdir(mode=0o700, exist_ok=True)
        sdk_defaults.write(data)
    except OSError as error:
        raise SettingsError(f"the data directory {data.root} cannot be used: {error.strerror}") from error


def _lock(data: DataDir) -> int:
    """Holds the data directory; raises SettingsError if another server does. Ends what a killed one left."""
    lock = os.open(data.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    found = server_file.read(data)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        where = f" at {found.url} (process {found.pid})" if found else ""
        raise SettingsError(
            f"a server is already running on {data.root}{where}; stop it with: wildsage down --data {data.root}"
        ) from None
    if found is not None:
        end_strays(list(found.children.values()), data.root, _STOP_SECONDS)
    return lock


def _detach(data: DataDir) -> int:
    """Goes on in the background; the foreground process waits for the report, prints it and ends."""
    reading, report = os.pipe()
    if os.fork():
        os.close(report)
        _print_report(reading)
    os.close(reading)
    os.setsid()
    if os.fork():
        os._exit(0)
    log = os.open(data.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(log)
    return report


def _print_report(reading: int) -> NoReturn:
    text = b""
    while piece := os.read(reading, 65536):
        text += piece
    failed = not text or text.startswith(b"wildsage: ")
    stream = sys.stderr if failed else sys.stdout
    print(text.decode().rstrip() or "wildsage: the server ended before it was ready", file=stream, flush=True)
    os._exit(2 if failed else 0)


def _say(report: int | None, words: str) -> None:
    if report is None:
        print(words, flush=True)
    else:
        os.write(report, words.encode())
        os.close(report)
