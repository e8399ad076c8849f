"""The settings of an S3 upstream: another endpoint that keeps the objects of some or all buckets."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from wildsage.core.errors import SettingsError

NAME: Final = "WILDSAGE_S3_UPSTREAM"
_PORTS: Final = {"http": 80, "https": 443}
_KNOWN: Final = frozenset(
    f"{NAME}_{word}"
    for word in ("ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN", "REGION", "ADDRESSING", "BUCKETS", "CA", "SECONDS")
)


@dataclass(frozen=True, slots=True)
class S3Upstream:
    """``buckets``: patterns (``*`` and ``?``) of the names that are kept there.

    ``ca``: certificates of whom to trust beside the system's authorities.
    ``virtual_hosted``: a bucket is part of the host's name instead of the path.
    ``seconds``: how long the upstream may be silent.
    """

    scheme: str
    host: str
    port: int
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    region: str = "us-east-1"
    virtual_hosted: bool = False
    buckets: tuple[str, ...] = ("*",)
    ca: Path | None = None
    seconds: float = 60.0

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def holds_all(self) -> bool:
        return "*" in self.buckets

    def holds(self, bucket: str) -> bool:
        """Whether the bucket of that name is, or would be, the upstream's."""
        return any(fnmatch.fnmatchcase(bucket, pattern) for pattern in self.buckets)


def s3_upstream(environ: Mapping[str, str]) -> S3Upstream | None:
    """WILDSAGE_S3_UPSTREAM=https://host[:port] and the settings beside it; None where there is none.

    Raises SettingsError, also for settings beside it that nobody knows: they are usually misspelt.
    """
    beside = {name: value for name, value in environ.items() if name.startswith(f"{NAME}_")}
    url = environ.get(NAME, "")
    if beside and not url:
        raise SettingsError(f"{min(beside)} is set, but {NAME} is not; set it to the upstream's URL, or unset both")
    if unknown := sorted(beside.keys() - _KNOWN):
        raise SettingsError(f"{unknown[0]} is no setting; there are {', '.join(sorted(_KNOWN))}")
    if not url:
        return None
    scheme, host, port = _address(url)
    read = {name.removeprefix(f"{NAME}_"): value.strip() for name, value in beside.items() if value.strip()}
    for name in ("ACCESS_KEY", "SECRET_KEY"):
        if name not in read:
            raise SettingsError(f"{NAME} needs {NAME}_{name}: the key that the upstream knows this server by")
    addressing = read.get("ADDRESSING", "path")
    if addressing not in ("path", "virtual"):
        raise SettingsError(f"{NAME}_ADDRESSING must be path or virtual, not {addressing!r}")
    return S3Upstream(
        scheme=scheme,
        host=host,
        port=port,
        access_key=read["ACCESS_KEY"],
        secret_key=read["SECRET_KEY"],
        session_token=read.get("SESSION_TOKEN", ""),
        region=read.get("REGION", "us-east-1"),
        virtual_hosted=addressing == "virtual",
        buckets=tuple(filter(None, (each.strip() for each in read.get("BUCKETS", "*").split(",")))) or ("*",),
        ca=_file(read["CA"], scheme) if "CA" in read else None,
        seconds=_seconds(read.get("SECONDS", "60")),
    )


def _address(url: str) -> tuple[str, str, int]:
    words = f"{NAME} must be a URL such as https://minio.example.com:9000, not {url!r}"
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise SettingsError(f"{words}: {error}") from error
    if split.scheme not in _PORTS or not split.hostname:
        raise SettingsError(words)
    if split.path not in ("", "/") or split.query or split.fragment or split.username is not None:
        raise SettingsError(f"{words}: only scheme, host and port can be given")
    return split.scheme, split.hostname, port or _PORTS[split.scheme]


def _file(path: str, scheme: str) -> Path:
    if scheme != "https":
        raise SettingsError(f"{NAME}_CA is set, but {NAME} does not begin with https://")
    found = Path(path).absolute()
    if not found.is_file():
        raise SettingsError(f"{NAME}_CA must be a file of certificates (PEM); there is none at {path}")
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise SettingsError(f"{NAME}_SECONDS must be a number of seconds up to 3600, not {text!r}")
    return seconds
