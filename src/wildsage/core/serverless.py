"""Settings of serverless inference, and what AWS limits its requests to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.core.numbers import number

PAYLOAD = 4 * 1024 * 1024
"""Bytes of a request: "Serverless Inference can support payload sizes up to 4 MB and processing times up to 60 seconds"
(Developer Guide, "Inference options")."""

SETUP_HEADER = "x-wildsage-setup-us"
"""Of a worker's first answer: the microseconds that its start has taken (``toolkit/serving/serverless/worker.py``)."""

_MOST = 86400.0


@dataclass(frozen=True, slots=True)
class ServerlessSettings:
    """``idle``: seconds without a request after which a worker ends. AWS does not say how long it waits."""

    idle: float = 300.0


def serverless_settings(environ: Mapping[str, str]) -> ServerlessSettings:
    """WILDSAGE_SERVERLESS_IDLE."""
    return ServerlessSettings(number(environ, "WILDSAGE_SERVERLESS_IDLE", ServerlessSettings().idle, _MOST))
