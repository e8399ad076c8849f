"""Stays with a container: its log, its end, what it used."""

from __future__ import annotations

import os
import time
from _thread import allocate_lock, start_new_thread
from collections.abc import Iterator
from typing import Any

from wildsage.runtimes.containers.api import Answer, Api, EngineError, EngineGone
from wildsage.runtimes.containers.attendant import making, resuming, used
from wildsage.runtimes.containers.attendant.entering import AskedEntrance
from wildsage.runtimes.containers.attendant.handing import hand_over
from wildsage.runtimes.containers.attendant.inside import Entrance
from wildsage.runtimes.containers.attendant.order import Order
from wildsage.runtimes.sandbox.keeper import launcher
from wildsage.runtimes.sandbox.keeper.backlog import Backlog
from wildsage.runtimes.sandbox.keeper.launcher import EXIT
from wildsage.runtimes.sandbox.network import forward

_LOOK_EVERY = 0.25  # seconds, between looks at what it uses; and at whether the container still has an owner
_ASK_EVERY = 0.5  # seconds, while the engine is gone
_TAKEN_EVERY = 0.05  # seconds, between looks at whether there is room in the log
_DRAINED_WITHIN = 10.0  # seconds after its end, for the last of its log
_HEADER = 8  # bytes before each piece of the log: which stream, and how long
_NOT_FOUND = (
    "not found",
    "no such file",
    "permission denied",
    "exec format error",
    "is a directory",
    "not a directory",
)
_STARTED = 304  # it runs already


class Attendant:
    """``base``: the size of ``log`` before the container was made. ``adopted``: it runs already, or has ended."""

    def __init__(self, order: Order, made: making.Made, base: int, adopted: bool) -> None:
        self._api = Api(order.socket)
        self._order = order
        self._made = made
        self._base = base
        self._adopted = adopted
        self._directory = os.open(order.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._log = os.open(f"{order.directory}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._backlog = Backlog(self._directory, self._log)
        self._started = 0.0
        self._usage = used.Meter()
        self._remarks: list[str] = []  # for the end of the log: what comes between would be taken for the container's
        self._copied = allocate_lock()  # held while the log is copied

    def run(self, tell: int) -> None:
        """To the container's end. Writes to ``tell`` why it did not start, if it did not."""
        launcher.detach(self._log)
        if not self._adopted:
            complaint = self._start()
            if complaint:
                os.write(tell, complaint.encode())
                return
        os.close(tell)
        stopped = self._stay()
        if stopped:
            self._finish()

    # Its beginning.

    def _start(self) -> str:
        entrance = self._entrance()
        try:
            output = self._api.open(
                "POST",
                f"/containers/{self._made.container}/attach?stream=1&stdout=1&stderr=1",
                headers={"Upgrade": "tcp", "Connection": "Upgrade"},
            )
            self._copy(output, 0)
            entrance.seek()
            self._started = time.time()
            self._api.call("POST", f"/containers/{self._made.container}/start")
            pid = self._pid()
            complaint = self._enter(entrance, pid)
        except EngineGone as error:
            return f"gone: {error}\n"
        except EngineError as error:
            words = " ".join(error.words.split())
            return f"{'start' if any(each in words.lower() for each in _NOT_FOUND) else 'internal'}: {words}\n"
        self._usage.watch(pid)
        return f"internal: {complaint}\n" if complaint else ""

    def _entrance(self) -> Entrance | AskedEntrance:
        order, container = self._order, self._made.container
        if os.geteuid() == 0 or order.inside == ((), False):
            return Entrance(container, order.loopback, order.closed)
        return AskedEntrance(self._api, order, container)

    def _enter(self, entrance: Entrance | AskedEntrance, pid: int) -> str:
        """What ``finish`` says."""
        complaint = entrance.finish(pid)
        for descriptor in entrance.listeners:
            start_new_thread(forward.listen, (descriptor, forward.same))
        return complaint

    def _pid(self) -> int:
        try:
            return int(self._state()["Pid"])
        except (EngineGone, EngineError):
            return 0

    def _state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.call("GET", f"/containers/{self._made.container}/json")["State"]
        return found

    # Its log.

    def _copy(self, output: Answer, skip: int) -> None:
        self._copied.acquire()
        start_new_thread(self._copy_to_end, (output, skip))

    def _copy_to_end(self, output: Answer, skip: int) -> None:
        try:
            for piece in _pieces(output):
                if skip:
                    skip, piece = max(0, skip - len(piece)), piece[skip:]
                self._write(piece)
        finally:
            output.close()
            self._copied.release()

    def _write(self, piece: bytes) -> None:
        """Waits for room on a disk that is full, and until what was written before is taken over.

        The container waits, too, when the engine holds enough of it.
        """
        while self._backlog.full() and self._owned():
            time.sleep(_TAKEN_EVERY)
        while piece:
            try:
                piece = piece[os.write(self._log, piece) :]
            except OSError:
                if not self._owned():
                    return
                time.sleep(_ASK_EVERY)

    def _copy_rest(self) -> None:
        """What was said while nobody copied: the engine kept it, and what is in ``log`` already comes first."""
        path = f"/containers/{self._made.container}/logs?stdout=1&stderr=1"
        written = os.fstat(self._log).st_size - self._base
        held = self._api.open("GET", path)
        try:
            skip = resuming.heard(_pieces(held), written, self._last(min(written, resuming.SEEN)))
        finally:
            held.close()
        self._copy(self._api.open("GET", f"{path}&follow=1"), skip)

    def _last(self, size: int) -> bytes:
        log = os.open("log", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            return os.pread(log, size, os.fstat(log).st_size - size)
        finally:
            os.close(log)

    # Its end.

    def _stay(self) -> bool:
        """Returns when it has ended and that was reported; False if nothing is left to remove."""
        resumes = self._adopted
        left = False  # whether the engine was gone in between
        while True:
            try:
                state = self._state()
                if resumes:
                    self._usage.watch(int(state["Pid"]))
                    self._carry_again(int(state["Pid"]))
                    self._copy_rest()
                if state["Status"] not in ("created", "exited", "dead"):
                    left = False  # it outlived that
                    self._wait()
                    state = self._state()
                self._report(state, left)
                return True
            except EngineError as error:
                self.lost(f"the engine does not know the container any more ({error.words})")
                return True
            except EngineGone:
                resumes = left = True
                if not self._engine_comes_back():
                    self.lost("the container engine stopped while the container ran")
                    return False

    def _carry_again(self, pid: int) -> None:
        if pid and self._adopted:
            self._adopted = False  # once is enough
            entrance = self._entrance()
            try:
                entrance.seek()
                self._enter(entrance, pid)
            except EngineError as error:
                self._remarks.append(f"[wildsage] the server cannot be reached from inside any more: {error.words}\n")

    def _wait(self) -> None:
        """To the container's end; looks now and then at what it uses."""
        waiting = allocate_lock()
        waiting.acquire()
        failed: list[Exception] = []

        def ask() -> None:
            try:
                self._api.call("POST", f"/containers/{self._made.container}/wait")
            except (EngineGone, EngineError) as error:
                failed.append(error)
            waiting.release()

        start_new_thread(ask, ())
        while not waiting.acquire(timeout=_LOOK_EVERY):
            self._usage.look()
            if not self._owned():
                making.try_to_remove(self._api, self._made, self._order.name)
                os._exit(0)
        if failed:
            raise failed[0]

    def _owned(self) -> bool:
        """Whether the directory exists; without it nobody can find this container again, so it must not go on."""
        return os.fstat(self._directory).st_nlink > 0

    def _engine_comes_back(self) -> bool:
        end = time.monotonic() + self._order.patience
        while time.monotonic() < end and self._owned():
            try:
                self._state()
                return True
            except EngineError:
                return True  # it is back, and _stay will hear what it has to say
            except EngineGone:
                time.sleep(_ASK_EVERY)
        return False

    def _report(self, state: dict[str, Any], left: bool) -> None:
        code = int(state["ExitCode"])
        if left:
            self.lost(f"the container engine stopped, and ended the container (exit code {code})")
            return
        if state["Status"] == "created":
            self.lost("it was never started")
            return
        while not self._copied.acquire(timeout=_DRAINED_WITHIN) and self._backlog.full() and self._owned():
            pass
        killed = code != 0 and (bool(state["OOMKilled"]) or self._usage.killed)
        ended = time.time()
        self._hand_over()
        for remark in self._remarks:
            self._write(remark.encode())
        began = self._started or used.seconds(state["StartedAt"])
        self._put(
            f'{{"exit_code": {code & 255}, "out_of_memory": {"true" if killed else "false"}, '
            f'"started_at": {began!r}, "ended_at": {max(began, ended)!r}, '
            f'"cpu_seconds": {self._usage.cpu_seconds!r}, "peak_memory_bytes": {self._usage.peak_bytes}}}\n'
        )

    def _hand_over(self) -> None:
        """What the container left is the user's then. What is not, ``remove`` sees to once more."""
        while True:
            try:
                hand_over(self._api, self._order.name, self._order.directory)
                return
            except EngineError as error:
                self._remarks.append(f"[wildsage] some files still belong to root: {error.words}\n")
                return
            except EngineGone:
                if not self._engine_comes_back():
                    return

    def lost(self, reason: str) -> None:
        """Reports that nobody will know how it ended, and why."""
        words = reason.replace("\\", "/").replace('"', "'")
        self._put(f'{{"lost": "{words}"}}\n')

    def _put(self, text: str) -> None:
        """``exit.json``, whole or not at all, on the disk before this process ends."""
        if not self._owned():
            return
        report = os.open(f"{EXIT}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=self._directory)
        os.write(report, text.encode())
        os.fsync(report)
        os.close(report)
        os.rename(f"{EXIT}.new", EXIT, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        os.fsync(self._directory)

    def _finish(self) -> None:
        """Who waits for the end waits for this process; the engine may take its time for the rest."""
        if os.fork() == 0:
            making.try_to_remove(self._api, self._made, self._order.name)
        os._exit(0)


def _pieces(output: Answer) -> Iterator[bytes]:
    """What the container wrote, whichever stream it wrote to."""
    while len(head := output.read(_HEADER)) == _HEADER:
        yield output.read(int.from_bytes(head[4:], "big"))
