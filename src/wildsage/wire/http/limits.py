"""How long and how large a client's part of an HTTP exchange may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and seconds a client may take.

    ``head_seconds``: from a request's first byte to the end of its head. ``body_seconds``, ``write_seconds``: without a
    byte moving. ``linger_seconds``: how long a connection that is being closed still swallows what the client sends.
    """

    head_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 120.0
    write_seconds: float = 60.0
    linger_seconds: float = 2.0
