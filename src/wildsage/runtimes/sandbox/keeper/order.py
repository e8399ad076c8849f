"""What control tells the launcher; plain values, passed as marshal because both ends are one interpreter."""

from __future__ import annotations

import marshal

Step = tuple[str, ...]
"""One step of building the root (``root.py``): its name and its arguments."""


class Order:
    """One container to launch; see ``LaunchSpec`` for the meaning of what is named as there.

    ``directory`` has no symbolic links. ``group``: name of its control groups. ``memory_bytes``/``cpus``: 0 for no
    limit. ``steps``: the root's plan.
    """

    def __init__(
        self,
        directory: str,
        group: str,
        command: tuple[tuple[str, ...], dict[str, str], str],
        hostname: str,
        isolated: bool,
        memory_bytes: int,
        cpus: float,
        steps: list[Step],
    ) -> None:
        self.directory = directory
        self.group = group
        self.argv, self.environment, self.working_directory = self.command = command
        self.hostname = hostname
        self.isolated = isolated
        self.memory_bytes = memory_bytes
        self.cpus = cpus
        self.steps = steps

    def dump(self) -> bytes:
        return marshal.dumps(
            (
                self.directory,
                self.group,
                self.command,
                self.hostname,
                self.isolated,
                self.memory_bytes,
                self.cpus,
                self.steps,
            )
        )


def load(raw: bytes) -> Order:
    """The order that ``dump`` made ``raw`` of."""
    return Order(*marshal.loads(raw))
