"""Roles: how they are found, and the credentials that containers acting as one get."""

from __future__ import annotations

import json

from wildsage.core import arn, sessions
from wildsage.core.caller import Caller, session_of
from wildsage.core.ids import unique_id
from wildsage.kit.context import Platform
from wildsage.store.resources import AlreadyExists, Key, Resource

ROLE = "iam-role"
IDENTITY_CHANGED = "identity"
CREDENTIALS_PATH = "/_wildsage/credentials"

_CONTAINER_SECONDS = 10 * 365 * 86400.0  # an endpoint may live for years; deleting the role ends it sooner


def role_arn(account: str, path: str, name: str) -> str:
    """``path`` begins and ends with a slash."""
    return arn.build("iam", "", account, f"role{path}{name}")


async def find_role(platform: Platform, role: str) -> Resource | None:
    """The role of that ARN, its path included; None if there is none."""
    try:
        parsed = arn.parse(role)
    except ValueError:
        return None
    if parsed.service != "iam" or parsed.resource_type != "role":
        return None
    name = parsed.resource.rpartition("/")[2]
    found = await platform.resources.get(Key(ROLE, parsed.account, "", name))
    if found is None or role_arn(parsed.account, found.spec["Path"], name) != role:
        return None
    return found


def credentials_uri(platform: Platform, caller: Caller) -> str:
    """AWS_CONTAINER_CREDENTIALS_FULL_URI of a container that acts as ``caller`` (``core.caller.session_of``).

    Stock AWS clients fetch an hour's credentials there at a time. Only this container is told the URL, which says
    whom it stands for and proves it; it ends when the role is deleted.
    """
    now = platform.clock.now()
    issued = sessions.issue(platform.credentials.master, caller, now, now + _CONTAINER_SECONDS)
    return f"{platform.settings.url}{CREDENTIALS_PATH}/{issued.access_key}/{issued.token}"


async def service_linked(
    platform: Platform, account: str, name: str, principal: str, policy: str, session: str
) -> Caller:
    """The session of that name of the service-linked role ``name``, which is made if it is not there.

    ``principal``: the service that may take it on. ``policy``: the ARN of AWS's managed policy that comes with it.
    Source: IAM User Guide, "Using service-linked roles".
    """
    key = Key(ROLE, account, "", name)
    found = await platform.resources.get(key)
    if found is None:
        found = await _make_service_linked(platform, key, principal, policy)
    return session_of(account, name, found.status["RoleId"], session)


async def _make_service_linked(platform: Platform, key: Key, principal: str, policy: str) -> Resource:
    now = platform.clock.now()
    trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    role = Resource(
        key=key,
        spec={
            "Path": f"/aws-service-role/{principal}/",
            "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            "MaxSessionDuration": 3600,
        },
        status={"RoleId": unique_id("AROA")},
        state={"Inline": {}, "Attached": [policy]},
        created=now,
        modified=now,
    )
    try:
        await platform.resources.create(role)
    except AlreadyExists as error:
        return error.existing
    platform.hints.notify(IDENTITY_CHANGED)
    return role
