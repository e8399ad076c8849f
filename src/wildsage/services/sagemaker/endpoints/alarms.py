"""The CloudWatch alarms that roll an update back, read as the endpoint's role.

"Ensure that your IAM execution role has permission to perform the cloudwatch:DescribeAlarms action on the auto-rollback
alarms you specify" (Developer Guide, "Auto-Rollback Configuration and Monitoring").
"""

from __future__ import annotations

from collections.abc import Sequence

from wildsage.core.errors import ApiError, JobFault, ValidationError
from wildsage.kit.context import Platform
from wildsage.services.sagemaker.endpoints.fleet import Fleet
from wildsage.services.sagemaker.instance import roles


async def states(platform: Platform, region: str, fleet: Fleet, names: Sequence[str]) -> dict[str, str]:
    """StateValue by name, of those that exist; raises ApiError if the role may not look, JobFault if it is gone."""
    if not names:
        return {}
    caller = await roles.assume(platform, fleet.variants[0].model["ExecutionRoleArn"])
    asked = {"AlarmNames": list(names), "AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 100}
    answer = await platform.calls.call(caller, region, "cloudwatch", "DescribeAlarms", asked)
    found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
    return {each["AlarmName"]: each["StateValue"] for each in found}


async def check(platform: Platform, region: str, fleet: Fleet, names: Sequence[str]) -> None:
    """Raises ValidationError unless every alarm is there for the role to see."""
    try:
        found = await states(platform, region, fleet, names)
    except (ApiError, JobFault) as error:
        role = fleet.variants[0].model["ExecutionRoleArn"]
        raise ValidationError(
            f"The alarms of AutoRollbackConfiguration cannot be read as role {role}: {error}"
        ) from error
    absent = [name for name in names if name not in found]
    if absent:
        raise ValidationError(f"AutoRollbackConfiguration names alarms that do not exist: {', '.join(absent)}.")
