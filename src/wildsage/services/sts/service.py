"""The sts service: its operations, gathered."""

from wildsage.kit.operation import service
from wildsage.services.sts import operations

STS = service("sts", operations)
