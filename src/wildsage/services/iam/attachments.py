"""Policies and tags of roles and users: the same operations for both, made from one description."""

from __future__ import annotations

from collections.abc import Callable

from wildsage.core import arn
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.kind import tag_list, tag_map
from wildsage.kit.operation import Handler, Operation
from wildsage.services.iam.entities import (
    BEARERS,
    Bearer,
    check_document,
    edit,
    fetch,
    no_such_entity,
    page_of,
    policy_text,
    size_of,
)
from wildsage.services.iam.policies import exists
from wildsage.store.codec import Document
from wildsage.store.resources import Resource


def _missing(bearer: Bearer, name: str) -> str:
    return f"The {bearer.noun.lower()} with name {name} cannot be found."


class _Attachments:
    """The operations of one kind of bearer."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    async def _fetch(self, ctx: Context, request: Document) -> Resource:
        name = request[self._bearer.name_member]
        return await fetch(ctx, self._bearer.kind, name, _missing(self._bearer, name))

    async def _edit(self, ctx: Context, request: Document, change: Callable[[Resource], None]) -> None:
        name = request[self._bearer.name_member]
        await edit(ctx, self._bearer.kind, name, _missing(self._bearer, name), change)

    async def attach(self, ctx: Context, request: Document) -> Document:
        policy = request["PolicyArn"]
        if not await exists(ctx, policy):
            raise no_such_entity(f"Policy {policy} does not exist or is not attachable.")

        def change(resource: Resource) -> None:
            if policy not in resource.state["Attached"]:
                resource.state["Attached"].append(policy)

        await self._edit(ctx, request, change)
        return {}

    async def detach(self, ctx: Context, request: Document) -> Document:
        policy = request["PolicyArn"]

        def change(resource: Resource) -> None:
            if policy not in resource.state["Attached"]:
                raise no_such_entity(f"Policy {policy} was not found.")
            resource.state["Attached"].remove(policy)

        await self._edit(ctx, request, change)
        return {}

    async def list_attached(self, ctx: Context, request: Document) -> Document:
        resource = await self._fetch(ctx, request)
        attached = [
            {"PolicyName": policy.rpartition("/")[2], "PolicyArn": policy}
            for policy in resource.state["Attached"]
            if arn.parse(policy).resource.removeprefix("policy").startswith(request.get("PathPrefix", "/"))
        ]
        return page_of(request, "AttachedPolicies", attached)

    async def put(self, ctx: Context, request: Document) -> Document:
        document = request["PolicyDocument"]
        self._check_size(request, document)
        check_document(document)

        def change(resource: Resource) -> None:
            together = {**resource.state["Inline"], request["PolicyName"]: document}
            self._check_size(request, *together.values())
            resource.state["Inline"] = together

        await self._edit(ctx, request, change)
        return {}

    def _check_size(self, request: Document, *documents: str) -> None:
        most, noun = self._bearer.inline, self._bearer.noun.lower()
        if sum(map(size_of, documents)) > most:
            name = request[self._bearer.name_member]
            raise ApiError("LimitExceeded", f"Maximum policy size of {most} bytes exceeded for {noun} {name}", 409)

    def _no_inline(self, request: Document) -> ApiError:
        return no_such_entity(
            f"The {self._bearer.noun.lower()} policy with name {request['PolicyName']} cannot be found."
        )

    async def get(self, ctx: Context, request: Document) -> Document:
        resource = await self._fetch(ctx, request)
        document = resource.state["Inline"].get(request["PolicyName"])
        if document is None:
            raise self._no_inline(request)
        return {
            self._bearer.name_member: resource.key.name,
            "PolicyName": request["PolicyName"],
            "PolicyDocument": policy_text(document),
        }

    async def delete(self, ctx: Context, request: Document) -> Document:
        def change(resource: Resource) -> None:
            if resource.state["Inline"].pop(request["PolicyName"], None) is None:
                raise self._no_inline(request)

        await self._edit(ctx, request, change)
        return {}

    async def list_inline(self, ctx: Context, request: Document) -> Document:
        resource = await self._fetch(ctx, request)
        names = sorted(resource.state["Inline"])
        page = page_of(request, "PolicyNames", [{"Name": name} for name in names])
        return {**page, "PolicyNames": [item["Name"] for item in page["PolicyNames"]]}

    async def put_boundary(self, ctx: Context, request: Document) -> Document:
        boundary = request["PermissionsBoundary"]
        if not await exists(ctx, boundary):
            raise no_such_entity(f"Policy {boundary} does not exist or is not attachable.")

        def change(resource: Resource) -> None:
            resource.spec["PermissionsBoundary"] = boundary

        await self._edit(ctx, request, change)
        return {}

    async def delete_boundary(self, ctx: Context, request: Document) -> Document:
        await self._edit(ctx, request, lambda resource: resource.spec.pop("PermissionsBoundary", None) and None)
        return {}

    async def tag(self, ctx: Context, request: Document) -> Document:
        await self._edit(ctx, request, lambda resource: resource.tags.update(tag_map(request["Tags"])))
        return {}

    async def untag(self, ctx: Context, request: Document) -> Document:
        def change(resource: Resource) -> None:
            for key in request["TagKeys"]:
                resource.tags.pop(key, None)

        await self._edit(ctx, request, change)
        return {}

    async def list_tags(self, ctx: Context, request: Document) -> Document:
        resource = await self._fetch(ctx, request)
        return page_of(request, "Tags", tag_list(resource.tags))

    def operations(self) -> list[Operation]:
        noun = self._bearer.noun
        handlers: dict[str, Handler] = {
            f"Attach{noun}Policy": self.attach,
            f"Detach{noun}Policy": self.detach,
            f"ListAttached{noun}Policies": self.list_attached,
            f"Put{noun}Policy": self.put,
            f"Get{noun}Policy": self.get,
            f"Delete{noun}Policy": self.delete,
            f"List{noun}Policies": self.list_inline,
            f"Put{noun}PermissionsBoundary": self.put_boundary,
            f"Delete{noun}PermissionsBoundary": self.delete_boundary,
            f"Tag{noun}": self.tag,
            f"Untag{noun}": self.untag,
            f"List{noun}Tags": self.list_tags,
        }
        return [Operation(name, handler) for name, handler in handlers.items()]


OPERATIONS = [each for bearer in BEARERS for each in _Attachments(bearer).operations()]
