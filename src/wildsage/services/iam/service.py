"""The iam service: its operations, gathered."""

from functools import partial

from wildsage.core.errors import ApiError
from wildsage.kit import reservedtags
from wildsage.kit.operation import service
from wildsage.services.iam import attachments, policies, roles, simulation, users

IAM = service(
    "iam",
    roles,
    users,
    policies,
    simulation,
    operations=attachments.OPERATIONS,
    reserved_tag=reservedtags.worded(partial(ApiError, "InvalidInput")),
)
