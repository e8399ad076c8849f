"""Roles: how they are found, and the credentials that containers acting as one get."""

from __future__ import annotations

from wildsage.core import arn, sessions
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.store.resources import Key, Resource

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
