"""The resource policy of a function: AddPermission, RemovePermission, GetPolicy."""

from __future__ import annotations

import json
import uuid
from typing import Any

from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.lambda_.functions import check_revision
from wildsage.services.lambda_.names import arn_of, conflict, error, fetch, invalid, no_function
from wildsage.store.codec import Document
from wildsage.store.resources import Missing, Resource

_MOST_BYTES = 20 * 1024


def policy_of(function: Resource) -> str | None:
    """As JSON; None if there is none."""
    found: str | None = function.state.get("policy")
    return found


@operation("AddPermission")
async def add_permission(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html"""
    function = await fetch(ctx, request)
    added = _statement(request, arn_of(function.key, request.get("Qualifier") or ""))

    def change(statements: list[Any]) -> list[Any]:
        if any(each["Sid"] == added["Sid"] for each in statements):
            raise conflict(
                f"The statement id ({added['Sid']}) provided already exists. Please provide a new statement id, or "
                "remove the existing statement."
            )
        return [*statements, added]

    await _edit(ctx, function, request, change)
    return {"Statement": json.dumps(added, separators=(",", ":"))}


def _statement(request: Document, resource: str) -> dict[str, Any]:
    principal = request["Principal"]
    found: dict[str, Any] = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(principal),
        "Action": request["Action"],
        "Resource": resource,
    }
    condition: dict[str, Any] = {}
    if request.get("SourceAccount"):
        condition.setdefault("StringEquals", {})["AWS:SourceAccount"] = request["SourceAccount"]
    if request.get("PrincipalOrgID"):
        condition.setdefault("StringEquals", {})["aws:PrincipalOrgID"] = request["PrincipalOrgID"]
    if request.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": request["SourceArn"]}
    for member in ("EventSourceToken", "FunctionUrlAuthType", "InvokedViaFunctionUrl"):
        if request.get(member):
            raise invalid(f"{member} has no meaning here: there are no function URLs and no Alexa. Leave it out.")
    return {**found, "Condition": condition} if condition else found


def _principal(principal: str) -> Any:
    if principal == "*":
        return "*"
    if principal.isdigit() and len(principal) == 12:
        return {"AWS": f"arn:aws:iam::{principal}:root"}
    if principal.startswith("arn:"):
        return {"AWS": principal}
    if "." in principal:
        return {"Service": principal}
    raise invalid("The provided principal was invalid. Please check the principal and try again.")


@operation("RemovePermission")
async def remove_permission(ctx: Context, request: Document) -> Document:
    function = await fetch(ctx, request)

    def change(statements: list[Any]) -> list[Any]:
        left = [each for each in statements if each["Sid"] != request["StatementId"]]
        if len(left) == len(statements):
            words = f"Statement {request['StatementId']} is not found in resource policy."
            raise error("ResourceNotFoundException", words, 404)
        return left

    await _edit(ctx, function, request, change)
    return {}


@operation("GetPolicy")
async def get_policy(ctx: Context, request: Document) -> Document:
    function = await fetch(ctx, request)
    policy = policy_of(function)
    if policy is None:
        raise error("ResourceNotFoundException", "The resource you requested does not exist.", 404)
    return {"Policy": policy, "RevisionId": function.state["revision"]}


async def _edit(ctx: Context, function: Resource, request: Document, change: Any) -> None:
    def work(found: Resource) -> None:
        check_revision(found, request)
        document = json.loads(policy_of(found) or '{"Version":"2012-10-17","Id":"default","Statement":[]}')
        statements = change(document["Statement"])
        text = json.dumps({**document, "Statement": statements}, separators=(",", ":"))
        if len(text) > _MOST_BYTES:
            raise error("PolicyLengthExceededException", "The final policy size is bigger than the limit (20480).", 400)
        found.state = {**found.state, "policy": text if statements else None, "revision": str(uuid.uuid4())}

    try:
        await ctx.platform.resources.edit(function.key, work)
    except Missing:
        raise no_function(function.key) from None
