"""What control tells the launcher; plain values, passed as marshal because both ends are one interpreter."""

from __future__ import annotations

import marshal

Step = tuple[str, ...]
"""One step of building the root (``root.py``): its name and its arguments."""


class Order:
    """One container to launch; see ``LaunchSpec`` for the meaning of what is named as there.

    ``directory`` has no symbolic links. ``group``: name of its control groups. ``network``: None is the machine's own,
    empty is loopback only; else, of the network to join, the process that holds it (number and start) and the numbers
    of that process's descriptors of the host's namespace and of the user namespace around it (-1 for none).
    ``limits``: memory in bytes, CPUs, processes; each 0 for none. ``steps``: the root's plan. Last of ``command`` is
    the socket of a zygote that argv is to be forked from, empty to execute it. ``closed``: the machine's metadata
    addresses are none of its business (``core.metadata``).
    """

    def __init__(
        self,
        directory: str,
        group: str,
        command: tuple[tuple[str, ...], dict[str, str], str, str],
        hostname: str,
        network: tuple[int, ...] | None,
        limits: tuple[int, float, int],
        steps: list[Step],
        closed: bool,
    ) -> None:
        self.directory = directory
        self.group = group
        self.argv, self.environment, self.working_directory, self.zygote = self.command = command
        self.hostname = hostname
        self.network = network
        self.limits = limits
        self.steps = steps
        self.closed = closed

    def dump(self) -> bytes:
        return marshal.dumps(
            (
                self.directory,
                self.group,
                self.command,
                self.hostname,
                self.network,
                self.limits,
                self.steps,
                self.closed,
            )
        )


def load(raw: bytes) -> Order:
    """The order that ``dump`` made ``raw`` of."""
    return Order(*marshal.loads(raw))
