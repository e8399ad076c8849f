"""Refusals of reads and writes of objects, in S3's words (Amazon S3 API Reference, "Error responses")."""

from __future__ import annotations

from wildsage.core.errors import ApiError


def no_such_key(key: str) -> ApiError:
    return ApiError("NoSuchKey", "The specified key does not exist.", 404, {"Key": key})


def invalid_argument(message: str, name: str, value: str) -> ApiError:
    return ApiError("InvalidArgument", message, 400, {"ArgumentName": name, "ArgumentValue": value})


def invalid_request(message: str) -> ApiError:
    return ApiError("InvalidRequest", message, 400)


def bad_digest(name: str) -> ApiError:
    return ApiError("BadDigest", f"The {name} you specified did not match what we received.", 400)


def precondition_failed(condition: str) -> ApiError:
    return ApiError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        412,
        {"Condition": condition},
    )


def not_implemented(what: str) -> ApiError:
    """A part of S3 that is refused by name."""
    return ApiError(
        "NotImplemented",
        f"A header you provided implies functionality that is not implemented: {what}",
        501,
    )
