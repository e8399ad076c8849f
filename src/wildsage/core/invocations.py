"""Settings of invocations: how much an endpoint may be sent, and how long its model may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.core.numbers import number

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class InvocationLimits:
    """``payload``: bytes of a request. ``seconds``, ``stream_seconds``: until an answer, or a streamed one, is whole.

    ``together``: bytes of requests that one router keeps at a time; what would be more is refused.

    "Real-time inference can support payload sizes up to 25 MB and processing times of 60 seconds for regular responses
    and 8 minutes for streaming responses" (Developer Guide, "Inference options").
    """

    payload: int = 25 * _MB
    seconds: float = 60.0
    stream_seconds: float = 480.0
    together: int = 1024 * _MB


def invocation_limits(environ: Mapping[str, str]) -> InvocationLimits:
    """WILDSAGE_INVOKE_MB, …_MB_TOGETHER, WILDSAGE_INVOKE_SECONDS and WILDSAGE_INVOKE_STREAM_SECONDS."""
    found = InvocationLimits()
    return InvocationLimits(
        payload=int(number(environ, "WILDSAGE_INVOKE_MB", found.payload / _MB, 1024) * _MB),
        seconds=number(environ, "WILDSAGE_INVOKE_SECONDS", found.seconds, 86400),
        together=int(number(environ, "WILDSAGE_INVOKE_MB_TOGETHER", found.together / _MB, 1024 * 1024) * _MB),
        stream_seconds=number(environ, "WILDSAGE_INVOKE_STREAM_SECONDS", found.stream_seconds, 86400),
    )
