"""Names, addresses and errors of registries, repositories and images.

A registry is an account's in a region.  The words of errors are ECR's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wildsage.core import arn, paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context, Platform
from wildsage.kit.registryimages import ECR_HOST, REPOSITORY
from wildsage.store.resources import Key, Resource

KIND = REPOSITORY
# ECR API reference, RepositoryName; the OCI distribution specification allows no more.
NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOMAINS = {"aws-cn": "amazonaws.com.cn"}


@dataclass(frozen=True, slots=True)
class Registry:
    """Where repositories are."""

    account: str
    region: str

    def key(self, name: str) -> Key:
        return Key(KIND, self.account, self.region, name)

    @property
    def place(self) -> str:
        """Repositories of one place share the bytes of layers."""
        return f"{self.account}/{self.region}"

    @property
    def host(self) -> str:
        """As AWS names it."""
        domain = _DOMAINS.get(arn.partition_of(self.region), "amazonaws.com")
        return f"{self.account}.dkr.ecr.{self.region}.{domain}"


def registry_of_host(host: str) -> Registry | None:
    """The registry that a Host header names; None if it is any other name, such as an address."""
    found = ECR_HOST.fullmatch(host)
    return Registry(found[1], found[2].lower()) if found else None


def registry_of(ctx: Context, request: Mapping[str, Any]) -> Registry:
    """The registry that a call is about: ``registryId``, else the caller's own."""
    return Registry(request.get("registryId") or ctx.account, ctx.region)


def home(repository: Resource) -> Registry:
    return Registry(repository.key.account, repository.key.region)


def arn_of(key: Key) -> str:
    return arn.build("ecr", key.region, key.account, f"repository/{key.name}")


def uri_of(key: Key) -> str:
    return f"{Registry(key.account, key.region).host}/{key.name}"


async def fetch(ctx: Context, request: Mapping[str, Any]) -> Resource:
    """The repository that a call names; raises RepositoryNotFoundException."""
    return await fetch_in(ctx.platform, registry_of(ctx, request), request["repositoryName"])


async def fetch_in(platform: Platform, registry: Registry, name: str) -> Resource:
    """Raises RepositoryNotFoundException."""
    found = await platform.resources.get(registry.key(name))
    if found is None:
        raise no_repository(registry.key(name))
    return found


def key_of_arn(text: str) -> Key:
    """Raises InvalidParameterException for what is no ARN of a repository."""
    try:
        parsed = arn.parse(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.service != "ecr" or parsed.resource_type != "repository":
        raise invalid(f"Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN: {text}'")
    return Key(KIND, parsed.account, parsed.region, parsed.resource_name)


def invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)


def no_repository(key: Key) -> ApiError:
    words = f"The repository with name '{key.name}' does not exist in the registry with id '{key.account}'"
    return ApiError("RepositoryNotFoundException", words)


def no_image(key: Key, digest: str | None, tag: str | None) -> ApiError:
    identity = f"{{imageDigest:'{digest or 'null'}', imageTag:'{tag or 'null'}'}}"
    return ApiError(
        "ImageNotFoundException",
        f"The image with imageId {identity} does not exist within {place(key)}",
    )


def no_layers(key: Key, digests: Iterable[str]) -> ApiError:
    listed = ", ".join(digests)
    return ApiError("LayersNotFoundException", f"Layers with digests '[{listed}]' do not exist in {place(key)}")


def no_upload(key: Key, upload: str) -> ApiError:
    words = f"The upload with id '{upload[:100]}' does not exist in {place(key)}"
    return ApiError("UploadNotFoundException", words)


def place(key: Key) -> str:
    """A repository, as the words of errors have it."""
    return f"the repository with name '{key.name}' in the registry with id '{key.account}'"


def after(token: str | None) -> str:
    """What a list goes on after; raises InvalidParameterException."""
    try:
        return paging.text(token)
    except ValueError:
        raise bad_token() from None


def bad_token() -> ApiError:
    return invalid("Invalid parameter at 'nextToken': it is not one of this operation's")


def with_any_resource(policy: str) -> str:
    """A repository's policy as IAM's grammar has it: its statements name no resource and mean the repository."""
    document = json.loads(policy)
    statements = document.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    return json.dumps({**document, "Statement": [{"Resource": "*", **each} for each in listed]})
