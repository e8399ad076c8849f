"""The logs service: its operations, gathered."""

from __future__ import annotations

from wildsage.kit.operation import service
from wildsage.services.logs import events, groups, streams

LOGS = service("logs", groups, streams, events)
