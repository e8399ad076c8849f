"""A ``Kind`` says once what all operations of one resource share; Describe, List, Delete and tags follow from it.

Describe returns the create document, the status fields, name, ARN and times.  List understands the fields that nearly
all of AWS's List operations share: NameContains, CreationTimeAfter/Before, LastModifiedTimeAfter/Before, StatusEquals,
SortBy, SortOrder, MaxResults, NextToken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wildsage.core import arn, paging
from wildsage.core.clock import to_datetime
from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.context import Context, Platform
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.resources import AlreadyExists, Key, Missing, Query, Resource, alone

_BY_WORD = ("name", "phase")  # a place in a list that is sorted by anything else begins with a number
DUE = "due"
CHANGED = "changed"


def tag_map(tags: list[Mapping[str, str]] | None) -> dict[str, str]:
    """``[{"Key": k, "Value": v}]`` as a dict."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A dict as ``[{"Key": k, "Value": v}]``."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def shown(seconds: float) -> float:
    """A time as answers show it, to the millisecond: what is kept must compare equal to what a client sends back."""
    return round(seconds, 3)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource.

    ``resource_type``: the ARN's resource type. ``noun``: the prefix of its fields (``TrainingJob`` gives
    TrainingJobName, TrainingJobArn and, if ``phased``, TrainingJobStatus). ``summary``: fields of a list item, taken
    from Describe's answer. ``missing``/``exists``: AWS's error for a name not found or taken, given the ARN.
    ``sorts``: SortBy values → column. ``any_case``: no two names may differ in upper and lower case alone.
    """

    name: str
    service: str
    resource_type: str
    noun: str
    missing: Callable[[str], ApiError]
    exists: Callable[[str], ApiError]
    list_member: str
    summary: tuple[str, ...]
    phased: bool = True
    any_case: bool = False
    modified_field: str = "LastModifiedTime"
    hidden: frozenset[str] = frozenset({"Tags"})
    sorts: Mapping[str, str] = field(
        default_factory=lambda: {"Name": "name", "CreationTime": "created", "Status": "phase"}
    )

    def key(self, account: str, region: str, name: str) -> Key:
        return Key(self.name, account, region, name)

    def arn(self, key: Key) -> str:
        """Resource names in SageMaker's ARNs are lower case (API reference, "ARN formats")."""
        return arn.build(self.service, key.region, key.account, f"{self.resource_type}/{key.name.lower()}")

    def describe(self, resource: Resource) -> Document:
        """The Describe answer."""
        answer = {name: value for name, value in resource.spec.items() if name not in self.hidden}
        answer.update(resource.status)
        answer.update(self._own(resource))
        return answer

    def summarize(self, resource: Resource) -> Document:
        """A list item: the ``summary`` of the Describe answer, which is not made for it."""
        parts = (self._own(resource), resource.status, resource.spec)
        found = ((name, next((part for part in parts if name in part), None)) for name in self.summary)
        return {name: part[name] for name, part in found if part is not None}

    def _own(self, resource: Resource) -> Document:
        """What is neither in the create document nor in the status."""
        own: Document = {
            f"{self.noun}Name": resource.key.name,
            f"{self.noun}Arn": self.arn(resource.key),
            "CreationTime": to_datetime(resource.created),
        }
        if self.modified_field:
            own[self.modified_field] = to_datetime(resource.modified)
        if self.phased:
            own[f"{self.noun}Status"] = resource.phase
        return own


async def create(
    ctx: Context,
    kind: Kind,
    spec: Document,
    *,
    phase: str = "",
    status: Document | None = None,
    state: Document | None = None,
    due: bool = False,
) -> Resource:
    """Stores a new resource named by ``spec``; with ``due`` its controller looks at once. Raises ``kind.exists``."""
    key = kind.key(ctx.account, ctx.region, spec[f"{kind.noun}Name"])
    now = shown(ctx.now)
    resource = Resource(
        key=key,
        spec=spec,
        phase=phase,
        status=status or {},
        state=state or {},
        tags=tag_map(spec.get("Tags")),
        created=now,
        modified=now,
        due=ctx.now if due else None,
    )
    try:
        await ctx.platform.resources.create(resource, (alone(key),) if kind.any_case else ())
    except AlreadyExists as error:
        raise kind.exists(kind.arn(error.existing.key)) from None
    if due:
        ctx.platform.hints.notify(DUE)
    return resource


async def fetch(ctx: Context, kind: Kind, name: str) -> Resource:
    """The resource; raises ``kind.missing``."""
    key = kind.key(ctx.account, ctx.region, name)
    resource = await ctx.platform.resources.get(key)
    if resource is None:
        raise kind.missing(kind.arn(key))
    return resource


async def edit(ctx: Context, kind: Kind, name: str, change: Callable[[Resource], None]) -> Resource:
    """Changes what is wished of a resource and has its controller look at once. Raises ``kind.missing``."""
    return await edit_resource(ctx.platform, kind, kind.key(ctx.account, ctx.region, name), change)


async def edit_resource(platform: Platform, kind: Kind, key: Key, change: Callable[[Resource], None]) -> Resource:
    """As ``edit``, by key."""
    try:
        return await amend(platform, key, change)
    except Missing:
        raise kind.missing(kind.arn(key)) from None


async def amend(platform: Platform, key: Key, change: Callable[[Resource], Iterable[Write] | None]) -> Resource:
    """``Resources.edit`` of what is wished: a step under way begins anew, and one that is due begins at once.

    Who is cancelled here has asked all the same: the write is made, so its controller hears of it.
    """
    now = platform.clock.now()

    def work(resource: Resource) -> Iterable[Write] | None:
        beside = change(resource)
        resource.modified = shown(now)
        resource.due = now
        return beside

    def tell(edited: asyncio.Future[Resource]) -> None:
        if not edited.cancelled() and edited.exception() is None:
            platform.hints.notify(CHANGED, about=repr(key))
            platform.hints.notify(DUE)

    editing = asyncio.ensure_future(platform.resources.edit(key, work))
    editing.add_done_callback(tell)
    return await asyncio.shield(editing)


async def delete(ctx: Context, kind: Kind, name: str, beside: Iterable[Write] = ()) -> None:
    """Takes away a resource that has nothing running behind it. Raises ``kind.missing``."""
    key = kind.key(ctx.account, ctx.region, name)
    try:
        await ctx.platform.resources.remove(key, beside)
    except Missing:
        raise kind.missing(kind.arn(key)) from None


async def list_page(
    ctx: Context,
    kind: Kind,
    request: Document,
    default_sort: str = "CreationTime",
    companion: tuple[str, str] | None = None,
    beside: Callable[[list[Resource]], Awaitable[Mapping[str, Document]]] | None = None,
) -> Document:
    """The List answer: summaries and NextToken.

    ``companion``: see ``Query``. ``beside``: name → what items have that their resources do not know.
    """
    sort = kind.sorts[request.get("SortBy", default_sort)]
    status, token = request.get("StatusEquals"), request.get("NextToken")
    try:
        after = paging.position_in_groups(token) if sort == "phase" else paging.position(token)
        if after is not None and isinstance(after[0], str) is not (sort in _BY_WORD):
            raise ValueError("the pagination token is of a list in another order")
    except ValueError:
        raise ValidationError("The pagination token is not valid. Pass NextToken as the last answer gave it.") from None
    page = await ctx.platform.resources.page(
        Query(
            kind=kind.name,
            account=ctx.account,
            region=ctx.region,
            limit=request.get("MaxResults", 10 if kind.service == "sagemaker" else 100),
            sort=sort,
            descending=request.get("SortOrder", "Descending") == "Descending",
            name_contains=request.get("NameContains", ""),
            phases=(status,) if status else (),
            created_after=request.get("CreationTimeAfter"),
            created_before=request.get("CreationTimeBefore"),
            modified_after=request.get("LastModifiedTimeAfter"),
            modified_before=request.get("LastModifiedTimeBefore"),
            companion=companion,
            after=after,
        )
    )
    beyond = await beside(page.items) if beside is not None else {}
    answer: dict[str, Any] = {
        kind.list_member: [{**kind.summarize(each), **beyond.get(each.key.name, {})} for each in page.items]
    }
    if page.following is not None:
        answer["NextToken"] = paging.encode(page.following)
    return answer
