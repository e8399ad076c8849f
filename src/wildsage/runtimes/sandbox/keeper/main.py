"""Launches one container and stays with it to its end.

Control starts this program, writes the order (marshal) to its standard input and reads the outcome from its standard
output: ``key value`` lines as in the state file, or one line ``refused|client|internal: words``.  In between:

    launcher  takes the directory's lock; a state file there means the container exists already
      └─ keeper    process 1 of the new process namespace: builds the root, reaps, writes exit.json
           └─ container   argv, in a session of its own

The launcher writes the state file before it lets the container begin, so none can run unrecorded, and ends as soon as
argv runs; the keeper goes on alone.  Killing the keeper kills the namespace and with it all of the container.
"""

from __future__ import annotations

# signal itself brings enum: a megabyte and milliseconds for each container
import _signal as signal  # type: ignore[import-not-found]
import errno
import os
import resource
import time

from wildsage.runtimes.sandbox.keeper import backlog, closing, forked, identity, kernel, launcher, limits, root
from wildsage.runtimes.sandbox.keeper.launcher import EXIT, STATE
from wildsage.runtimes.sandbox.keeper.order import Order, load

_REPORT_BYTES = 512
_KEPT_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 10})  # chown, dac, fowner, fsetid, kill, setgid, setuid, bind
_MEASURE_EVERY = 0.1  # seconds
_LOOK_AFTER = 0.5  # seconds, between looks at whether the container still has an owner, and at its log
_LOOK_SOON = 0.05  # while it writes fast, or waits until what it wrote is taken over
_FAST = 1 << 23  # bytes from one look to the next


def main() -> None:
    """Entry: see the module's text."""
    order = load(launcher.asked())
    lock = launcher.lock(order.directory)
    launcher.answer(launcher.made(order.directory) or _launch(order, lock))


def _launch(order: Order, lock: int) -> str:
    directory = order.directory
    if os.path.exists(f"{directory}/{EXIT}"):
        os.unlink(f"{directory}/{EXIT}")
    arranged = limits.create(order.group, *order.limits)
    if order.closed and order.network is None:
        closing.close(arranged, order.group)  # where that is impossible, probe() tells the person
    try:
        network, around = _network(order.network)
    except OSError as error:
        arranged.remove()
        return f"internal: the network of the instances is gone ({error.strerror})\n"
    try:
        in_user_namespace = _separate(around)
    except OSError as error:
        arranged.remove()
        return f"refused: the kernel does not let this user make namespaces ({error.strerror}); see: wildsage doctor\n"
    pid, outcome, go = launcher.fork(
        lock, lambda tell, gate: Keeper(order, arranged, in_user_namespace, network).run(tell, gate)
    )
    state = launcher.record(directory, pid, "".join(f"group {group}\n" for group in arranged.groups))
    os.write(go, b"1")
    with open(outcome) as pipe:
        complaint = pipe.read()
    if complaint:
        os.waitpid(pid, 0)
        arranged.remove()
        os.unlink(f"{directory}/{STATE}")
        return complaint
    return state


def _network(joins: tuple[int, ...] | None) -> tuple[int, int]:
    """Descriptors of the network namespace to join and of the user namespace around it, each -1 for none."""
    if not joins:
        return -1, -1
    pid, started, *numbers = joins
    network, around = (
        os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_CLOEXEC) if number >= 0 else -1 for number in numbers
    )
    if identity.start_time(pid) != started:  # it was another process that these were taken from
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return network, around


def _separate(around: int) -> bool:
    """New process namespace for the child to come; True if that took a user namespace, ``around`` if there is one."""
    if around >= 0:
        kernel.enter(around, kernel.CLONE_NEWUSER)
        kernel.unshare(kernel.CLONE_NEWPID)
        return True
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
    except PermissionError:
        kernel.separate_user()
        kernel.unshare(kernel.CLONE_NEWPID)
        return True
    return False


class Keeper:
    """Process 1 of a container."""

    def __init__(self, order: Order, arranged: limits.Limits, in_user_namespace: bool, network: int) -> None:
        self._order = order
        self._network = network
        self._limits = arranged
        self._in_user_namespace = in_user_namespace
        self._stopping = False
        self._out_of_memory = False
        self._main = 0
        self._started = 0.0
        directory = order.directory
        self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._zygote = forked.connect(order.zygote) if order.zygote else None
        self._log = os.open(f"{directory}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._backlog = backlog.Backlog(self._directory, self._log)
        self._paused = False

    def run(self, tell: int, gate: int) -> None:
        """Never returns. Writes what went wrong before argv ran to ``tell``; begins only when ``gate`` has a byte."""
        try:
            os.setsid()
            self._reserve_report()
            self._prepare()
            if os.read(gate, 1) != b"1":
                os._exit(1)
            self._begin(tell)
        except OSError as error:
            kind = "refused" if isinstance(error, PermissionError) else "internal"
            os.write(tell, f"{kind}: the container's root could not be made: {error}\n".encode())
            os._exit(1)
        os.close(tell)
        launcher.detach(self._log)
        self._supervise()
        os._exit(0)

    def _reserve_report(self) -> None:
        """The container may fill the disk; how it ended must still find room."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._exit = os.open(f"{EXIT}.new", flags, 0o644, dir_fd=self._directory)
        os.posix_fallocate(self._exit, 0, _REPORT_BYTES)

    def _prepare(self) -> None:
        flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC
        kernel.unshare(flags)
        if self._network >= 0:
            kernel.enter(self._network, kernel.CLONE_NEWNET)
        elif self._order.network is not None:
            kernel.unshare(kernel.CLONE_NEWNET)
            kernel.loopback_up()
        kernel.set_hostname(self._order.hostname)
        root.build(self._order.directory, self._order.steps, self._in_user_namespace)

    def _begin(self, tell: int) -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_kill)
        gate, go = os.pipe()
        self._started = time.time()
        self._main = self._fork(gate) or os.fork()
        if self._main == 0:
            os.close(go)
            os.read(gate, 1)
            self._execute(tell)
        os.close(gate)
        self._limits.apply(self._main)
        os.write(go, b"1")
        os.close(go)

    def _fork(self, gate: int) -> int:
        """The container's first process, of a zygote; 0 if it is to be executed."""
        if self._zygote is None:
            return 0
        flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWPID
        if self._order.network is not None:
            flags |= kernel.CLONE_NEWNET
        if self._in_user_namespace:
            flags |= kernel.CLONE_NEWUSER
        return forked.fork(self._zygote, self._order, flags, _KEPT_CAPABILITIES, self._log, gate)

    def _execute(self, tell: int) -> None:
        """In the container's first process: becomes argv."""
        argv = self._order.argv
        try:
            os.setsid()
            os.umask(0o022)
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(self._log, 1)
            os.dup2(self._log, 2)
            for number in range(1, signal.NSIG):
                if signal.getsignal(number) not in (signal.SIG_DFL, None):
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.chdir(self._order.working_directory)
            if os.geteuid() == 0:
                with open("/proc/sys/kernel/cap_last_cap") as file:
                    kernel.keep_only(_KEPT_CAPABILITIES, int(file.read()))
            kernel.forbid_new_privileges()
            os.execvpe(argv[0], argv, self._order.environment)
        except OSError as error:
            os.write(tell, f"client: {argv[0]} cannot be run in the container: {error}\n".encode())
        os._exit(127)

    def _on_stop(self, number: int, frame: object) -> None:
        """SIGTERM to the first process, as AWS does; if it dies of that, whoever is left gets the signal, too."""
        self._stopping = True
        self._signal(self._main or -1, signal.SIGTERM)

    def _on_kill(self, number: int, frame: object) -> None:
        self._signal(-1, signal.SIGKILL)

    def _signal(self, pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def _supervise(self) -> None:
        """Reaps until no process is left, then writes how it ended."""
        status = 0
        pause = _MEASURE_EVERY if self._limits.memory_bytes else _LOOK_AFTER
        while True:
            try:
                pid, ended = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                signal.sigtimedwait({signal.SIGCHLD}, _LOOK_SOON if self._hurries() else pause)
                if self._limits.exceeded():
                    self._out_of_memory = True
                    self._signal(-1, signal.SIGKILL)
                elif not self._owned():
                    self._signal(-1, signal.SIGKILL)
            elif pid == self._main:
                self._main, status = 0, ended
                self._signal(-1, signal.SIGTERM if self._died_of_stop(ended) else signal.SIGKILL)
        if self._owned():
            self._report(os.waitstatus_to_exitcode(status))
        else:
            self._limits.remove()

    def _died_of_stop(self, status: int) -> bool:
        """Whether the SIGTERM killed the first process, as it does a shell, which has passed nothing on.

        In an engine's container, where it is process 1, the signal would not have; the rest has the grace to finish.
        One that ended by itself takes all others with it there.
        """
        return self._stopping and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM

    def _hurries(self) -> bool:
        """Lets the container wait while too much of its log was not taken over; whether to look again soon."""
        full = self._backlog.full()
        if full != self._paused:
            self._paused = full
            self._signal(-1, signal.SIGSTOP if full else signal.SIGCONT)
        return full or self._backlog.grown > _FAST

    def _owned(self) -> bool:
        """Whether the directory exists; without it nobody can find this container again, so it must not go on."""
        return os.fstat(self._directory).st_nlink > 0

    def _report(self, code: int) -> None:
        """``exit.json``, whole or not at all, on the disk before this process ends."""
        killed = code != 0 and (self._out_of_memory or self._limits.killed())
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = (
            f'{{"exit_code": {code if code >= 0 else 128 - code}, "out_of_memory": {"true" if killed else "false"}, '
            f'"started_at": {self._started!r}, "ended_at": {time.time()!r}, '
            f'"cpu_seconds": {used.ru_utime + used.ru_stime!r}, "peak_memory_bytes": {used.ru_maxrss * 1024}}}\n'
        )
        os.pwrite(self._exit, text.encode(), 0)
        os.ftruncate(self._exit, len(text))
        os.fsync(self._exit)
        os.close(self._exit)
        os.rename(f"{EXIT}.new", EXIT, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        os.fsync(self._directory)
