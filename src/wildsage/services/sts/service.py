"""The sts service: its operations, gathered."""

from functools import partial

from wildsage.core.errors import ApiError
from wildsage.kit import reservedtags
from wildsage.kit.operation import service
from wildsage.services.sts import operations

STS = service("sts", operations, reserved_tag=reservedtags.worded(partial(ApiError, "ValidationError")))
