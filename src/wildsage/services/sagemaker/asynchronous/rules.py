"""What InvokeEndpointAsync checks beyond the model, and what becomes of a request. Pure.

Source: API reference, InvokeEndpointAsync; Developer Guide, "Asynchronous inference".
"""

from __future__ import annotations

from wildsage.core.errors import ApiError, ValidationError
from wildsage.runtimes.instances import lookup
from wildsage.services.sagemaker.endpoints.fleet import Variant
from wildsage.services.sagemaker.instance import places
from wildsage.services.sagemaker.instance.places import Location
from wildsage.store.codec import Document
from wildsage.store.queued import Queued

TTL_SECONDS = 21600.0
TIMEOUT_SECONDS = 900.0
MOST_BYTES = 1 << 30
"""Of an input ("payload size limit: 1 GB")."""
_KEPT = ("InferenceId", "ContentType", "Accept", "CustomAttributes", "InputLocation")


def invalid(message: str) -> ApiError:
    """This service's ValidationError (not ValidationException)."""
    return ApiError("ValidationError", message, 400)


def check(request: Document) -> None:
    """Raises ValidationError."""
    body, uri = request.get("Body"), request.get("InputLocation")
    if bool(body) == bool(uri):
        raise invalid("Body and InputLocation are mutually exclusive. Provide exactly one of them.")
    if uri and not location(uri, "InputLocation").key:
        raise invalid(f"InputLocation {uri} names no object. Give it the form s3://bucket/key.")


def location(uri: str, named: str) -> Location:
    """Raises ValidationError."""
    try:
        return places.parse_any(uri, named)
    except ValidationError as error:
        raise invalid(error.message) from None


def queued(request: Document, config: Document, endpoint: str, name: str, now: float) -> Queued:
    """The request as it is kept. ``name``: what the objects are called; also the InferenceId where none is given.

    Its document has the members of the request, ``Output`` and ``Failure`` (URIs; the latter only where the
    configuration has an S3FailurePath), ``Timeout``, and ``Own``: that nobody else writes to these keys.
    """
    output = config["OutputConfig"]
    folder, given = str(request.get("S3OutputPathExtension") or "").strip("/"), request.get("Filename")
    document = {member: request[member] for member in _KEPT if request.get(member)}
    document["InferenceId"] = request.get("InferenceId") or name
    document["Output"] = _under(output["S3OutputPath"], folder, given or f"{name}.out")
    if output.get("S3FailurePath"):
        document["Failure"] = _under(output["S3FailurePath"], folder, _failed(given) if given else f"{name}-error.out")
    document["Timeout"] = float(request.get("InvocationTimeoutSeconds") or TIMEOUT_SECONDS)
    document["Own"] = not given
    expires = now + float(request.get("RequestTTLSeconds") or TTL_SECONDS)
    return Queued(endpoint, now, expires, document, request.get("Body") or None)


def _under(path: str, folder: str, name: str) -> str:
    return str(location(path, "S3OutputPath").under(f"{folder}/{name}" if folder else name))


def _failed(name: str) -> str:
    """What a failure is called whose answer would have been ``name``."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}-error.{suffix}" if dot else f"{name}-error"


def told(request: Queued) -> Document:
    """The answer to InvokeEndpointAsync."""
    found = {"InferenceId": request.document["InferenceId"], "OutputLocation": request.document["Output"]}
    if "Failure" in request.document:
        found["FailureLocation"] = request.document["Failure"]
    return found


def at_once(config: Document, variant: Variant) -> int:
    """How many requests an instance is given at a time.

    "If no value is provided, SageMaker chooses an optimal value": one for each vCPU, as model servers have workers.
    """
    given = (config.get("ClientConfig") or {}).get("MaxConcurrentInvocationsPerInstance")
    return int(given or lookup(str(variant.document["InstanceType"])).cpus)
