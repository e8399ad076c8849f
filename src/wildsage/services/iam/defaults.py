"""What IAM holds from the first start on: the default execution role."""

from __future__ import annotations

import json

from wildsage.kit.context import Platform
from wildsage.kit.roles import ROLE
from wildsage.store.resources import AlreadyExists, Key, Resource


def _trust(account: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sagemaker.amazonaws.com", "AWS": f"arn:aws:iam::{account}:root"},
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
    except AlreadyExists:
        return
