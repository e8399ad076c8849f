"""The cloudwatch service: its operations, gathered."""

from __future__ import annotations

from wildsage.kit.operation import service
from wildsage.services.cloudwatch import dashboards, data, reading, tags
from wildsage.services.cloudwatch.alarms import operations, showing

CLOUDWATCH = service("cloudwatch", data, reading, operations, showing, dashboards, tags)
