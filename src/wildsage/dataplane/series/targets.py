"""Which container a request to an endpoint with several is for."""

from __future__ import annotations

from collections.abc import Mapping

from wildsage.core.routes import DIRECT
from wildsage.dataplane import answers
from wildsage.dataplane.table import LiveVariant

_TARGET = "x-amzn-sagemaker-target-container-hostname"
_SESSION = "x-amzn-sagemaker-session-id"


def target(endpoint: str, variant: LiveVariant, options: Mapping[str, str]) -> LiveVariant:
    """The variant itself, or as if the container that is asked for were its only one. Raises ValidationError.

    "You will get validation errors if you do any of the following" (Developer Guide, "Invoke a multi-container endpoint
    with direct invocation"); the words are ours.
    """
    hostname = options.get(_TARGET)
    if variant.variant.mode and _SESSION in options:
        raise answers.validation_error(
            f"Endpoint {endpoint} has several containers or models and does not support sessions."
        )
    if variant.variant.mode != DIRECT:
        if hostname is not None:
            raise answers.validation_error(
                f"Endpoint {endpoint} is not a multi-container endpoint with direct invocation and does not support "
                "target container hostname header."
            )
        return variant
    known = ", ".join(variant.containers)
    if hostname is None:
        raise answers.validation_error(
            f"Endpoint {endpoint} is a multi-container endpoint with direct invocation and requires target container "
            f"hostname header. Name one of its containers as TargetContainerHostname: {known}."
        )
    found = variant.containers.get(hostname)
    if found is None:
        raise answers.validation_error(
            f"Target container hostname {hostname} of endpoint {endpoint} not found. Its containers are {known}."
        )
    return found
