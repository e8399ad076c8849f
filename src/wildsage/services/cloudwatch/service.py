"""The cloudwatch service: its operations, gathered."""

from __future__ import annotations

from wildsage.kit import reservedtags
from wildsage.kit.operation import service
from wildsage.services.cloudwatch import dashboards, data, names, reading, tags
from wildsage.services.cloudwatch.alarms import operations, showing

CLOUDWATCH = service(
    "cloudwatch", data, reading, operations, showing, dashboards, tags, reserved_tag=reservedtags.worded(names.invalid)
)
