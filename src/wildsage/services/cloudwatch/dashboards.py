"""Dashboards: kept and given back; nothing here draws them."""

from __future__ import annotations

import json
import re

from wildsage.core import arn, paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.kind import shown, tag_map
from wildsage.kit.operation import operation
from wildsage.services.cloudwatch import names
from wildsage.store.codec import Document
from wildsage.store.resources import AlreadyExists, Key, Query, Resource

DASHBOARD = "cloudwatch.dashboard"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


def dashboard_key(account: str, name: str) -> Key:
    """They are of all regions."""
    return Key(DASHBOARD, account, "", name)


def _arn(account: str, name: str) -> str:
    return arn.build("cloudwatch", "", account, f"dashboard/{name}")


@operation("PutDashboard", runs=False)
async def put_dashboard(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html"""
    name, body = request["DashboardName"], request["DashboardBody"]
    if not _NAME.fullmatch(name):
        raise _wrong(f"The value {name} for field DashboardName contains invalid characters or is too long.")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise _wrong("The field DashboardBody must be a valid JSON object") from None
    if not isinstance(document, dict) or not isinstance(document.get("widgets"), list):
        raise _wrong('The dashboard body is invalid, there are validation errors: Should have property "widgets"')
    now = shown(ctx.now)
    dashboard = Resource(
        dashboard_key(ctx.account, name),
        {"Body": body},
        tags=tag_map(request.get("Tags")),
        created=now,
        modified=now,
    )

    def change(old: Resource) -> None:
        old.spec, old.modified = dashboard.spec, now

    try:
        await ctx.platform.resources.create(dashboard)
    except AlreadyExists:
        await ctx.platform.resources.edit(dashboard.key, change)
    return {"DashboardValidationMessages": []}


def _wrong(message: str) -> ApiError:
    return ApiError("InvalidParameterInput", message)


def _missing(name: str) -> ApiError:
    return ApiError("ResourceNotFound", f"Dashboard {name} does not exist", 404)


@operation("GetDashboard", runs=False)
async def get_dashboard(ctx: Context, request: Document) -> Document:
    name = request["DashboardName"]
    found = await ctx.platform.resources.get(dashboard_key(ctx.account, name))
    if found is None:
        raise _missing(name)
    return {"DashboardArn": _arn(ctx.account, name), "DashboardBody": found.spec["Body"], "DashboardName": name}


@operation("ListDashboards", runs=False)
async def list_dashboards(ctx: Context, request: Document) -> Document:
    try:
        after = paging.position(request.get("NextToken"))
    except ValueError:
        raise names.bad_token() from None
    page = await ctx.platform.resources.page(
        Query(
            DASHBOARD,
            ctx.account,
            "",
            limit=1000,
            sort="name",
            descending=False,
            name_prefix=request.get("DashboardNamePrefix") or "",
            after=after,
        )
    )
    entries = [
        {
            "DashboardName": each.key.name,
            "DashboardArn": _arn(ctx.account, each.key.name),
            "LastModified": each.modified,
            "Size": len(each.spec["Body"].encode()),
        }
        for each in page.items
    ]
    answer: Document = {"DashboardEntries": entries}
    if page.following is not None:
        answer["NextToken"] = paging.encode(page.following)
    return answer


@operation("DeleteDashboards", runs=False)
async def delete_dashboards(ctx: Context, request: Document) -> Document:
    """All of them, or none if one is not there."""
    keys = [dashboard_key(ctx.account, name) for name in dict.fromkeys(request["DashboardNames"])]
    for key in keys:
        if await ctx.platform.resources.get(key) is None:
            raise _missing(key.name)
    for key in keys:
        await ctx.platform.resources.remove(key)
    return {}
