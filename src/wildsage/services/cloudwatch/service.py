"""The cloudwatch service: its operations, gathered."""

from __future__ import annotations

from wildsage.kit.operation import service
from wildsage.services.cloudwatch import data, reading

CLOUDWATCH = service("cloudwatch", data, reading)
