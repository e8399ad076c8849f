"""What alarms tell other services."""

from __future__ import annotations

from wildsage.core import arn

POLICY_ALARMED = "scaling policy alarmed"
"""The hint that an alarm is in ALARM that has a scaling policy among its actions, about the policy's ARN."""


def is_scaling_policy(action: str) -> bool:
    """Whether an alarm's action is a policy of Application Auto Scaling for SageMaker."""
    try:
        found = arn.parse(action)
    except ValueError:
        return False
    return (
        found.service == "autoscaling"
        and found.resource.startswith("scalingPolicy:")
        and ":resource/sagemaker/" in found.resource
    )
