"""Repositories: create, describe, delete, tags, and how their images may be tagged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from wildsage.core import paging
from wildsage.core.clock import to_datetime
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.kind import shown, tag_list, tag_map
from wildsage.kit.operation import operation
from wildsage.services.ecr import names
from wildsage.store.codec import Document
from wildsage.store.imageindex import Images, emptied
from wildsage.store.resources import AlreadyExists, Key, Missing, Query, Resource

_MOST_TAGS = 50
_PAGE = 100
MUTABLE, IMMUTABLE = "MUTABLE", "IMMUTABLE"
_EXCEPT = "_WITH_EXCLUSION"


def described(repository: Resource) -> Document:
    """As the API shows it."""
    key, spec = repository.key, repository.spec
    found: Document = {
        "repositoryArn": names.arn_of(key),
        "registryId": key.account,
        "repositoryName": key.name,
        "repositoryUri": names.uri_of(key),
        "createdAt": to_datetime(repository.created),
        "imageTagMutability": spec["imageTagMutability"],
        "imageScanningConfiguration": spec["imageScanningConfiguration"],
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    if spec.get("imageTagMutabilityExclusionFilters"):
        found["imageTagMutabilityExclusionFilters"] = spec["imageTagMutabilityExclusionFilters"]
    return found


def movable(repository: Resource) -> Callable[[str], bool]:
    """Whether a tag may be taken from one image and given to another.

    Source: ECR User Guide, "Preventing image tags from being overwritten".
    """
    word = repository.spec["imageTagMutability"]
    filters = [each["filter"] for each in repository.spec.get("imageTagMutabilityExclusionFilters") or ()]
    usual = word.startswith(MUTABLE)

    def ask(tag: str) -> bool:
        excluded = any(fnmatchcase(tag, _only_stars(each)) for each in filters)
        return usual is not (excluded and word.endswith(_EXCEPT))

    return ask


def _only_stars(pattern: str) -> str:
    """ECR's wildcards are ``*`` alone."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _mutability(request: Mapping[str, Any]) -> Document:
    """Raises InvalidParameterException where word and filters do not go together."""
    word = request.get("imageTagMutability") or MUTABLE
    filters = request.get("imageTagMutabilityExclusionFilters") or []
    if word.endswith(_EXCEPT) is not bool(filters):
        raise names.invalid(
            "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'there must be "
            "filters with MUTABLE_WITH_EXCLUSION and IMMUTABLE_WITH_EXCLUSION, and none otherwise'"
        )
    return {"imageTagMutability": word, "imageTagMutabilityExclusionFilters": filters}


@operation("CreateRepository")
async def create_repository(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""
    registry = names.registry_of(ctx, request)
    if (request.get("encryptionConfiguration") or {}).get("encryptionType", "AES256") != "AES256":
        raise ApiError(
            "KmsException", "Wildsage keeps layers without KMS; leave encryptionConfiguration out, or say AES256."
        )
    tags = tag_map(request.get("tags"))
    _check_tags(tags)
    repository = Resource(
        registry.key(request["repositoryName"]),
        spec={
            **_mutability(request),
            "imageScanningConfiguration": {"scanOnPush": False, **(request.get("imageScanningConfiguration") or {})},
        },
        tags=tags,
        created=shown(ctx.now),
        modified=shown(ctx.now),
    )
    try:
        await ctx.platform.resources.create(repository)
    except AlreadyExists:
        key = repository.key
        words = f"The repository with name '{key.name}' already exists in the registry with id '{key.account}'"
        raise ApiError("RepositoryAlreadyExistsException", words) from None
    return {"repository": described(repository)}


@operation("DescribeRepositories")
async def describe_repositories(ctx: Context, request: Document) -> Document:
    registry, wanted = names.registry_of(ctx, request), request.get("repositoryNames")
    if wanted:
        if request.get("maxResults") is not None or request.get("nextToken"):
            raise names.invalid("Invalid parameter: maxResults and nextToken do not go with repositoryNames")
        found = [await names.fetch_in(ctx.platform, registry, name) for name in wanted]
        return {"repositories": [described(each) for each in found]}
    try:
        position = paging.position(request.get("nextToken"))
    except ValueError:
        raise names.bad_token() from None
    page = await ctx.platform.resources.page(
        Query(
            names.KIND,
            registry.account,
            registry.region,
            limit=request.get("maxResults") or _PAGE,
            sort="name",
            descending=False,
            after=position,
        )
    )
    answer: Document = {"repositories": [described(each) for each in page.items]}
    if page.following is not None:
        answer["nextToken"] = paging.encode(page.following)
    return answer


@operation("DeleteRepository")
async def delete_repository(ctx: Context, request: Document) -> Document:
    """Without ``force`` a repository that has images stays."""
    repository = await names.fetch(ctx, request)
    key = repository.key
    if not request.get("force") and await Images(ctx.platform.database).any(repository.uid):
        raise ApiError(
            "RepositoryNotEmptyException",
            f"The repository with name '{key.name}' in registry with id '{key.account}' cannot be deleted because it "
            "still contains images",
        )
    try:
        await ctx.platform.resources.remove(key, [emptied(repository.uid, ctx.now)])
    except Missing:
        raise names.no_repository(key) from None
    return {"repository": described(repository)}


@operation("DescribeRegistry")
async def describe_registry(ctx: Context, _request: Document) -> Document:
    """There is no replication."""
    return {"registryId": ctx.account, "replicationConfiguration": {"rules": []}}


async def change(ctx: Context, request: Document, edit: Callable[[Resource], None]) -> Resource:
    """Edits the repository of a request; raises RepositoryNotFoundException."""
    key = names.registry_of(ctx, request).key(request["repositoryName"])
    try:
        return await ctx.platform.resources.edit(key, edit)
    except Missing:
        raise names.no_repository(key) from None


async def take(ctx: Context, request: Document, entry: str, missing: Callable[[Key], ApiError]) -> tuple[Resource, str]:
    """Takes a text out of the state of a request's repository. Raises ``missing``, RepositoryNotFoundException."""
    taken: list[str] = []

    def edit(repository: Resource) -> None:
        if entry not in repository.state:
            raise missing(repository.key)
        taken.append(repository.state.pop(entry))

    found = await change(ctx, request, edit)
    return found, taken[-1]


@operation("PutImageTagMutability")
async def put_image_tag_mutability(ctx: Context, request: Document) -> Document:
    wanted = _mutability(request)
    found = await change(ctx, request, lambda repository: repository.spec.update(wanted))
    shown_filters = {name: value for name, value in wanted.items() if value}
    return {"registryId": found.key.account, "repositoryName": found.key.name, **shown_filters}


@operation("TagResource")
async def tag_resource(ctx: Context, request: Document) -> Document:
    new = tag_map(request["tags"])

    def merge(tags: dict[str, str]) -> dict[str, str]:
        merged = {**tags, **new}
        _check_tags(merged)
        return merged

    return await _retag(ctx, request, merge)


@operation("UntagResource")
async def untag_resource(ctx: Context, request: Document) -> Document:
    gone = set(request["tagKeys"])
    return await _retag(ctx, request, lambda tags: {key: value for key, value in tags.items() if key not in gone})


async def _retag(ctx: Context, request: Document, edit: Callable[[dict[str, str]], dict[str, str]]) -> Document:
    key = names.key_of_arn(request["resourceArn"])
    try:
        await ctx.platform.resources.retag(key, edit)
    except Missing:
        raise names.no_repository(key) from None
    return {}


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > _MOST_TAGS:
        raise ApiError("TooManyTagsException", f"A repository may have {_MOST_TAGS} tags, not {len(tags)}.")


@operation("ListTagsForResource")
async def list_tags_for_resource(ctx: Context, request: Document) -> Document:
    key = names.key_of_arn(request["resourceArn"])
    found = await ctx.platform.resources.get(key)
    if found is None:
        raise names.no_repository(key)
    return {"tags": tag_list(found.tags)}
