"""A channel: one source of data, as one instance of a job gets it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wildsage.store.codec import Document

FileSystems = Mapping[str, Path]
"""The file systems that this server knows: id → folder of this machine."""


class Mode(StrEnum):
    """How a channel's data is there for the container."""

    FILE = "File"
    FAST_FILE = "FastFile"
    PIPE = "Pipe"


class Origin(StrEnum):
    """What S3Uri names."""

    PREFIX = "S3Prefix"
    MANIFEST = "ManifestFile"
    AUGMENTED = "AugmentedManifestFile"
    FILE_SYSTEM = "FileSystemDataSource"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as one instance gets it: share ``index`` of ``count``, shuffled if there is a ``seed``.

    ``source``: the S3DataSource or FileSystemDataSource. ``document``: the whole of it, as in InputDataConfig.
    """

    name: str
    mode: Mode
    origin: Origin
    source: Document
    document: Document
    index: int
    count: int

    @property
    def uri(self) -> str:
        found: str = self.source["S3Uri"]
        return found

    @property
    def seed(self) -> int | None:
        shuffle = self.document.get("ShuffleConfig")
        return shuffle["Seed"] if shuffle else None

    @property
    def gzip(self) -> bool:
        return bool(self.document.get("CompressionType") == "Gzip")

    @property
    def recordio(self) -> bool:
        return bool(self.document.get("RecordWrapperType") == "RecordIO")
