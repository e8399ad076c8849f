"""What control tells an attendant, as plain values: reading it imports next to nothing (see ``keeper.order``)."""

from __future__ import annotations

import marshal
from typing import Any

Document = dict[str, Any]


class Order:
    """One container to make and to stay with.

    ``directory``: has no symbolic links. ``socket``: of the engine. ``container``: its document, but for its network:
    ``network`` is the document of one to make, at the first of ``places`` (subnet, address of the container) that is
    free; without it, ``joins`` names one that exists, and the address there, or is empty for loopback only.
    ``inside``: ports of the machine's loopback to listen at there, and whether it is kept from the machine's metadata
    addresses (``core.metadata``). ``patience``: seconds that an engine which is gone may take to come back. Of a
    container that exists already, ``container`` has the labels alone.
    """

    def __init__(
        self,
        directory: str,
        socket: str,
        container: Document,
        network: Document | None,
        places: tuple[tuple[str, str], ...],
        joins: tuple[str, ...],
        inside: tuple[tuple[int, ...], bool],
        patience: float,
    ) -> None:
        self.directory = directory
        self.socket = socket
        self.container = container
        self.network = network
        self.places = places
        self.joins = joins
        self.loopback, self.closed = self.inside = inside
        self.patience = patience

    @property
    def name(self) -> str:
        """The container's, in the engine."""
        label: str = self.container["Labels"]["wildsage.container"]
        return label

    def dump(self) -> bytes:
        places = (self.network, self.places, self.joins)
        return marshal.dumps((self.directory, self.socket, self.container, *places, self.inside, self.patience))


def load(raw: bytes) -> Order:
    """The order that ``dump`` made ``raw`` of."""
    return Order(*marshal.loads(raw))
