"""The iam service: its operations, gathered."""

from wildsage.kit.operation import service
from wildsage.services.iam import attachments, policies, roles, simulation, users

IAM = service("iam", roles, users, policies, simulation, operations=attachments.OPERATIONS)
