"""Scanning of images: the settings are kept, and every question is answered with the truth that there is no scanner."""

from __future__ import annotations

from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.ecr import names
from wildsage.services.ecr.images import find_or_raise
from wildsage.services.ecr.repositories import change
from wildsage.store.codec import Document

_STATUS = {
    "status": "UNSUPPORTED_IMAGE",
    "description": "UnsupportedImageError: Wildsage has no scanner of images, so nothing was looked for.",
}


@operation("PutImageScanningConfiguration", runs=False)
async def put_image_scanning_configuration(ctx: Context, request: Document) -> Document:
    given = {"scanOnPush": False, **request["imageScanningConfiguration"]}
    found = await change(ctx, request, lambda repository: repository.spec.update({"imageScanningConfiguration": given}))
    return {
        "registryId": found.key.account,
        "repositoryName": found.key.name,
        "imageScanningConfiguration": given,
    }


@operation("StartImageScan")
async def start_image_scan(ctx: Context, request: Document) -> Document:
    """The scan of an image that cannot be scanned, as all cannot here."""
    return await _status(ctx, request)


@operation("DescribeImageScanFindings")
async def describe_image_scan_findings(ctx: Context, request: Document) -> Document:
    """No findings, and the status that says why."""
    return await _status(ctx, request)


async def _status(ctx: Context, request: Document) -> Document:
    repository = await names.fetch(ctx, request)
    image = await find_or_raise(ctx.platform, repository, request["imageId"])
    tag = request["imageId"].get("imageTag")
    return {
        "registryId": repository.key.account,
        "repositoryName": repository.key.name,
        "imageId": {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})},
        "imageScanStatus": dict(_STATUS),
    }
