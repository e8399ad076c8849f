"""Amazon SNS: what ``compose`` takes."""

from __future__ import annotations

from wildsage.kit import reservedtags
from wildsage.kit.operation import service
from wildsage.services.sns import names, publish, subscriptions, topics

SNS = service("sns", topics, subscriptions, publish, reserved_tag=reservedtags.worded(names.invalid))
