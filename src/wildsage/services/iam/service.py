"""The iam service: its operations, gathered."""

from wildsage.kit.operation import service
from wildsage.services.iam import attachments, policies, roles, users

IAM = service("iam", roles, users, policies, operations=attachments.OPERATIONS)
