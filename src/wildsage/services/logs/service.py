"""The logs service: its operations, gathered."""

from __future__ import annotations

from wildsage.kit import reservedtags
from wildsage.kit.operation import service
from wildsage.services.logs import events, groups, names, streams

LOGS = service("logs", groups, streams, events, reserved_tag=reservedtags.worded(names.invalid))
