"""S3 URIs and the layout of an instance's folder; pure but for the look at symbolic links."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wildsage.core.errors import ClientFault, ValidationError

SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket and a key or key prefix."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    def under(self, path: str) -> Location:
        """A key below this one; one slash between them however the prefix ends."""
        prefix = self.key.rstrip("/")
        return Location(self.bucket, f"{prefix}/{path}" if prefix else path)


def parse(uri: str) -> Location:
    """``s3://bucket/key``; the key may be empty. Raises ValueError."""
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise ValueError(f"not an S3 URI: {uri!r}")
    return Location(bucket, key)


def as_s3(uri: str) -> str:
    """https:// as S3 serves it, by the bucket's name or with it as the first part of the path, as s3://; else as is."""
    if not uri.startswith("https://"):
        return uri
    host, _, path = uri.removeprefix("https://").partition("/")
    bucket, dot, rest = host.partition(".s3")
    return f"{SCHEME}{bucket}/{path}" if dot and rest[:1] in (".", "-") else f"{SCHEME}{path}"


def parse_any(uri: str, named: str) -> Location:
    """As ``parse``, of what ``as_s3`` makes of it. Raises ValidationError that says how ``named`` should look."""
    try:
        return parse(as_s3(uri))
    except ValueError:
        raise ValidationError(
            f"{named} is not an S3 URI: {uri}. Give it the form s3://bucket/key or https://bucket.s3.amazonaws.com/key."
        ) from None


def code(uri: str, named_by: str) -> Location:
    """Where the source archive lies that ``named_by`` (a hyperparameter or variable) points to; raises ClientFault."""
    try:
        found = parse(uri)
    except ValueError:
        found = None
    if found is None or not found.key:
        raise ClientFault(f'ClientError: {named_by} is "{uri}"; it must have the form s3://bucket/key of a tar.gz.')
    return found


def relative(prefix: str, key: str) -> str:
    """Where an object of an S3Prefix source lies in its channel's folder.

    The prefix goes away; an object that is the prefix itself keeps its last name.  Raises ClientFault for a key that
    cannot be a path.
    """
    path = key.removeprefix(prefix).lstrip("/") or key.rstrip("/").rpartition("/")[2]
    parts = path.rstrip("/").split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in path:
        raise ClientFault(
            f'ClientError: Data download failed:The object key "{key}" cannot be a path in File mode. '
            "Rename the object so that no part between slashes is empty, '.' or '..'."
        )
    return path


def inside(root: Path, path: str) -> Path:
    """``root/path``, refusing symbolic links on the way: what a container left there must not lead out of its folder.

    ``root`` itself is trusted. Raises ClientFault.
    """
    found = root
    for part in path.split("/"):
        found = found / part
        if found.is_symlink():
            raise ClientFault(
                f"AlgorithmError: /opt/ml/{path} is a symbolic link; write to the folder itself, so that its files "
                "can be uploaded."
            )
    return found
