"""Addresses that servers listen on, and how they are reached."""

from __future__ import annotations

ALIVE = "/_wildsage/alive"
"""The path that each process of a server answers at its own socket, whatever it is at; the supervisor asks it."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def reached_at(host: str) -> str:
    """Where this machine reaches what listens on ``host``: one that means every address is none to connect to."""
    return _EVERYWHERE.get(host, host)
