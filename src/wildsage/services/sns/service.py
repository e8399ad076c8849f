"""Amazon SNS: what ``compose`` takes."""

from __future__ import annotations

from wildsage.kit.operation import service
from wildsage.services.sns import publish, subscriptions, topics

SNS = service("sns", topics, subscriptions, publish)
