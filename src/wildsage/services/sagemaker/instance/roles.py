"""Acting as the role a job or model was given."""

from __future__ import annotations

from wildsage.core.caller import Caller, session_of
from wildsage.core.errors import ClientFault
from wildsage.kit.context import Platform
from wildsage.kit.roles import find_role

SESSION = "SageMaker"


async def assume(platform: Platform, role_arn: str) -> Caller:
    """A session of the role, as SageMaker holds it; raises ClientFault if the role is no longer there."""
    found = await find_role(platform, role_arn)
    if found is None:
        raise ClientFault(
            f"ClientError: Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )
    return session_of(found.key.account, found.key.name, found.status["RoleId"], SESSION)
