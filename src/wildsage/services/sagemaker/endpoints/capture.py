"""DataCaptureConfig: what routers are told of it, and what DescribeEndpoint says. Pure."""

from __future__ import annotations

from wildsage.core import routes
from wildsage.services.sagemaker.endpoints.fleet import Variant
from wildsage.store.codec import Document


def route(config: Document, variant: Variant) -> routes.Capture | None:
    """What is captured of one variant; None for nothing. It is written as the role of the variant's model."""
    if not config or not config["EnableCapture"]:
        return None
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    types = config.get("CaptureContentTypeHeader") or {}
    return routes.Capture(
        percent=config["InitialSamplingPercentage"],
        destination=config["DestinationS3Uri"],
        role=variant.model["ExecutionRoleArn"],
        kms_key=config.get("KmsKeyId") or "",
        input=bool(modes & {"Input", "InputAndOutput"}),
        output=bool(modes & {"Output", "InputAndOutput"}),
        csv=tuple(types.get("CsvContentTypes") or ()),
        json=tuple(types.get("JsonContentTypes") or ()),
    )


def described(config: Document) -> Document:
    """The DataCaptureConfigSummary, where the configuration has a DataCaptureConfig."""
    if not config:
        return {}
    return {
        "DataCaptureConfig": {
            "EnableCapture": config["EnableCapture"],
            "CaptureStatus": "Started" if config["EnableCapture"] else "Stopped",
            "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
            "DestinationS3Uri": config["DestinationS3Uri"],
            "KmsKeyId": config.get("KmsKeyId") or "",
        }
    }
