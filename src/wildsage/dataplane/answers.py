"""What sagemaker-runtime answers, in AWS's form (rest-json): headers, errors and their words."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from wildsage.core.arn import build
from wildsage.core.errors import ApiError
from wildsage.core.multimodel import below, refusal
from wildsage.core.routes import Endpoint
from wildsage.wire.http.messages import Headers

ERROR_BODY_BYTES = 64 * 1024  # of a container's error answer, more is not quoted

TARGET_MODEL = "x-amzn-sagemaker-target-model"
CHOOSING_NOTHING = frozenset(
    {
        "x-amzn-sagemaker-accept",
        "x-amzn-sagemaker-custom-attributes",
        "x-amzn-sagemaker-inference-id",
        TARGET_MODEL,
    }
)
"""Headers of the API with which a request is for the endpoint as a whole, in no session and refused by no rule."""

# Headers of the API that reach the container, and back (API reference, InvokeEndpoint); the router's own are left out.
_ROUTING = frozenset(
    {
        "x-amzn-sagemaker-accept",
        "x-amzn-sagemaker-prefix-aware-id",
        "x-amzn-sagemaker-session-id",
        "x-amzn-sagemaker-target-container-hostname",
        "x-amzn-sagemaker-target-variant",
    }
)
_FROM_CONTAINER = frozenset(
    {
        "content-type",
        "x-amzn-sagemaker-custom-attributes",
        "x-amzn-sagemaker-new-session-id",
        "x-amzn-sagemaker-closed-session-id",
    }
)
_REFUSED = {
    "x-amzn-sagemaker-inference-component": (
        "Inference Component Name header is not allowed for endpoints to which you don't plan to deploy inference "
        "components. Please remove Inference Component Name header; inference components are not supported yet."
    ),
    "x-amzn-sagemaker-enable-explanations": (
        "Endpoint {} has no explainer configured and does not support enable explanations header."
    ),
}
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {}. "
    "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


def request_id() -> str:
    """As ``core.ids.request_id``, without asking the kernel for randomness: this runs for every invocation."""
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def container_head(
    headers: Headers, options: Mapping[str, str], length: int, streams: bool, session: str | None
) -> bytes:
    """The head of a container's request: "SageMaker strips all POST headers except those supported by the API".

    ``options``: the x-amzn-sagemaker-… among the headers. ``streams``: what is accepted is said by a header of its own
    (InvokeEndpointWithResponseStream). ``session``: what the container calls it.
    """
    lines = ["POST /invocations HTTP/1.1\r\nhost: localhost:8080\r\n"]
    for name, value in headers:
        if name == "content-type" or (name == "accept" and not streams):
            lines.append(f"{name}: {value}\r\n")
    for name, value in options.items():
        if name not in _ROUTING:
            lines.append(f"{name}: {value}\r\n")
        elif streams and name == "x-amzn-sagemaker-accept":
            lines.append(f"accept: {value}\r\n")
    if session is not None:
        lines.append(f"x-amzn-sagemaker-session-id: {session}\r\n")
    lines.append(f"content-length: {length}\r\n\r\n")
    return "".join(lines).encode("latin-1")


def success_headers(headers: Headers, variant: str) -> Headers:
    """The headers of a container's answer that the client gets, and ours."""
    kept = [header for header in headers if header[0] in _FROM_CONTAINER]
    kept.append(("x-amzn-invoked-production-variant", variant))
    kept.append(("x-amzn-requestid", request_id()))
    return kept


def event_headers(headers: Headers) -> Headers:
    """``success_headers`` for an event stream, whose own content type is another than the container's."""
    named = [("x-amzn-sagemaker-content-type" if name == "content-type" else name, value) for name, value in headers]
    return [*named, ("content-type", "application/vnd.amazon.eventstream")]


def length_of(headers: Headers) -> int | None:
    """The announced length of a container's answer."""
    return next((int(value) for name, value in headers if name == "content-length"), None)


def error_answer(error: ApiError) -> tuple[int, Headers, bytes]:
    """Status, headers and body of ``error``; its member is spelt ``Message`` in this service's model."""
    body: dict[str, Any] = {"Message": error.message, **error.fields}
    headers = [
        ("content-type", "application/json"),
        ("x-amzn-errortype", error.code),
        ("x-amzn-requestid", request_id()),
    ]
    return error.status, headers, json.dumps(body).encode()


def validation_error(message: str) -> ApiError:
    """This service's ValidationError (not ValidationException)."""
    return ApiError("ValidationError", message, 400)


def oversize() -> ApiError:
    return validation_error(f"Request {request_id()} has oversize body.")


def stream_error(code: str, words: str) -> ApiError:
    """What ends a stream of events before its time (API reference, ModelStreamError). ``code``: its ErrorCode."""
    return ApiError("ModelStreamError", words, 400, {"ErrorCode": code})


def stream_failure() -> ApiError:
    """What ends a stream of events that this router cannot go on with."""
    words = "The stream processing failed because the router is stopping. Try your request again."
    return ApiError("InternalStreamFailure", words, 500)


def session_not_found(session: str, endpoint: str) -> ApiError:
    """For sessions that were closed, have expired, went with their instance, or never were."""
    return validation_error(
        f"Session {session} of endpoint {endpoint} not found or expired. Create one with SessionId NEW_SESSION."
    )


def refuse_options(endpoint: str, options: Mapping[str, str], streams: bool) -> None:
    """Raises ValidationError for what is asked by header but not there yet, or never of this operation."""
    for name, words in _REFUSED.items():
        if name in options:
            raise validation_error(words.format(endpoint))
    if streams and options.get("x-amzn-sagemaker-session-id") == "NEW_SESSION":
        raise validation_error(
            "A stateful session cannot be created with InvokeEndpointWithResponseStream. Create it with InvokeEndpoint."
        )


def target_model(endpoint: str, options: Mapping[str, str], many: bool) -> str:
    """The TargetModel; empty where the variant has one model, ``many`` being false. Raises ValidationError."""
    target = below(options.get(TARGET_MODEL, ""))
    if target and not many:
        words = f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model header."
        raise ApiError("ValidationError", words, 400, {"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED"})
    if not many:
        return ""
    if not target:
        raise validation_error(f"Request {request_id()} is missing a target model header.")
    if "x-amzn-sagemaker-session-id" in options:
        raise validation_error(f"Endpoint {endpoint} is a multi-model endpoint and does not support sessions.")
    if why := refusal(target):
        raise validation_error(f"TargetModel {target[:200]!r} {why}.")
    return target


def not_found(name: str, account: str) -> ApiError:
    """Also for an endpoint that is still being created: AWS's data plane does not know it yet."""
    return validation_error(f"Endpoint {name} of account {account} not found.")


def asynchronous(name: str) -> ApiError:
    """ "The endpoint can only receive asynchronous invocations" (Developer Guide, "Asynchronous inference")."""
    return validation_error(
        f"Endpoint {name} is an asynchronous endpoint and can only receive asynchronous invocations. "
        "Use InvokeEndpointAsync."
    )


def variant_not_found(variant: str, endpoint: str) -> ApiError:
    return validation_error(f"Variant {variant} of endpoint {endpoint} not found.")


def denied(arn: str, action: str, resource: str, reason: str) -> ApiError:
    """``reason``: as ``access.decisions`` words it."""
    message = f"User: {arn} is not authorized to perform: {action} on resource: {resource} {reason}"
    return ApiError("AccessDeniedException", message, 403)


def unavailable(words: str) -> ApiError:
    return ApiError("ServiceUnavailable", words, 503)


def model_error(
    endpoint: Endpoint, account: str, status: int, body: bytes | None, container: str = "primary"
) -> ApiError:
    """A container's answer ``status`` that is no success; ``body`` None if it was too long to quote."""
    kind = "client" if 400 <= status < 500 else "server"
    original = "" if body is None else body.decode("utf-8", "replace")
    said = f'with message "{original}"' if body is not None else "and could not load the entire response body"
    words = f"Received {kind} error ({status}) from {container} {said}."
    return model_failure(endpoint, account, words, status, original)


def model_failure(endpoint: Endpoint, account: str, words: str, status: int, original: str = "") -> ApiError:
    """ModelError in ``words``, and where to read more; ``status`` and ``original``: what the container answered."""
    region = endpoint.region
    place = (
        f"See https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        f"#logEventViewer:group={endpoint.log_group} in account {account} for more information."
    )
    fields: Mapping[str, Any] = {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if 400 <= status < 500 else "INTERNAL_FAILURE_FROM_MODEL",
        "LogStreamArn": build("logs", region, account, f"log-group:{endpoint.log_group}"),
        "OriginalMessage": original,
        "OriginalStatusCode": status,
    }
    return ApiError("ModelError", f"{words} {place}", 424, fields)


def timed_out(endpoint: Endpoint, account: str, container: str = "primary") -> ApiError:
    """ "A customer's model containers must respond to requests within 60 seconds"."""
    return model_error(endpoint, account, 0, _TIMED_OUT.format(container).encode(), container)
