"""What went wrong below, as a FailureReason."""

from __future__ import annotations

import errno
import os

from wildsage.core.errors import ApiError, CannotStart, ClientFault, InternalFault, JobFault
from wildsage.runtimes.base import LaunchSpec

_FULL = (errno.ENOSPC, errno.EDQUOT)
# What only names can be the cause of, and names come from the caller.
_NAMES = {
    errno.ENAMETOOLONG: "a name is longer than 255 bytes, or a path longer than 4,096",
    errno.EEXIST: "a name is that of two files, or of a file and of a folder",
    errno.EISDIR: "a name is that of a file and of a folder",
    errno.ENOTDIR: "a name is that of a file and of a folder",
    errno.ELOOP: "symbolic links lead to one another",
}
_SHOWN = 100


def of_disk(error: OSError, doing: str) -> JobFault:
    """``doing``: what was under way ("downloading the input data")."""
    if is_full(error):
        return InternalFault(
            f"InternalServerError: No space left on the disk of the data directory while {doing}. "
            "Free some space, or start the server with --data on a larger disk, and try again."
        )
    if error.errno in _NAMES:
        path = os.fsdecode(error.filename or "").rpartition("/ml/")[2]
        return ClientFault(f"ClientError: While {doing}: {_NAMES[error.errno]} (/opt/ml/{_cut(path)}).")
    return InternalFault(f"InternalServerError: {type(error).__name__} while {doing}: {error}")


def of_key(error: OSError, key: str) -> ClientFault | None:
    """Why an object cannot be the file that its key makes it; None if the key is not the cause."""
    if error.errno not in _NAMES:
        return None
    return ClientFault(
        f'ClientError: Data download failed:The object key "{_cut(key)}" cannot be a path in File mode: '
        f"{_NAMES[error.errno]}. Rename the object, or use Pipe mode."
    )


def of_start(error: CannotStart, what: str, spec: LaunchSpec) -> ClientFault:
    """An image without the program that it is run with, in the words that AWS has for it. ``what``: is to start."""
    option = f"--entrypoint {spec.entrypoint[0]} " if spec.entrypoint else ""
    command = " ".join((f"docker run {option}<image>", *spec.entrypoint[1:], *spec.argv))
    return ClientFault(
        f"CannotStartContainerError. Please ensure {what} starts correctly when invoked with '{command}'. "
        f"The container engine says: {error}"
    )


def is_full(error: OSError) -> bool:
    """Whether the disk is."""
    return error.errno in _FULL


def cure(error: ApiError, words: str) -> str:
    """``words`` with a blank before them, unless S3 refused for want of space, which is nobody's permission."""
    return "" if error.code == "InsufficientStorage" else f" {words}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


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
