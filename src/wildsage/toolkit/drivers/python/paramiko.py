"""As much of paramiko as SDK v3's MPI driver uses: can a host be reached? Everybody else gets the real one."""

from __future__ import annotations

import os
import socket
import sys

from wildsage_installed import take_over

_PORT = 7776  # remote.py's, which stands in for sshd
_DRIVER = "mpi_driver.py"


class SSHException(Exception):
    """No connection."""


class MissingHostKeyPolicy:
    """The driver derives its own; there are no keys here."""


class SSHClient:
    """Connects, and that is all."""

    def __enter__(self) -> SSHClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def load_system_host_keys(self) -> None:
        """There are none."""

    def set_missing_host_key_policy(self, policy: MissingHostKeyPolicy) -> None:
        """There are no keys to have a policy about."""

    def connect(self, hostname: str, port: int = 22) -> None:
        """Raises SSHException unless the host's ``sshd`` listens; ``port`` is the real one's."""
        try:
            socket.create_connection((hostname, _PORT), 5).close()
        except OSError as error:
            raise SSHException(f"{hostname}: {error}") from error


client = sys.modules[__name__]

if os.path.basename(sys.argv[0]) != _DRIVER:
    take_over("paramiko", "Name it in requirements.txt.")
