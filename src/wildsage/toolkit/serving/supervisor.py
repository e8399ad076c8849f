"""The process that keeps the workers: starts them, replaces those that die, ends them."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable

from . import children

# Work(parent, ready): what a worker does; ``ready`` is called once it can answer.
Work = Callable[[int, Callable[[], None]], None]

_STOP_SECONDS = 30.0
_PAUSE_SECONDS = 1.0


def log(message: str) -> None:
    """One line of the container's log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} INFO - model server - {message}", flush=True)


class Supervisor:
    """Runs ``count`` workers, loading one at a time: the sooner the first has the model, the sooner requests come."""

    def __init__(self, count: int, work: Work) -> None:
        self._count = count
        self._work = work
        self._workers: set[int] = set()
        self._loaded: set[int] = set()
        self._served = False
        self._stopping = False
        self._failed = 0
        self._alive = os.pipe()  # workers see its end when this process is gone
        self._ready = os.pipe()
        self._signals = os.pipe()

    def run(self) -> int:
        """Returns the exit status: 0 after SIGTERM, else that of a worker that could not load the model."""
        os.set_blocking(self._signals[1], False)
        signal.set_wakeup_fd(self._signals[1], warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, children.noticed)
        os.set_blocking(self._signals[0], False)
        self._start()
        while not self._stopping and not self._failed:
            pause = None if len(self._loaded) == self._count else _PAUSE_SECONDS
            readable = select.select([self._ready[0], self._signals[0]], [], [], pause)[0]
            if self._ready[0] in readable:
                self._welcome(int.from_bytes(os.read(self._ready[0], 4), "little"))
            if self._signals[0] in readable:
                os.read(self._signals[0], 4096)
            self._reap()
            if self._served and len(self._workers) < self._count and self._workers <= self._loaded:
                self._start()
        self._end()
        return self._failed

    def _start(self) -> None:
        pid = children.fork()
        if pid == 0:
            os._exit(self._child())
        self._workers.add(pid)

    def _child(self) -> int:
        """A worker's whole life."""
        try:
            os.close(self._alive[1])
            self._work(self._alive[0], lambda: _tell(self._ready[1]))
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        return 0

    def _welcome(self, pid: int) -> None:
        self._loaded.add(pid)
        if not self._served:
            self._served = True
            log(f"the model is loaded; {self._count} worker(s)")

    def _reap(self) -> None:
        for pid, code in children.ended():
            if pid not in self._workers:
                continue  # a process that user code left behind
            self._workers.discard(pid)
            loaded = pid in self._loaded
            self._loaded.discard(pid)
            if self._stopping:
                continue
            how = children.told(code)
            if not self._served:
                self._failed = 128 - code if code < 0 else code or 1
                if code < 0:
                    log(f"the worker {how} while it loaded the model")
                return
            log(f"a worker {how}; starting another")
            if not loaded:
                time.sleep(_PAUSE_SECONDS)

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _end(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        self._stopping = True
        while self._workers and time.monotonic() < deadline:
            select.select([self._signals[0]], [], [], 0.1)
            self._reap()
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        # Python takes its handlers away while it ends; a second SIGTERM must not turn a clean stop into a death.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


def _tell(descriptor: int) -> None:
    os.write(descriptor, os.getpid().to_bytes(4, "little"))
