"""Users and their access keys."""

from __future__ import annotations

from wildsage.core.errors import ApiError
from wildsage.core.ids import secret_key, unique_id
from wildsage.kit.context import Context
from wildsage.kit.kind import tag_list, tag_map
from wildsage.kit.operation import operation
from wildsage.services.iam.entities import (
    ACCESS_KEY,
    USERS,
    all_of,
    bearer_arn,
    delete_conflict,
    edit,
    fetch,
    key_of,
    no_such_entity,
    page_of,
    remove,
    store,
)
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_KEYS_PER_USER = 2  # IAM quotas, "Access keys assigned to an IAM user"


def missing(name: str) -> str:
    return f"The user with name {name} cannot be found."


def describe(ctx: Context, user: Resource) -> Document:
    """A User as GetUser answers it."""
    answer: Document = {
        "Path": user.spec["Path"],
        "UserName": user.key.name,
        "UserId": user.status["UserId"],
        "Arn": bearer_arn(ctx, USERS, user),
        "CreateDate": user.created,
    }
    if "PermissionsBoundary" in user.spec:
        answer["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": user.spec["PermissionsBoundary"],
        }
    if user.tags:
        answer["Tags"] = tag_list(user.tags)
    return answer


def _own_name(ctx: Context, request: Document) -> str:
    """The user an operation is about: named, or else the caller."""
    if "UserName" in request:
        return str(request["UserName"])
    if ":user/" not in ctx.caller.arn:
        raise ApiError("ValidationError", "Must specify userName when calling with non-User credentials")
    return ctx.caller.arn.rpartition("/")[2]


@operation("CreateUser")
async def create_user(ctx: Context, request: Document) -> Document:
    name = request["UserName"]
    spec = {"Path": "/", **{key: value for key, value in request.items() if key not in ("UserName", "Tags")}}
    user = Resource(
        key=key_of(ctx, USERS.kind, name),
        spec=spec,
        status={"UserId": unique_id(USERS.prefix)},
        state={"Inline": {}, "Attached": []},
        tags=tag_map(request.get("Tags")),
    )
    await store(ctx, user, f"User with name {name} already exists.")
    return {"User": describe(ctx, user)}


@operation("GetUser")
async def get_user(ctx: Context, request: Document) -> Document:
    if "UserName" not in request and ctx.caller.is_root:
        return {"User": {"Path": "/", "UserId": ctx.account, "Arn": ctx.caller.arn, "CreateDate": 0, "UserName": ""}}
    name = _own_name(ctx, request)
    return {"User": describe(ctx, await fetch(ctx, USERS.kind, name, missing(name)))}


@operation("ListUsers")
async def list_users(ctx: Context, request: Document) -> Document:
    prefix = request.get("PathPrefix", "/")
    users = [user for user in await all_of(ctx, USERS.kind) if user.spec["Path"].startswith(prefix)]
    return page_of(request, "Users", [describe(ctx, user) for user in users])


@operation("DeleteUser")
async def delete_user(ctx: Context, request: Document) -> Document:
    name = request["UserName"]
    user = await fetch(ctx, USERS.kind, name, missing(name))
    if await _keys_of(ctx, name):
        raise delete_conflict("Cannot delete entity, must delete access keys first.")
    if user.state["Inline"]:
        raise delete_conflict("Cannot delete entity, must delete policies first.")
    if user.state["Attached"]:
        raise delete_conflict("Cannot delete entity, must detach all policies first.")
    await remove(ctx, USERS.kind, name, missing(name))
    return {}


async def _keys_of(ctx: Context, user: str) -> list[Resource]:
    return [key for key in await all_of(ctx, ACCESS_KEY) if key.spec["UserName"] == user]


def _describe_key(key: Resource) -> Document:
    return {
        "UserName": key.spec["UserName"],
        "AccessKeyId": key.key.name,
        "Status": key.phase,
        "CreateDate": key.created,
    }


@operation("CreateAccessKey")
async def create_access_key(ctx: Context, request: Document) -> Document:
    user = _own_name(ctx, request)
    await fetch(ctx, USERS.kind, user, missing(user))
    if len(await _keys_of(ctx, user)) >= _KEYS_PER_USER:
        raise ApiError("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {_KEYS_PER_USER}", 409)
    key = Resource(
        key=key_of(ctx, ACCESS_KEY, unique_id("AKIA")),
        spec={"UserName": user},
        phase="Active",
        state={"Secret": secret_key()},
    )
    await store(ctx, key, "The access key exists.")
    return {"AccessKey": {**_describe_key(key), "SecretAccessKey": key.state["Secret"]}}


@operation("ListAccessKeys")
async def list_access_keys(ctx: Context, request: Document) -> Document:
    user = _own_name(ctx, request)
    await fetch(ctx, USERS.kind, user, missing(user))
    return page_of(request, "AccessKeyMetadata", [_describe_key(key) for key in await _keys_of(ctx, user)])


def _no_key(key_id: str) -> str:
    return f"The Access Key with id {key_id} cannot be found."


@operation("UpdateAccessKey")
async def update_access_key(ctx: Context, request: Document) -> Document:
    user, key_id = _own_name(ctx, request), request["AccessKeyId"]

    def change(key: Resource) -> None:
        if key.spec["UserName"] != user:
            raise no_such_entity(_no_key(key_id))
        key.phase = request["Status"]

    await edit(ctx, ACCESS_KEY, key_id, _no_key(key_id), change)
    return {}


@operation("DeleteAccessKey")
async def delete_access_key(ctx: Context, request: Document) -> Document:
    user, key_id = _own_name(ctx, request), request["AccessKeyId"]
    key = await fetch(ctx, ACCESS_KEY, key_id, _no_key(key_id))
    if key.spec["UserName"] != user:
        raise no_such_entity(_no_key(key_id))
    await remove(ctx, ACCESS_KEY, key_id, _no_key(key_id))
    return {}
