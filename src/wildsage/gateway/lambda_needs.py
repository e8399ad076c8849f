"""What the operations of Lambda need.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Lambda".
"""

from __future__ import annotations

from collections.abc import Iterable

from wildsage.core.functions import function_arn, parse_function_name
from wildsage.gateway.asked import Asked, Need

_ACTIONS = {"Invoke": "InvokeFunction"}


def lambda_needs(asked: Asked) -> Iterable[Need]:
    """The function is named by its name or ARN, and by a qualifier beside it."""
    params = asked.params
    resource = params.get("Resource") or "*"
    if isinstance(params.get("FunctionName"), str):
        named = parse_function_name(params["FunctionName"])
        qualifier = params.get("Qualifier") or named.qualifier
        resource = function_arn(named.account or asked.account, named.region or asked.region, named.name, qualifier)
    yield Need(f"lambda:{_ACTIONS.get(asked.operation, asked.operation)}", resource)
