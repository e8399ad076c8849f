"""Roles that services take on: who may, as whom they then call, and the credentials that containers get."""

from __future__ import annotations

from wildsage.access.decisions import trusts
from wildsage.access.policies import Principal, Use, compile_policy
from wildsage.core import arn, sessions
from wildsage.core.caller import Caller, session_of
from wildsage.core.errors import ValidationError
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


async def assume(
    platform: Platform, role: str, session: str = "SageMaker", service: str = "sagemaker.amazonaws.com"
) -> Caller:
    """The caller that ``service`` is once it has assumed ``role`` (an ARN).

    Raises ValidationError in AWS's words if the role does not exist or does not trust the service.
    """
    found = await find_role(platform, role)
    trust = None if found is None else compile_policy(found.spec["AssumeRolePolicyDocument"], Use.TRUST)
    if found is None or trust is None or not trusts(trust, Principal("Service", frozenset({service}))):
        raise ValidationError(
            f"Could not assume role {role}. Please ensure that the role exists and allows principal "
            f"'{service}' to assume the role."
        )
    return session_of(found.key.account, found.key.name, found.status["RoleId"], session)


def container_environment(platform: Platform, caller: Caller, region: str) -> dict[str, str]:
    """What a container needs so that stock AWS clients in it reach this server as ``caller``.

    The credentials are fetched, an hour's at a time, from a URL that only this container is told; never the root key.
    """
    now = platform.clock.now()
    issued = sessions.issue(platform.credentials.master, caller, now, now + _CONTAINER_SECONDS)
    url = platform.settings.url
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}{CREDENTIALS_PATH}/{issued.access_key}/{issued.token}",
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
