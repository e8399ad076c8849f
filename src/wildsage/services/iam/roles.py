"""Roles."""

from __future__ import annotations

from wildsage.access.policies import Use
from wildsage.core.ids import unique_id
from wildsage.kit.context import Context
from wildsage.kit.kind import tag_list, tag_map
from wildsage.kit.operation import operation
from wildsage.services.iam.entities import (
    ROLES,
    all_of,
    bearer_arn,
    check_document,
    check_quota,
    delete_conflict,
    edit,
    fetch,
    key_of,
    page_of,
    policy_text,
    remove,
    store,
)
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_TRUST, _MOST_TRUST = "ACLSizePerRole", 2048  # characters; IAM quotas, "Role trust policy length"


def missing(name: str) -> str:
    return f"The role with name {name} cannot be found."


def describe(ctx: Context, role: Resource) -> Document:
    """A Role as GetRole answers it."""
    answer: Document = {
        "Path": role.spec["Path"],
        "RoleName": role.key.name,
        "RoleId": role.status["RoleId"],
        "Arn": bearer_arn(ctx, ROLES, role),
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": policy_text(role.spec["AssumeRolePolicyDocument"]),
        "MaxSessionDuration": role.spec.get("MaxSessionDuration", 3600),
    }
    if "Description" in role.spec:
        answer["Description"] = role.spec["Description"]
    if "PermissionsBoundary" in role.spec:
        answer["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": role.spec["PermissionsBoundary"],
        }
    if role.tags:
        answer["Tags"] = tag_list(role.tags)
    return answer


@operation("CreateRole")
async def create_role(ctx: Context, request: Document) -> Document:
    check_quota(_TRUST, _MOST_TRUST, request["AssumeRolePolicyDocument"])
    check_document(request["AssumeRolePolicyDocument"], Use.TRUST)
    name = request["RoleName"]
    spec = {"Path": "/", **{key: value for key, value in request.items() if key not in ("RoleName", "Tags")}}
    role = Resource(
        key=key_of(ctx, ROLES.kind, name),
        spec=spec,
        status={"RoleId": unique_id(ROLES.prefix)},
        state={"Inline": {}, "Attached": []},
        tags=tag_map(request.get("Tags")),
    )
    await store(ctx, role, f"Role with name {name} already exists.")
    return {"Role": describe(ctx, role)}


@operation("GetRole")
async def get_role(ctx: Context, request: Document) -> Document:
    name = request["RoleName"]
    return {"Role": describe(ctx, await fetch(ctx, ROLES.kind, name, missing(name)))}


@operation("ListRoles")
async def list_roles(ctx: Context, request: Document) -> Document:
    prefix = request.get("PathPrefix", "/")
    roles = [role for role in await all_of(ctx, ROLES.kind) if role.spec["Path"].startswith(prefix)]
    hidden = ("Tags", "PermissionsBoundary")  # "ListRoles does not return …" (API reference)
    listed = [{name: value for name, value in describe(ctx, role).items() if name not in hidden} for role in roles]
    return page_of(request, "Roles", listed)


@operation("UpdateRole")
async def update_role(ctx: Context, request: Document) -> Document:
    def change(role: Resource) -> None:
        role.spec["Description"] = request.get("Description", "")
        role.spec["MaxSessionDuration"] = request.get("MaxSessionDuration", 3600)

    await edit(ctx, ROLES.kind, request["RoleName"], missing(request["RoleName"]), change)
    return {}


@operation("UpdateRoleDescription")
async def update_role_description(ctx: Context, request: Document) -> Document:
    def change(role: Resource) -> None:
        role.spec["Description"] = request["Description"]

    role = await edit(ctx, ROLES.kind, request["RoleName"], missing(request["RoleName"]), change)
    return {"Role": describe(ctx, role)}


@operation("UpdateAssumeRolePolicy")
async def update_assume_role_policy(ctx: Context, request: Document) -> Document:
    check_quota(_TRUST, _MOST_TRUST, request["PolicyDocument"])
    check_document(request["PolicyDocument"], Use.TRUST)

    def change(role: Resource) -> None:
        role.spec["AssumeRolePolicyDocument"] = request["PolicyDocument"]

    await edit(ctx, ROLES.kind, request["RoleName"], missing(request["RoleName"]), change)
    return {}


@operation("DeleteRole")
async def delete_role(ctx: Context, request: Document) -> Document:
    name = request["RoleName"]
    role = await fetch(ctx, ROLES.kind, name, missing(name))
    if role.state["Inline"]:
        raise delete_conflict("Cannot delete entity, must delete policies first.")
    if role.state["Attached"]:
        raise delete_conflict("Cannot delete entity, must detach all policies first.")
    await remove(ctx, ROLES.kind, name, missing(name))
    return {}
