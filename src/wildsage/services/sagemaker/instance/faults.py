"""What went wrong below, as a FailureReason."""

from __future__ import annotations

import errno

from wildsage.core.errors import ApiError, ClientFault, InternalFault, JobFault

_FULL = (errno.ENOSPC, errno.EDQUOT)


def of_disk(error: OSError, doing: str) -> JobFault:
    """``doing``: what was under way ("downloading the input data")."""
    if error.errno in _FULL:
        return InternalFault(
            f"InternalServerError: No space left on the disk of the data directory while {doing}. "
            "Free some space, or start the server with --data on a larger disk, and try again."
        )
    return InternalFault(f"InternalServerError: {type(error).__name__} while {doing}: {error}")


def of_download(error: ApiError, uri: str, role_arn: str, region: str) -> JobFault:
    """S3 refused to list or give what the caller named; in AWS's words where they are known."""
    bucket = uri.removeprefix("s3://").partition("/")[0]
    if error.code in ("NoSuchBucket", "404"):
        return no_objects(uri, role_arn, region, f" ({error.message})")
    return ClientFault(
        f"ClientError: Data download failed:Could not download {uri}: {error.message} ({error.code}). Please ensure "
        f'that the role "{role_arn}" has "s3:ListBucket" and "s3:GetObject" permissions on bucket "{bucket}".'
    )


def no_objects(uri: str, role_arn: str, region: str, more: str = "") -> ClientFault:
    """The words of AWS for a prefix under which nothing lies."""
    bucket = uri.removeprefix("s3://").partition("/")[0]
    return ClientFault(
        f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({region}), that objects exist under that S3 "
        f'prefix, and that the role "{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".{more}'
    )
