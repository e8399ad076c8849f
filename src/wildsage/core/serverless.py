"""Settings of serverless inference, and what AWS limits its requests to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.core.errors import SettingsError

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
    text = environ.get("WILDSAGE_SERVERLESS_IDLE")
    if text is None:
        return ServerlessSettings()
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _MOST:
        raise SettingsError(f"WILDSAGE_SERVERLESS_IDLE must be seconds above 0 and up to {_MOST:g}, not {text!r}")
    return ServerlessSettings(value)
