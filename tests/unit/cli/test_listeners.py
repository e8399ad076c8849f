"""One port for several processes, and for nobody else."""

from __future__ import annotations

import socket
import threading

import pytest

from wildsage.cli.listeners import listen
from wildsage.core.errors import SettingsError


@pytest.mark.parametrize("count", [1, 3])
def test_each_listens_at_the_same_port(count: int) -> None:
    listeners = listen("127.0.0.1", 0, count)
    ports = {each.getsockname()[1] for each in listeners}
    assert (len(listeners), len(ports)) == (count, 1)
    for other in (1, 2):
        with pytest.raises(SettingsError, match="cannot be used"):
            listen("127.0.0.1", ports.pop() if other == 2 else next(iter(ports)), other)
    for each in listeners:
        each.close()


def test_connections_are_shared() -> None:
    listeners = listen("127.0.0.1", 0, 2)
    address = listeners[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(40)]
    counts = [0, 0]

    def accept(number: int) -> None:
        listeners[number].settimeout(0.5)
        try:
            while True:
                listeners[number].accept()[0].close()
                counts[number] += 1
        except TimeoutError:
            return

    threads = [threading.Thread(target=accept, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 40
    assert min(counts) > 0
    for each in (*clients, *listeners):
        each.close()
