"""Functions: create, find, list, change, delete."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

from wildsage.core import paging
from wildsage.core.functions import LATEST
from wildsage.images.seeking import HOW_TO_GET
from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.kind import DUE
from wildsage.kit.operation import operation
from wildsage.runtimes.containers.engine import Engine
from wildsage.services.lambda_ import code, documents, images, rules
from wildsage.services.lambda_.names import (
    KIND,
    arn_of,
    conflict,
    error,
    fetch,
    invalid,
    key_of,
    named,
    no_function,
    unsupported,
)
from wildsage.store.codec import Document
from wildsage.store.resources import AlreadyExists, Missing, Query, Resource

PENDING, ACTIVE, FAILED = "Pending", "Active", "Failed"
UPDATING, UPDATED = "InProgress", "Successful"
CHANGED = "function changed"
"""The hint that a function runs something else now, about its uid."""
GONE = "function gone"
"""The hint that it was deleted."""
_MOST_LISTED = 50


@operation("CreateFunction")
async def create_function(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""
    rules.check_new(request)
    if rules.is_image(request) and not Engine(os.environ).found:
        raise unsupported("PackageType=Image", f"it needs a container engine, and there is none here. {HOW_TO_GET}")
    name = named(request)
    if name.qualifier:
        raise invalid("The function name of CreateFunction has no qualifier.")
    key = key_of(ctx, name)
    if await ctx.platform.resources.get(key) is not None:
        raise conflict(f"Function already exist: {key.name}")
    function = Resource(
        key=key,
        spec=rules.configuration(request, request["Role"]),
        phase=PENDING,
        status={"StateReason": "The function is being created.", "StateReasonCode": "Creating"},
        tags=dict(request.get("Tags") or {}),
        created=ctx.now,
        modified=ctx.now,
        due=ctx.now,
    )
    function.state = {**await _kept(ctx, function, request["Code"]), **_fresh(ctx)}
    try:
        await ctx.platform.resources.create(function)
    except AlreadyExists:
        await code.remove(ctx.platform.settings.data, function.uid)
        raise conflict(f"Function already exist: {key.name}") from None
    ctx.platform.hints.notify(DUE)
    return documents.configuration(function)


async def _kept(ctx: Context, function: Resource, given: Document) -> Document:
    """The part of the state that is about code; an image is had by the controller."""
    if rules.is_image(function.spec):
        if not given.get("ImageUri"):
            raise invalid("Please provide ImageUri when updating a function with packageType Image.")
        await images.check(ctx, given["ImageUri"])
        before: Document = {name: function.state[name] for name in ("image", "sha256") if name in function.state}
        return {"sha256": "", **before, "wanted": given["ImageUri"], "resolved": "", "size": 0}
    kept = await code.keep(ctx, function.uid, given)
    return {"sha256": kept.sha256, "size": kept.size}


def _fresh(ctx: Context) -> Document:
    """What is new about a function whose code or configuration is."""
    return {"revision": str(uuid.uuid4()), "build": str(uuid.uuid4()), "changed": ctx.now}


@operation("GetFunction")
async def get_function(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html"""
    function = await fetch(ctx, request)
    answer: Document = {
        "Configuration": documents.configuration(function, named(request).qualifier),
        "Code": documents.location(function),
    }
    if function.tags:
        answer["Tags"] = function.tags
    if function.state.get("reserved") is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": function.state["reserved"]}
    return answer


@operation("GetFunctionConfiguration")
async def get_function_configuration(ctx: Context, request: Document) -> Document:
    return documents.configuration(await fetch(ctx, request), named(request).qualifier)


@operation("ListFunctions")
async def list_functions(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html"""
    try:
        after = paging.position(request.get("Marker"))
        if after is not None and not isinstance(after[0], str):
            raise ValueError("the pagination token is of another list")
    except ValueError:
        raise invalid(
            "The pagination token is not valid. Pass Marker as the last answer's NextMarker gave it."
        ) from None
    page = await ctx.platform.resources.page(
        Query(
            KIND,
            ctx.account,
            ctx.region,
            limit=min(request.get("MaxItems") or _MOST_LISTED, _MOST_LISTED),
            sort="name",
            descending=False,
            after=after,
        )
    )
    qualifier = LATEST if request.get("FunctionVersion") == "ALL" else ""
    answer: Document = {"Functions": [documents.configuration(each, qualifier) for each in page.items]}
    if page.following is not None:
        answer["NextMarker"] = paging.encode(page.following)
    return answer


@operation("ListVersionsByFunction")
async def list_versions_by_function(ctx: Context, request: Document) -> Document:
    """There is $LATEST alone."""
    return {"Versions": [documents.configuration(await fetch(ctx, request), LATEST)]}


@operation("UpdateFunctionCode")
async def update_function_code(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html"""
    rules.check(request)
    function = await fetch(ctx, request)
    _check_ready(function)
    check_revision(function, request)
    if request.get("DryRun"):
        shown = {} if rules.is_image(function.spec) else (await code.check(ctx, request)).shown
        return {**documents.configuration(function), **shown}
    kept = await _kept(ctx, function, request)

    def change(changed: Resource) -> None:
        changed.state = {**changed.state, **kept}

    return await _change(ctx, request, function, change)


@operation("UpdateFunctionConfiguration")
async def update_function_configuration(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html"""
    rules.check(request)
    function = await fetch(ctx, request)
    if rules.is_image(function.spec) and (request.get("Runtime") or request.get("Handler")):
        raise invalid("Please don't provide Handler or Runtime when the function's PackageType is Image.")
    asked: dict[str, Any] = {
        member: request[member] for member in rules.CONFIGURATION if request.get(member) is not None
    }

    def change(changed: Resource) -> None:
        if "LoggingConfig" in asked:
            asked["LoggingConfig"] = {**changed.spec["LoggingConfig"], **asked["LoggingConfig"]}
        changed.spec = {**changed.spec, **asked}

    return await _change(ctx, request, function, change)


async def _change(ctx: Context, request: Document, function: Resource, change: Callable[[Resource], None]) -> Document:
    """Changes what runs; the controller says when it does."""

    def work(changed: Resource) -> None:
        if changed.uid != function.uid:
            raise no_function(function.key)
        _check_ready(changed)
        check_revision(changed, request)
        change(changed)
        changed.state = {**changed.state, **_fresh(ctx)}
        changed.status = {"LastUpdateStatus": UPDATING, "LastUpdateStatusReason": "The function is being updated."}

    try:
        found = await crud.amend(ctx.platform, function.key, work)
    except Missing:
        raise no_function(function.key) from None
    ctx.platform.hints.notify(CHANGED, about=found.uid)
    return documents.configuration(found)


def _check_ready(function: Resource) -> None:
    words = "The operation cannot be performed at this time."
    if function.phase == PENDING:
        raise conflict(f"{words} The function is currently in the following state: {PENDING}")
    if function.status.get("LastUpdateStatus") == UPDATING:
        raise conflict(f"{words} An update is in progress for resource: {arn_of(function.key)}")


def check_revision(function: Resource, request: Document) -> None:
    """Raises PreconditionFailedException if the request is about another state of the function than this."""
    asked = request.get("RevisionId")
    if asked and asked != function.state["revision"]:
        raise error(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
            412,
        )


@operation("DeleteFunction")
async def delete_function(ctx: Context, request: Document) -> Document:
    """What still runs has its answer; nothing new begins."""
    function = await fetch(ctx, request)
    try:
        await ctx.platform.resources.remove(function.key)
    except Missing:
        raise no_function(function.key) from None
    ctx.platform.hints.notify(GONE, about=function.uid)
    return {}
