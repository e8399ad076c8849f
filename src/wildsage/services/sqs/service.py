"""Amazon SQS: what ``compose`` takes."""

from __future__ import annotations

from wildsage.kit import reservedtags
from wildsage.kit.operation import service
from wildsage.services.sqs import labels, names, queues, receiving, sending

SQS = service("sqs", queues, labels, sending, receiving, reserved_tag=reservedtags.worded(names.invalid))
