"""S3's errors in its own words (Amazon S3 API Reference, "Error responses")."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wildsage.core.errors import ApiError
from wildsage.objects.base import NoSpace
from wildsage.objects.rules.errors import (
    bad_digest,
    invalid_argument,
    invalid_request,
    no_such_key,
    not_implemented,
    precondition_failed,
)
from wildsage.store.objecttables import NoBucket
from wildsage.store.uploads import NoUpload

__all__ = [
    "access_denied",
    "bad_digest",
    "invalid_argument",
    "invalid_request",
    "malformed_xml",
    "no_such_bucket",
    "no_such_key",
    "no_such_upload",
    "no_such_version",
    "not_implemented",
    "precondition_failed",
    "store_errors",
]


def no_such_bucket(bucket: str) -> ApiError:
    return ApiError("NoSuchBucket", "The specified bucket does not exist", 404, {"BucketName": bucket})


def no_such_version(key: str, version: str) -> ApiError:
    return ApiError("NoSuchVersion", "The specified version does not exist.", 404, {"Key": key, "VersionId": version})


def no_such_upload(upload: str) -> ApiError:
    return ApiError(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
        404,
        {"UploadId": upload},
    )


def access_denied(message: str = "Access Denied") -> ApiError:
    return ApiError("AccessDenied", message, 403)


def malformed_xml() -> ApiError:
    return ApiError(
        "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema", 400
    )


@contextmanager
def store_errors(bucket: str) -> Iterator[None]:
    """Turns what the store and the disk raise into S3's errors.

    S3 itself has no code for a full disk; 507 is what HTTP has for it, and clients do not retry it in vain.
    """
    try:
        yield
    except NoBucket:
        raise no_such_bucket(bucket) from None
    except NoUpload as error:
        raise no_such_upload(str(error)) from None
    except NoSpace as error:
        raise ApiError("InsufficientStorage", f"{error} Free some space and try again.", 507) from error
