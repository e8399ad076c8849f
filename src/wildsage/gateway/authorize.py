"""Stage 6: whether the caller may.

Every need of the call (``needs``) is put to the caller's policies; roles that are handed to a service
need ``iam:PassRole`` and must trust it.
"""

from __future__ import annotations

from collections.abc import Mapping

from wildsage.access.asking import moment, transport
from wildsage.access.decisions import Decision, Identity, Question, decide, decide_across, decide_assume, trusts
from wildsage.access.policies import Principal, Use, compile_policy
from wildsage.core.caller import ANONYMOUS
from wildsage.core.errors import AccessDenied, ApiError, ValidationError
from wildsage.gateway.asked import Asked, Need
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.needs import needs, passed_roles
from wildsage.gateway.parts import Parts

_TELLING = ("GetObject", "HeadObject", "GetObjectAttributes")
_QUERY_SERVICES = ("iam", "sts", "sns", "sqs")


async def authorize(parts: Parts, exchange: Exchange) -> None:
    """Raises the service's AccessDenied in AWS's words."""
    identity = exchange.identity
    if identity is None:
        return  # an operation that anyone may call
    asked = Asked(exchange.service, exchange.op.name, exchange.region, exchange.by.account, exchange.params)
    roles = passed_roles(asked)
    context: Mapping[str, tuple[str, ...]] = {}
    if not _unlimited(identity):
        context = request_context(parts, exchange)
    for need in needs(asked):
        decision = await _decide(parts, exchange, identity, need, context)
        if not decision.allowed and need.part:
            exchange.refused.add((need.resource, need.version))
        elif not decision.allowed:
            raise _refusal(exchange, need, decision)
    service = f"{exchange.service}.amazonaws.com"
    for role in roles:
        need = Need("iam:PassRole", role, {"iam:passedtoservice": (service,)})
        decision = decide(identity, Question(need.action, need.resource, {**context, **need.context}))
        if not decision.allowed:
            raise _refusal(exchange, need, decision)
        await _check_trust(parts, role, service)


async def unseen(parts: Parts, exchange: Exchange, error: ApiError) -> ApiError:
    """What the caller is told instead of ``error``: that a key is absent only learns who may list the bucket.

    Source: API reference, GetObject, HeadObject and GetObjectAttributes ("Permissions").
    """
    identity = exchange.identity
    if error.code != "NoSuchKey" or exchange.op.name not in _TELLING or identity is None:
        return error
    bucket, key = exchange.params["Bucket"], exchange.params["Key"]
    need = Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": (key,)})
    context = {} if _unlimited(identity) else request_context(parts, exchange)
    decision = await _decide(parts, exchange, identity, need, context)
    return error if decision.allowed else _refusal(exchange, need, decision)


def _unlimited(identity: Identity) -> bool:
    return identity.unrestricted and identity.session is None


async def _decide(
    parts: Parts, exchange: Exchange, identity: Identity, need: Need, context: Mapping[str, tuple[str, ...]]
) -> Decision:
    if need.action == "sts:AssumeRole":
        trust = await parts.principals.trust(need.resource)
        question = Question(need.action, need.resource, {**context, **need.context})
        return Decision(False) if trust is None else decide_assume(identity, trust, question)
    guard = await parts.guards(exchange.service, exchange.by, need.action, need.resource, need.version)
    own = guard.owner in ("", exchange.by.account)
    if own and guard.policy is None and _unlimited(identity):
        return Decision(True)
    if not context:
        context = request_context(parts, exchange)
    question = Question(need.action, need.resource, {**context, **guard.context, **need.context})
    on_resource = None if guard.policy is None else compile_policy(guard.policy, Use.RESOURCE)
    if own:
        return decide(identity, question, on_resource, guard.granted)
    # Nobody speaks for the anonymous, nor for a service that acts by itself.
    return decide_across(identity, question, on_resource, guard.granted, exchange.by.account == "")


async def _check_trust(parts: Parts, role: str, service: str) -> None:
    trust = await parts.principals.trust(role)
    if trust is not None and trusts(trust, Principal("Service", frozenset({service}))):
        return
    if service.startswith("lambda."):
        words = "The role defined for the function cannot be assumed by Lambda."
        raise ApiError("InvalidParameterValueException", words, 400, {"Type": "User"})
    raise ValidationError(
        f"Could not assume role {role}. Please ensure that the role exists and allows principal "
        f"'{service}' to assume the role."
    )


def _refusal(exchange: Exchange, need: Need, decision: Decision) -> ApiError:
    """AWS's sentence, in the code that the service's protocol uses."""
    if exchange.by is ANONYMOUS:
        return ApiError("AccessDenied", "Access Denied", 403)
    words = f"User: {exchange.by.arn} is not authorized to perform: {need.action} on resource: {need.resource}"
    if decision.reason:
        words = f"{words} {decision.reason}"
    if exchange.service == "s3" or exchange.service in _QUERY_SERVICES:
        return ApiError("AccessDenied", words, 403)
    denied = AccessDenied(words)
    denied.status = 403 if exchange.service in ("sagemaker-runtime", "lambda") else 400
    return denied


def request_context(parts: Parts, exchange: Exchange) -> dict[str, tuple[str, ...]]:
    """The global condition keys of the request (IAM User Guide, "AWS global condition context keys")."""
    context = moment(exchange.region, parts.platform.clock.now())
    request = exchange.request
    if request is not None:
        context |= transport(request.scheme, request.peer, request.header)
    tags = exchange.params.get("Tags")
    if isinstance(tags, list):
        pairs = [tag for tag in tags if isinstance(tag, Mapping) and "Key" in tag]
        context["aws:tagkeys"] = tuple(str(tag["Key"]) for tag in pairs)
        context |= {f"aws:requesttag/{str(tag['Key']).lower()}": (str(tag.get("Value", "")),) for tag in pairs}
    return context
