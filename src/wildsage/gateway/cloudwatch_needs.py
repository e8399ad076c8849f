"""What the operations of CloudWatch need.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon CloudWatch".
"""

from __future__ import annotations

from collections.abc import Iterable

from wildsage.core import arn
from wildsage.gateway.asked import Asked, Need

_ALARMS = frozenset(
    (
        "DeleteAlarms",
        "DescribeAlarmHistory",
        "DescribeAlarms",
        "DisableAlarmActions",
        "EnableAlarmActions",
        "PutCompositeAlarm",
        "PutMetricAlarm",
        "SetAlarmState",
    )
)
_DASHBOARDS = frozenset(("DeleteDashboards", "GetDashboard", "PutDashboard"))


def cloudwatch_needs(asked: Asked) -> Iterable[Need]:
    """Alarms and dashboards are resources, metrics are not; of these the namespace is a condition."""
    action, params = f"cloudwatch:{asked.operation}", asked.params
    if asked.operation == "PutMetricData":
        yield Need(action, "*", {"cloudwatch:namespace": (str(params.get("Namespace", "")),)})
        return
    if isinstance(params.get("ResourceARN"), str):
        yield Need(action, params["ResourceARN"])
        return
    for resource in _resources(asked) or ("*",):
        yield Need(action, resource)


def _resources(asked: Asked) -> list[str]:
    params = asked.params
    if asked.operation in _ALARMS:
        named = [params.get("AlarmName"), *(params.get("AlarmNames") or ())]
        found = [f"alarm:{name}" for name in named if isinstance(name, str)]
        return [arn.build("cloudwatch", asked.region, asked.account, each) for each in found]
    if asked.operation in _DASHBOARDS:
        named = [params.get("DashboardName"), *(params.get("DashboardNames") or ())]
        return [
            arn.build("cloudwatch", "", asked.account, f"dashboard/{name}") for name in named if isinstance(name, str)
        ]
    return []
