"""IAM's entities as resources, and what all its operations share: kinds, ARNs, errors, pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from wildsage.access.conditions import PolicyError
from wildsage.access.policies import Use, compile_policy
from wildsage.core import arn, paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.roles import IDENTITY_CHANGED, ROLE
from wildsage.store.codec import Document
from wildsage.store.resources import AlreadyExists, Key, Missing, Query, Resource

USER = "iam-user"
POLICY = "iam-policy"
ACCESS_KEY = "iam-access-key"


@dataclass(frozen=True, slots=True)
class Bearer:
    """A kind of entity that policies are attached to.

    ``noun``: Role or User, as operations and members spell it. ``prefix``: of its unique ids. ``inline``: characters
    that its inline policies may have together (IAM User Guide, "IAM and AWS STS quotas").
    """

    kind: str
    noun: str
    prefix: str
    inline: int

    @property
    def name_member(self) -> str:
        return f"{self.noun}Name"

    @property
    def id_member(self) -> str:
        return f"{self.noun}Id"


BEARERS = (Bearer(ROLE, "Role", "AROA", 10_240), Bearer(USER, "User", "AIDA", 2048))
ROLES, USERS = BEARERS


def no_such_entity(message: str) -> ApiError:
    return ApiError("NoSuchEntity", message, 404)


def already_exists(message: str) -> ApiError:
    return ApiError("EntityAlreadyExists", message, 409)


def delete_conflict(message: str) -> ApiError:
    return ApiError("DeleteConflict", message, 409)


def entity_arn(ctx: Context, resource_type: str, path: str, name: str) -> str:
    """``path`` begins and ends with a slash."""
    return arn.build("iam", "", ctx.account, f"{resource_type}{path}{name}")


def bearer_arn(ctx: Context, bearer: Bearer, resource: Resource) -> str:
    return entity_arn(ctx, bearer.noun.lower(), resource.spec["Path"], resource.key.name)


def policy_text(document: str) -> str:
    """A policy document as the API answers it: percent-encoded (RFC 3986)."""
    return quote(document, safe="-_.~")


def size_of(document: str) -> int:
    """Characters of a policy as quotas count them: without white space."""
    return len("".join(document.split()))


def check_quota(quota: str, most: int, document: str) -> None:
    """Raises LimitExceeded for a policy of over ``most`` characters."""
    if size_of(document) > most:
        raise ApiError("LimitExceeded", f"Cannot exceed quota for {quota}: {most}", 409)


def check_document(document: str, use: Use = Use.IDENTITY) -> None:
    """Raises MalformedPolicyDocument."""
    try:
        compile_policy(document, use)
    except PolicyError as error:
        raise ApiError("MalformedPolicyDocument", f"Syntax errors in policy: {error}.") from error


def key_of(ctx: Context, kind: str, name: str) -> Key:
    return Key(kind, ctx.account, "", name)


async def store(ctx: Context, resource: Resource, taken: str) -> None:
    """Adds an entity; raises EntityAlreadyExists with the words ``taken``."""
    resource.created = resource.modified = ctx.now
    try:
        await ctx.platform.resources.create(resource)
    except AlreadyExists:
        raise already_exists(taken) from None
    ctx.platform.hints.notify(IDENTITY_CHANGED)


async def fetch(ctx: Context, kind: str, name: str, missing: str) -> Resource:
    """The entity; raises NoSuchEntity with the words ``missing``."""
    found = await ctx.platform.resources.get(key_of(ctx, kind, name))
    if found is None:
        raise no_such_entity(missing)
    return found


async def edit(ctx: Context, kind: str, name: str, missing: str, change: Callable[[Resource], None]) -> Resource:
    """Changes an entity in one transaction; raises NoSuchEntity, or what ``change`` raises."""
    try:
        edited = await ctx.platform.resources.edit(key_of(ctx, kind, name), change)
    except Missing:
        raise no_such_entity(missing) from None
    ctx.platform.hints.notify(IDENTITY_CHANGED)
    return edited


async def remove(ctx: Context, kind: str, name: str, missing: str) -> None:
    """Takes an entity away; raises NoSuchEntity."""
    try:
        await ctx.platform.resources.remove(key_of(ctx, kind, name))
    except Missing:
        raise no_such_entity(missing) from None
    ctx.platform.hints.notify(IDENTITY_CHANGED)


async def all_of(ctx: Context, kind: str) -> list[Resource]:
    """Every entity of a kind, by name."""
    found: list[Resource] = []
    query = Query(kind, ctx.account, "", limit=1000, sort="name", descending=False)
    while True:
        page = await ctx.platform.resources.page(query)
        found += page.items
        if page.following is None:
            return found
        query = Query(kind, ctx.account, "", limit=1000, sort="name", descending=False, after=page.following)


def page_of(request: Document, member: str, items: list[Document]) -> Document:
    """One page of ``items`` after IAM's Marker and MaxItems; a bad Marker raises ValidationError."""
    limit = request.get("MaxItems", 100)
    marker = request.get("Marker")
    try:
        start = paging.offset(marker)
    except ValueError:
        raise ApiError("ValidationError", "Invalid Marker.") from None
    answer: Document = {member: items[start : start + limit], "IsTruncated": start + limit < len(items)}
    if answer["IsTruncated"]:
        answer["Marker"] = paging.encode(start + limit)
    return answer
