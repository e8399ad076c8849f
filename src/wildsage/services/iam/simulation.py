"""SimulatePrincipalPolicy and SimulateCustomPolicy: what the evaluator would decide, without a call being made.

The SageMaker SDK v3 asks before it trains whether the role may do what the job needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wildsage.access.conditions import PolicyError
from wildsage.access.decisions import Identity, Question, decide
from wildsage.access.policies import Policy, Principal, compile_policy
from wildsage.core import arn
from wildsage.core.errors import ApiError, Unsupported
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.kit.roles import find_role
from wildsage.services.iam.directory import managed_policy, policies_of
from wildsage.services.iam.entities import USER, key_of, no_such_entity, page_of
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_NOT_YET = (
    "ResourcePolicy",
    "ResourceOwner",
    "CallerArn",
    "PermissionsBoundaryPolicyInputList",
    "PolicyExclusionList",
    "ResourceHandlingOption",
)


@operation("SimulatePrincipalPolicy")
async def simulate_principal_policy(ctx: Context, request: Document) -> Document:
    """Decisions for a user's or role's own policies and those of ``PolicyInputList``."""
    source = request["PolicySourceArn"]
    bearer = await _bearer(ctx, source)
    boundary = bearer.spec.get("PermissionsBoundary")
    identity = Identity(
        principal=Principal("AWS", frozenset({source}), f"arn:aws:iam::{ctx.account}:root"),
        policies=(*await policies_of(ctx.platform, bearer), *_given(request)),
        boundary=None if boundary is None else await managed_policy(ctx.platform, boundary),
    )
    return _results(request, identity)


@operation("SimulateCustomPolicy")
async def simulate_custom_policy(ctx: Context, request: Document) -> Document:
    """Decisions for the policies of ``PolicyInputList`` alone."""
    account = f"arn:aws:iam::{ctx.account}:root"
    return _results(request, Identity(Principal("AWS", frozenset({account}), account), _given(request)))


async def _bearer(ctx: Context, source: str) -> Resource:
    """The user or role of that ARN; raises NoSuchEntity."""
    try:
        parsed = arn.parse(source)
    except ValueError:
        raise ApiError("InvalidInput", f"Invalid Entity Arn: {source}") from None
    name = parsed.resource.rpartition("/")[2]
    if parsed.resource_type == "role":
        found = await find_role(ctx.platform, source)
    else:
        found = await ctx.platform.resources.get(key_of(ctx, USER, name))
    if found is None:
        raise no_such_entity(f"The {parsed.resource_type or 'entity'} with name {name} cannot be found.")
    return found


def _given(request: Document) -> tuple[Policy, ...]:
    for member in _NOT_YET:
        if request.get(member):
            raise Unsupported(f"Wildsage does not simulate with {member} yet; leave it out.")
    try:
        return tuple(compile_policy(text) for text in request.get("PolicyInputList", ()))
    except PolicyError as error:
        raise ApiError("InvalidInput", f"A policy of PolicyInputList cannot be read: {error}") from error


def _results(request: Document, identity: Identity) -> Document:
    context = {
        entry["ContextKeyName"].lower(): tuple(entry.get("ContextKeyValues", ()))
        for entry in request.get("ContextEntries", ())
    }
    resources: Sequence[str] = request.get("ResourceArns") or ("*",)
    results: list[dict[str, Any]] = []
    for action in request["ActionNames"]:
        for resource in resources:
            decision = decide(identity, Question(action, resource, context))
            refused = "explicitDeny" if decision.explicit else "implicitDeny"
            results.append(
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "allowed" if decision.allowed else refused,
                    "MatchedStatements": [],
                    "MissingContextValues": [],
                }
            )
    return page_of(request, "EvaluationResults", results)
