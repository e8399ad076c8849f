"""Policies of repositories. What they say is asked by the door (``guards``)."""

from __future__ import annotations

from wildsage.access.conditions import PolicyError
from wildsage.access.policies import Use, compile_policy
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.ecr import names
from wildsage.services.ecr.repositories import change, take
from wildsage.store.codec import Document
from wildsage.store.resources import Key

POLICY = "policy"


def _check(text: str) -> None:
    """Raises InvalidParameterException."""
    try:
        compile_policy(names.with_any_resource(text), Use.RESOURCE)
    except (PolicyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise names.invalid(
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided': "
            f"{error}"
        ) from None


def _answer(key: Key, text: str) -> Document:
    return {"registryId": key.account, "repositoryName": key.name, "policyText": text}


def _none(key: Key) -> ApiError:
    return ApiError("RepositoryPolicyNotFoundException", f"Repository policy does not exist for {names.place(key)}")


@operation("SetRepositoryPolicy")
async def set_repository_policy(ctx: Context, request: Document) -> Document:
    """``force`` changes nothing: whether a policy would keep its author from replacing it is not asked."""
    text = request["policyText"]
    _check(text)
    found = await change(ctx, request, lambda repository: repository.state.update({POLICY: text}))
    return _answer(found.key, text)


@operation("GetRepositoryPolicy")
async def get_repository_policy(ctx: Context, request: Document) -> Document:
    found = await names.fetch(ctx, request)
    text = found.state.get(POLICY)
    if text is None:
        raise _none(found.key)
    return _answer(found.key, text)


@operation("DeleteRepositoryPolicy")
async def delete_repository_policy(ctx: Context, request: Document) -> Document:
    found, text = await take(ctx, request, POLICY, _none)
    return _answer(found.key, text)
