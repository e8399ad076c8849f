"""Commands on the other hosts of a job, for MPI, where AWS's images use ssh.

    remote.py serve MASTER                  on a worker: runs what the master asks for, until the master has ended
    remote.py lead WORKER … -- COMMAND …    on the master: runs the command once all workers serve; tells them its end
    remote.py ask HOST COMMAND …            what mpirun uses as its ssh
    remote.py knock HOST PORT               whether somebody listens there
    remote.py daemon                        what SDK v3's MPI driver starts as sshd: serves whoever asks
    remote.py ssh [OPTION …] HOST COMMAND … what it, and mpirun for it, use as ssh

The network is the job's own, so whoever can ask may. One connection for each command: a line of JSON with its text,
then the command's output up to a zero byte and its exit status; when the asker goes away, the command is told to end.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

_PORT = 7776
_PATIENCE = 3600.0  # seconds for all hosts to be there, as in AWS's toolkit
_PAUSE = 0.05
_END = b"\0"
_FINISHED = "finished"
_RESOURCES = "/opt/ml/input/config/resourceconfig.json"
_SSH = "/usr/bin/ssh"


def reach(host: str, port: int) -> socket.socket:
    """A connection, as soon as somebody listens there."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return socket.create_connection((host, port), 10)
        except OSError as error:
            if time.monotonic() > end:
                sys.exit(f"Error: {host} cannot be reached: {error}")
            time.sleep(_PAUSE)


def _line(connection: socket.socket) -> str:
    with connection.makefile("r", encoding="utf-8", newline="\n") as file:
        return file.readline()


def serve(master: str) -> int:
    """0 once the master says that it has finished; 1 if it went away without a word."""
    print(f"Waiting for {master} to start processes here.", file=sys.stderr, flush=True)
    return _listen()


def _listen() -> int:
    """Never returns; the process ends with the master's word, or is killed."""
    listener = socket.create_server((socket.gethostname(), _PORT))
    while True:
        connection, _ = listener.accept()
        text = _line(connection)
        if text == "":
            connection.close()
            continue
        order = json.loads(text)
        if "command" in order:
            threading.Thread(target=_run, args=(connection, order["command"]), daemon=True).start()
        else:
            threading.Thread(target=_until_finished, args=(connection,), daemon=True).start()


def _until_finished(connection: socket.socket) -> None:
    connection.settimeout(None)
    said = _line(connection)
    os._exit(0 if said.strip() == _FINISHED else 1)


def _run(connection: socket.socket, command: str) -> None:
    child = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    threading.Thread(target=_end_with, args=(connection, child), daemon=True).start()
    assert child.stdout is not None
    try:
        while data := os.read(child.stdout.fileno(), 1 << 16):
            connection.sendall(data.replace(_END, b""))
        connection.sendall(_END + str(child.wait()).encode())
        connection.shutdown(socket.SHUT_RDWR)  # the other thread still reads, so closing alone would tell nobody
    except OSError:
        child.wait()  # who asked is gone; the other thread has told the command to end
    connection.close()


def _end_with(connection: socket.socket, child: subprocess.Popen[bytes]) -> None:
    try:
        connection.settimeout(None)
        connection.recv(1)
    except OSError:
        pass
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)


def ask(host: str, command: list[str]) -> int:
    """Runs the command on ``host`` and writes its output here; its exit status."""
    connection = reach(host, _PORT)
    connection.settimeout(None)
    connection.sendall(json.dumps({"command": " ".join(command)}).encode() + b"\n")
    status, ended = b"", False
    while data := connection.recv(1 << 16):
        if not ended:
            output, end, data = data.partition(_END)
            ended = bool(end)
            os.write(2, output)
        status += data
    return int(status) & 255 if status else 255


def lead(workers: list[str], command: list[str]) -> int:
    """The command's exit status."""
    holding = []
    for worker in workers:
        connection = reach(worker, _PORT)
        connection.sendall(b"{}\n")
        holding.append(connection)
        print(f"Worker {worker} available for communication", file=sys.stderr, flush=True)
    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    status = child.wait()
    for connection in holding:
        connection.sendall(f"{_FINISHED}\n".encode())
        connection.close()
    return status if status >= 0 else 128 - status


def knock(host: str, port: int) -> int:
    """0 if somebody listens there."""
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return 1
    return 0


def _hosts() -> list[str]:
    with open(_RESOURCES, encoding="utf-8") as file:
        found: list[str] = json.load(file)["hosts"]
    return found


def daemon() -> int:
    """An instance that is alone shares the machine's network, and nobody is there to ask."""
    return _listen() if len(_hosts()) > 1 else 0


def ssh(words: list[str]) -> int:
    """As ``ask`` for hosts of the job; for any other what the machine has as ssh."""
    line = list(words)
    while line and line[0].startswith("-"):
        line.pop(0)
    if line and line[0] in _hosts():
        return ask(line[0], line[1:])
    if os.path.exists(_SSH):
        os.execv(_SSH, [_SSH, *words])
    sys.exit(f"ssh: {' '.join(line[:1])} is no host of this job, and there is no {_SSH} to reach others with")


def main() -> int:
    """Entry: see the module's text."""
    what, *rest = sys.argv[1:]
    if what == "serve":
        return serve(rest[0])
    if what == "lead":
        at = rest.index("--")
        return lead(rest[:at], rest[at + 1 :])
    if what == "knock":
        return knock(rest[0], int(rest[1]))
    if what == "daemon":
        return daemon()
    if what == "ssh":
        return ssh(rest)
    return ask(rest[0], rest[1:])


if __name__ == "__main__":
    sys.exit(main())
