"""Managed policies: AWS's, which come with the server, and the account's own with up to five versions."""

from __future__ import annotations

from typing import Any

from wildsage.access.managed import ManagedPolicy, managed_policies
from wildsage.core import arn
from wildsage.core.errors import ApiError
from wildsage.core.ids import unique_id
from wildsage.kit.context import Context
from wildsage.kit.kind import tag_list, tag_map
from wildsage.kit.operation import operation
from wildsage.services.iam.entities import (
    BEARERS,
    POLICY,
    all_of,
    check_document,
    check_quota,
    delete_conflict,
    edit,
    entity_arn,
    key_of,
    no_such_entity,
    page_of,
    policy_text,
    remove,
    store,
)
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_MOST = 6144  # characters; IAM quotas, "Managed policy"
_VERSIONS = 5  # IAM quotas, "Versions per managed policy"


def _missing(policy: str) -> str:
    return f"Policy {policy} was not found."


async def _find(ctx: Context, policy: str) -> Resource:
    """One of the account's own policies by ARN; raises NoSuchEntity."""
    try:
        parsed = arn.parse(policy)
    except ValueError:
        raise ApiError("ValidationError", f"ARN {policy} is not valid.") from None
    name = parsed.resource.rpartition("/")[2]
    found = await ctx.platform.resources.get(key_of(ctx, POLICY, name))
    if found is None or entity_arn(ctx, "policy", found.spec["Path"], name) != policy:
        raise no_such_entity(_missing(policy))
    return found


async def exists(ctx: Context, policy: str) -> bool:
    """Whether ``policy`` (an ARN) can be attached."""
    if policy in managed_policies():
        return True
    try:
        await _find(ctx, policy)
    except ApiError as error:
        if error.code == "NoSuchEntity":
            return False
        raise
    return True


async def _attachments(ctx: Context) -> dict[str, int]:
    """How many roles and users each policy is attached to."""
    counts: dict[str, int] = {}
    for bearer in BEARERS:
        for resource in await all_of(ctx, bearer.kind):
            for policy in resource.state["Attached"]:
                counts[policy] = counts.get(policy, 0) + 1
    return counts


def _describe(ctx: Context, policy: Resource, count: int) -> Document:
    answer: Document = {
        "PolicyName": policy.key.name,
        "PolicyId": policy.status["PolicyId"],
        "Arn": entity_arn(ctx, "policy", policy.spec["Path"], policy.key.name),
        "Path": policy.spec["Path"],
        "DefaultVersionId": policy.state["Default"],
        "AttachmentCount": count,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": policy.created,
        "UpdateDate": policy.modified,
    }
    if "Description" in policy.spec:
        answer["Description"] = policy.spec["Description"]
    if policy.tags:
        answer["Tags"] = tag_list(policy.tags)
    return answer


def _describe_managed(policy: ManagedPolicy, count: int) -> Document:
    return {
        "PolicyName": policy.name,
        "PolicyId": "ANPA" + policy.name.upper()[:17].ljust(17, "A"),
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": "v1",
        "AttachmentCount": count,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "Description": policy.description,
        "CreateDate": 0,
        "UpdateDate": 0,
    }


def _version(policy: Resource, version: dict[str, Any]) -> Document:
    return {
        "Document": policy_text(version["Document"]),
        "VersionId": version["VersionId"],
        "IsDefaultVersion": version["VersionId"] == policy.state["Default"],
        "CreateDate": version["CreateDate"],
    }


@operation("CreatePolicy")
async def create_policy(ctx: Context, request: Document) -> Document:
    check_quota("PolicySize", _MOST, request["PolicyDocument"])
    check_document(request["PolicyDocument"])
    name, path = request["PolicyName"], request.get("Path", "/")
    spec = {"Path": path}
    if "Description" in request:
        spec["Description"] = request["Description"]
    policy = Resource(
        key=key_of(ctx, POLICY, name),
        spec=spec,
        status={"PolicyId": unique_id("ANPA")},
        state={
            "Versions": [{"VersionId": "v1", "Document": request["PolicyDocument"], "CreateDate": ctx.now}],
            "Default": "v1",
            "Next": 2,
        },
        tags=tag_map(request.get("Tags")),
    )
    await store(ctx, policy, f"A policy called {name} already exists. Duplicate names are not allowed.")
    return {"Policy": _describe(ctx, policy, 0)}


@operation("GetPolicy")
async def get_policy(ctx: Context, request: Document) -> Document:
    count = (await _attachments(ctx)).get(request["PolicyArn"], 0)
    managed = managed_policies().get(request["PolicyArn"])
    if managed is not None:
        return {"Policy": _describe_managed(managed, count)}
    return {"Policy": _describe(ctx, await _find(ctx, request["PolicyArn"]), count)}


@operation("ListPolicies")
async def list_policies(ctx: Context, request: Document) -> Document:
    scope, prefix = request.get("Scope", "All"), request.get("PathPrefix", "/")
    counts = await _attachments(ctx)
    listed: list[Document] = []
    if scope in ("All", "Local"):
        own = [_describe(ctx, policy, 0) for policy in await all_of(ctx, POLICY)]
        listed += [{**each, "AttachmentCount": counts.get(each["Arn"], 0)} for each in own]
    if scope in ("All", "AWS"):
        listed += [_describe_managed(each, counts.get(each.arn, 0)) for each in managed_policies().values()]
    chosen = [
        {name: value for name, value in each.items() if name not in ("Description", "Tags")}
        for each in listed
        if each["Path"].startswith(prefix) and (each["AttachmentCount"] or not request.get("OnlyAttached"))
    ]
    return page_of(request, "Policies", chosen)


@operation("DeletePolicy")
async def delete_policy(ctx: Context, request: Document) -> Document:
    policy = await _find(ctx, request["PolicyArn"])
    if (await _attachments(ctx)).get(request["PolicyArn"]):
        raise delete_conflict("Cannot delete a policy attached to entities.")
    if len(policy.state["Versions"]) > 1:
        raise delete_conflict("This policy has more than one version. Before you delete a policy, you must delete the "
                              "policy's versions. The default version is deleted with the policy.")  # fmt: skip
    await remove(ctx, POLICY, policy.key.name, _missing(request["PolicyArn"]))
    return {}


@operation("CreatePolicyVersion")
async def create_policy_version(ctx: Context, request: Document) -> Document:
    check_quota("PolicySize", _MOST, request["PolicyDocument"])
    check_document(request["PolicyDocument"])
    found = await _find(ctx, request["PolicyArn"])
    now = ctx.now

    def change(policy: Resource) -> None:
        if len(policy.state["Versions"]) >= _VERSIONS:
            raise ApiError(
                "LimitExceeded",
                "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
                "existing version.",
                409,
            )
        version = f"v{policy.state['Next']}"
        policy.state["Next"] += 1
        policy.state["Versions"].append(
            {"VersionId": version, "Document": request["PolicyDocument"], "CreateDate": now}
        )
        if request.get("SetAsDefault"):
            policy.state["Default"] = version
        policy.modified = now

    policy = await edit(ctx, POLICY, found.key.name, _missing(request["PolicyArn"]), change)
    return {"PolicyVersion": _version(policy, policy.state["Versions"][-1])}


@operation("GetPolicyVersion")
async def get_policy_version(ctx: Context, request: Document) -> Document:
    wanted = request["VersionId"]
    managed = managed_policies().get(request["PolicyArn"])
    if managed is not None and wanted == "v1":
        document = policy_text(managed.document)
        return {"PolicyVersion": {"Document": document, "VersionId": "v1", "IsDefaultVersion": True, "CreateDate": 0}}
    policy = await _find(ctx, request["PolicyArn"])
    for version in policy.state["Versions"]:
        if version["VersionId"] == wanted:
            return {"PolicyVersion": _version(policy, version)}
    raise _no_version(request)


def _no_version(request: Document) -> ApiError:
    return no_such_entity(
        f"Policy {request['PolicyArn']} version {request['VersionId']} does not exist or is not attachable."
    )


@operation("ListPolicyVersions")
async def list_policy_versions(ctx: Context, request: Document) -> Document:
    managed = managed_policies().get(request["PolicyArn"])
    if managed is not None:
        return page_of(request, "Versions", [{"VersionId": "v1", "IsDefaultVersion": True, "CreateDate": 0}])
    policy = await _find(ctx, request["PolicyArn"])
    versions = [_version(policy, version) for version in reversed(policy.state["Versions"])]
    for version in versions:
        del version["Document"]
    return page_of(request, "Versions", versions)


@operation("SetDefaultPolicyVersion")
async def set_default_policy_version(ctx: Context, request: Document) -> Document:
    found = await _find(ctx, request["PolicyArn"])

    def change(policy: Resource) -> None:
        if all(version["VersionId"] != request["VersionId"] for version in policy.state["Versions"]):
            raise _no_version(request)
        policy.state["Default"] = request["VersionId"]

    await edit(ctx, POLICY, found.key.name, _missing(request["PolicyArn"]), change)
    return {}


@operation("DeletePolicyVersion")
async def delete_policy_version(ctx: Context, request: Document) -> Document:
    found = await _find(ctx, request["PolicyArn"])

    def change(policy: Resource) -> None:
        if request["VersionId"] == policy.state["Default"]:
            raise delete_conflict("Cannot delete the default version of a policy.")
        kept = [version for version in policy.state["Versions"] if version["VersionId"] != request["VersionId"]]
        if len(kept) == len(policy.state["Versions"]):
            raise _no_version(request)
        policy.state["Versions"] = kept

    await edit(ctx, POLICY, found.key.name, _missing(request["PolicyArn"]), change)
    return {}
