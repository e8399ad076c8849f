"""Whether what an invocation says by header is what the service model allows: lengths, and ASCII."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from wildsage.wire.http.messages import Headers
from wildsage.wire.model import load
from wildsage.wire.validate import validate

_PREFIX = "x-amzn-sagemaker-"
# The longest that a header may be (service model, InvokeEndpointInput), so that nobody else need look into the model.
_MOST: Mapping[str, int] = {
    "accept": 1024,
    "content-type": 1024,
    f"{_PREFIX}accept": 1024,
    f"{_PREFIX}custom-attributes": 1024,
    f"{_PREFIX}target-model": 1024,
    f"{_PREFIX}session-id": 256,
    f"{_PREFIX}enable-explanations": 64,
    f"{_PREFIX}inference-id": 64,
    f"{_PREFIX}prefix-aware-id": 64,
    f"{_PREFIX}inference-component": 63,
    f"{_PREFIX}target-variant": 63,
    f"{_PREFIX}target-container-hostname": 63,
}
_SHORT = min(_MOST.values())


def check(endpoint: str, headers: Headers, streams: bool) -> None:
    """Raises ValidationError in AWS's words. This runs for every invocation.

    ``endpoint``: as it stands in the path. ``streams``: whether it is InvokeEndpointWithResponseStream.
    """
    for name, value in headers:
        size = len(value)
        if size > _SHORT and size > _MOST.get(name, size):
            break
        if not value.isascii() and name in _MOST:
            break
    else:
        return
    check_all(endpoint, headers, streams)


def check_all(endpoint: str, headers: Headers, streams: bool) -> None:
    """As ``check``, by every rule of the model, the endpoint's name included."""
    operation = load("sagemaker-runtime").operations[_name(streams)]
    assert operation.input is not None
    given: dict[str, object] = {"EndpointName": unquote(endpoint), "Body": b""}
    said = dict(headers)
    for name, shape in operation.input.members.items():
        if shape.location == "header" and (value := said.get(shape.wire_name.lower())):
            given[name] = value.encode("latin-1").decode("utf-8", "replace")
    validate(operation, given)


def _name(streams: bool) -> str:
    return "InvokeEndpointWithResponseStream" if streams else "InvokeEndpoint"
