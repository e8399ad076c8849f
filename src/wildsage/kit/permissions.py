"""Resource policies as AddPermission and RemovePermission of SQS and SNS edit them. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any


def add_permission(
    policy: str | None, resource: str, label: str, accounts: Sequence[str], actions: Sequence[str]
) -> str | None:
    """The policy with one more statement; None if it has one of that label.

    ``actions`` with their service (``SQS:SendMessage``).
    """
    document = _read(policy, resource)
    if any(each.get("Sid") == label for each in document["Statement"]):
        return None
    principals = [f"arn:aws:iam::{account}:root" for account in accounts]
    statement = {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": _one_or_all(principals)},
        "Action": _one_or_all(actions),
        "Resource": resource,
    }
    document["Statement"].append(statement)
    return json.dumps(document, separators=(",", ":"))


def remove_permission(policy: str | None, resource: str, label: str) -> str | None:
    """The policy without the statement of that label, empty if it was the last; None if there is no such statement."""
    document = _read(policy, resource)
    left = [each for each in document["Statement"] if each.get("Sid") != label]
    if len(left) == len(document["Statement"]):
        return None
    return json.dumps({**document, "Statement": left}, separators=(",", ":")) if left else ""


def _read(policy: str | None, resource: str) -> dict[str, Any]:
    if not policy:
        return {"Version": "2012-10-17", "Id": f"{resource}/DefaultPolicy", "Statement": []}
    document: dict[str, Any] = json.loads(policy)
    if not isinstance(document["Statement"], list):
        document["Statement"] = [document["Statement"]]
    return document


def _one_or_all(values: Collection[str]) -> Any:
    listed = list(values)
    return listed[0] if len(listed) == 1 else listed
