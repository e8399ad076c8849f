"""What control tells the process that is to hold a network; plain values, as in ``keeper.order``."""

from __future__ import annotations

import marshal


class Order:
    """One network to make; see ``NetworkSpec`` for the meaning of what is named as there.

    ``directory`` has no symbolic links. ``python``: the command of an interpreter that can import what sealing needs,
    empty for a network that is not encrypted. ``closed``: as a container's (``keeper.order``).
    """

    def __init__(
        self,
        directory: str,
        hosts: tuple[str, ...],
        outside: bool,
        loopback: tuple[int, ...],
        python: tuple[str, ...],
        closed: bool,
    ) -> None:
        self.directory = directory
        self.hosts = hosts
        self.outside = outside
        self.loopback = loopback
        self.python = python
        self.closed = closed

    def dump(self) -> bytes:
        return marshal.dumps((self.directory, self.hosts, self.outside, self.loopback, self.python, self.closed))


def load(raw: bytes) -> Order:
    """The order that ``dump`` made ``raw`` of."""
    return Order(*marshal.loads(raw))
