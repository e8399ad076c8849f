"""How images are to be had of registries: of this server's own as the role that launches them, and of private ones.

The credentials of a private registry are what a Lambda function of the caller's choice says they are. Source: Developer
Guide, "Use a Docker registry that requires authentication for training": the job's role invokes the function that
TrainingRepositoryCredentialsProviderArn names, which returns {"Credentials": {"Username": …, "Password": …}}. The guide
says nothing of its event; it is an empty object. For models the same follows from RepositoryCredentialsProviderArn (API
reference, RepositoryAuthConfig).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wildsage.core import arn
from wildsage.core.errors import ApiError, ClientFault
from wildsage.images import uris
from wildsage.images.seeking import Pull
from wildsage.kit import privaterepositories
from wildsage.kit.context import Platform
from wildsage.kit.registryimages import find_image, read_name
from wildsage.services.sagemaker.instance import roles
from wildsage.store.codec import Document

Credentials = tuple[str, str]
"""User name and password."""

_PASSING = ("TooManyRequestsException", "ResourceConflictException", "ServiceException")
_SHOWN = 500


def provider_of_training(specification: Document) -> str:
    """The function's ARN, of an AlgorithmSpecification; empty if its registry asks for nothing."""
    config = (specification.get("TrainingImageConfig") or {}).get("TrainingRepositoryAuthConfig") or {}
    found: str = config.get("TrainingRepositoryCredentialsProviderArn") or ""
    return found


def provider_of_container(definition: Mapping[str, Any]) -> str:
    """As ``provider_of_training``, of a model's ContainerDefinition."""
    config = (definition.get("ImageConfig") or {}).get("RepositoryAuthConfig") or {}
    found: str = config.get("RepositoryCredentialsProviderArn") or ""
    return found


async def pull(platform: Platform, role: str, image: str, provider: str = "") -> Pull:
    """How ``role`` gets ``image``. ``provider``, and what is raised: as of ``credentials``."""
    name = read_name(platform, image)
    settings = platform.settings
    if name is None or name.account not in (settings.account, *settings.accounts):
        return await _of_others(platform, image, await credentials(platform, role, provider))
    try:
        found = await find_image(platform, await roles.assume(platform, role), image)
    except ApiError as error:
        if error.status >= 500:
            raise
        raise ClientFault(
            f"ClientError: Access denied for repository: {name.repository} in registry ID: {name.account}. Please "
            f"check if your ECR repository and image exist and role {role} has proper pull permissions for SageMaker: "
            f"ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer ({error.message})"
        ) from error
    return Pull(own=True) if found is None else Pull(True, found.reference, (found.username, found.password))


async def _of_others(platform: Platform, image: str, given: Credentials | None) -> Pull:
    if uris.framework_image(image) is not None:  # a Python environment stands in for it, whoever asks
        return Pull(credentials=given)
    repository = uris.common_name(image)
    if given is None:
        return Pull(guarded=await privaterepositories.is_private(platform, repository))
    await privaterepositories.remember(platform, repository)
    return Pull(credentials=given)


async def credentials(platform: Platform, role: str, provider: str) -> Credentials | None:
    """What the function ``provider`` gives ``role``; None without a function.

    Raises ClientFault in words, and ApiError for what another attempt may cure.
    """
    if not provider:
        return None
    caller = await roles.assume(platform, role)
    try:
        region = arn.parse(provider).region
        answer = await platform.calls.call(caller, region, "lambda", "Invoke", {"FunctionName": provider})
    except ValueError:
        raise _fault(provider, "That is no ARN of a function.") from None
    except ApiError as error:
        if error.code in _PASSING:
            raise
        raise _fault(provider, f"It could not be invoked: {error.message} ({error.code}).") from None
    if answer.get("FunctionError"):
        raise _fault(provider, f"The function failed: {_failure(answer['Payload'])}")
    return _read(provider, answer["Payload"])


def _read(provider: str, payload: bytes) -> Credentials:
    form = '{"Credentials": {"Username": "…", "Password": "…"}}'
    try:
        found = json.loads(payload)["Credentials"]
        user, password = found["Username"], found["Password"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _fault(provider, f"The function did not return {form}.") from None
    if not isinstance(user, str) or not isinstance(password, str):
        raise _fault(provider, f"The function did not return {form}: both must be strings.")
    return user, password


def _failure(payload: bytes) -> str:
    """What a function that failed says; never more than fits into a sentence."""
    try:
        found = json.loads(payload)
        words = f"{found['errorType']}: {found['errorMessage']}"
    except (ValueError, TypeError, KeyError, RecursionError):
        words = payload.decode("utf-8", "replace")
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


def _fault(provider: str, words: str) -> ClientFault:
    return ClientFault(
        f"ClientError: The credentials of the private Docker registry could not be had from {provider}. {words}"
    )
