"""The service-linked role that everything is done as (SageMaker Developer Guide, "Auto scaling prerequisites")."""

from __future__ import annotations

from wildsage.core import arn
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.kit.roles import role_arn, service_linked

_PRINCIPAL = "sagemaker.application-autoscaling.amazonaws.com"
_NAME = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
_POLICY = "aws-service-role/AWSApplicationAutoscalingSageMakerEndpointPolicy"


async def caller(platform: Platform, account: str) -> Caller:
    """A session of the role, which is made if it is not there."""
    policy = arn.build("iam", "", "aws", f"policy/{_POLICY}")
    return await service_linked(platform, account, _NAME, _PRINCIPAL, policy, "AutoScaling")


def of_account(account: str) -> str:
    """The role's ARN."""
    return role_arn(account, f"/aws-service-role/{_PRINCIPAL}/", _NAME)
