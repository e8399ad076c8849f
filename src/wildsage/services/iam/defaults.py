"""What IAM holds from the first start on: the default execution role."""

from __future__ import annotations

import json
from collections.abc import Callable

from wildsage.kit.context import Platform
from wildsage.kit.roles import ROLE
from wildsage.store.resources import AlreadyExists, Key, Resource

_SERVICES = ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]


def _trust(account: str, service: object = _SERVICES) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service, "AWS": f"arn:aws:iam::{account}:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )


async def ensure_execution_role(platform: Platform) -> None:
    """Makes the default execution role if it is not there; clients under ``wildsage run`` act as it."""
    credentials, now = platform.credentials, platform.clock.now()
    role = Resource(
        key=Key(ROLE, credentials.account, "", credentials.role_name),
        spec={
            "Path": "/",
            "AssumeRolePolicyDocument": _trust(credentials.account),
            "Description": "The execution role that comes with the server.",
            "MaxSessionDuration": 43200,
        },
        status={"RoleId": credentials.role_id},
        state={"Inline": {}, "Attached": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
        created=now,
        modified=now,
    )
    try:
        await platform.resources.create(role)
    except AlreadyExists as found:
        if found.existing.spec["AssumeRolePolicyDocument"] == _trust(credentials.account, _SERVICES[0]):
            await platform.resources.edit(role.key, _trusted(role))


def _trusted(new: Resource) -> Callable[[Resource], None]:
    """For the role of a server from before Lambda."""

    def change(role: Resource) -> None:
        role.spec = {**role.spec, "AssumeRolePolicyDocument": new.spec["AssumeRolePolicyDocument"]}

    return change
