"""The operations of the Security Token Service."""

from __future__ import annotations

import re

from wildsage.access.conditions import PolicyError
from wildsage.access.policies import compile_policy
from wildsage.core import sessions
from wildsage.core.caller import session_of
from wildsage.core.errors import ApiError
from wildsage.core.sessions import Credentials
from wildsage.kit.context import Context
from wildsage.kit.kind import tag_map
from wildsage.kit.operation import operation
from wildsage.kit.roles import find_role
from wildsage.store.codec import Document

_HOUR = 3600
_SESSION_TOKEN_SECONDS = 43200  # API reference, GetSessionToken: the default
_KEY_ID = re.compile(r"(AKIA|ASIA)[A-Z2-7]{16}")


def _answer(credentials: Credentials) -> Document:
    return {
        "AccessKeyId": credentials.access_key,
        "SecretAccessKey": credentials.secret,
        "SessionToken": credentials.token,
        "Expiration": int(credentials.expires),
    }


@operation("GetCallerIdentity")
async def get_caller_identity(ctx: Context, _request: Document) -> Document:
    return {"UserId": ctx.caller.user_id, "Account": ctx.caller.account, "Arn": ctx.caller.arn}


@operation("AssumeRole")
async def assume_role(ctx: Context, request: Document) -> Document:
    """That the caller may is checked at the door, with the role's trust policy."""
    role = await find_role(ctx.platform, request["RoleArn"])
    if role is None:
        raise ApiError("AccessDenied", _not_authorized(ctx, request["RoleArn"]), 403)
    seconds = request.get("DurationSeconds", _HOUR)
    chained = ":assumed-role/" in ctx.caller.arn
    if chained and seconds > _HOUR:
        raise ApiError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    if seconds > role.spec.get("MaxSessionDuration", _HOUR):
        raise ApiError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    session = request["RoleSessionName"]
    caller = session_of(role.key.account, role.key.name, role.status["RoleId"], session)
    policies = _session_policies(request)
    tags = tag_map(request.get("Tags"))
    credentials = sessions.issue(ctx.platform.credentials.master, caller, ctx.now, ctx.now + seconds, policies, tags)
    return {
        "Credentials": _answer(credentials),
        "AssumedRoleUser": {"AssumedRoleId": caller.user_id, "Arn": caller.arn},
    }


def _not_authorized(ctx: Context, role: str) -> str:
    return f"User: {ctx.caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role}"


def _session_policies(request: Document) -> tuple[str, ...]:
    if request.get("PolicyArns"):
        raise ApiError("ValidationError", "PolicyArns are not understood yet; pass the document itself as Policy.")
    policy = request.get("Policy")
    if policy is None:
        return ()
    try:
        compile_policy(policy)
    except PolicyError as error:
        raise ApiError("MalformedPolicyDocument", f"Syntax errors in policy: {error}.") from error
    return (policy,)


@operation("GetSessionToken")
async def get_session_token(ctx: Context, request: Document) -> Document:
    if ctx.caller.access_key.startswith("ASIA"):
        raise ApiError("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
    longest = _HOUR if ctx.caller.is_root else 36 * _HOUR
    seconds = min(request.get("DurationSeconds", _SESSION_TOKEN_SECONDS), longest)
    issued = sessions.issue(ctx.platform.credentials.master, ctx.caller, ctx.now, ctx.now + seconds)
    return {"Credentials": _answer(issued)}


@operation("GetAccessKeyInfo")
async def get_access_key_info(ctx: Context, request: Document) -> Document:
    key = request["AccessKeyId"]
    if not _KEY_ID.fullmatch(key):
        raise ApiError("ValidationError", f"{key} is not a valid access key id.")
    return {"Account": ctx.account}
