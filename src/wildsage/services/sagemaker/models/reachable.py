"""Whether the data of a model is there, and may be read by the model's role, when the model is created.

AWS looks at that moment too: its messages "Could not find model data at …" and "Could not access model data at …" are
answers of CreateModel. A model that comes to be later, or goes before an endpoint is made, is the endpoint's to report.
"""

from __future__ import annotations

from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError, ClientFault, ValidationError
from wildsage.kit.context import Context
from wildsage.services.sagemaker.instance import roles
from wildsage.services.sagemaker.instance.places import parse
from wildsage.services.sagemaker.models.containers import Container, Shape, containers_of
from wildsage.store.codec import Document

_ABSENT = ("404", "NoSuchBucket", "NoSuchKey", "NotFound")


async def check(ctx: Context, model: Document) -> None:
    """Raises ValidationError in AWS's words for the first container whose data its role cannot get at."""
    containers = [each for each in containers_of(model) if each.data.uri]
    if not containers:
        return
    try:
        caller = await roles.assume(ctx.platform, model["ExecutionRoleArn"])
    except ClientFault:
        raise _denied(ctx, model, containers[0]) from None
    for container in containers:
        await _look(ctx, caller, model, container)


async def _look(ctx: Context, caller: Caller, model: Document, container: Container) -> None:
    uri, shape = container.data
    at = parse(uri)
    try:
        if shape is not Shape.FOLDER:
            await ctx.platform.calls.call(caller, ctx.region, "s3", "HeadObject", {"Bucket": at.bucket, "Key": at.key})
            return
        page = await ctx.platform.calls.call(
            caller, ctx.region, "s3", "ListObjectsV2", {"Bucket": at.bucket, "Prefix": at.key, "MaxKeys": 1}
        )
    except ApiError as error:
        if error.code in _ABSENT:
            raise _missing(uri) from error
        if error.status >= 500:
            raise  # S3's own trouble says nothing about the role
        raise _denied(ctx, model, container) from error
    # Models of a multi-model container may come later.
    if not page.get("Contents") and not container.many:
        raise _missing(uri)


def _missing(uri: str) -> ValidationError:
    return ValidationError(f"Could not find model data at {uri}.")


def _denied(ctx: Context, model: Document, container: Container) -> ValidationError:
    role = model["ExecutionRoleArn"]
    return ValidationError(
        f'Could not access model data at {container.data.uri}. Please ensure that the role "{role}" exists and '
        'that its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
        '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object is '
        f"located in {ctx.region}. If your Model uses multiple models or uncompressed models, please ensure that the "
        'role has "s3:ListBucket" permission.'
    )
