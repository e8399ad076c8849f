"""Where the inputs of a job lie, on this machine and in its containers. Pure.

An input is a folder of links to the stored bytes, mounted at its LocalPath below a private layer (see
``instance.inputs.files``). Inputs may lie in one another, and then share the folder and mount of the outermost. One
that an output lies in, or that lies in an output, is copied into the container's own /opt/ml instead: what a job
writes there is to be uploaded, so it must not go into a layer. So is one that a pipe lies in.

In Pipe mode the data of epoch N flows through the pipe LocalPath_N, as that of a channel does in training; AWS says
nowhere where the pipes of processing jobs are.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wildsage.runtimes.base import Inside, Mount
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.inputs.channel import Channel, Mode, Origin
from wildsage.services.sagemaker.processing.rules import outputs_of, path_of, within
from wildsage.store.codec import Document

_FOLDER = "inputs"
"""In an instance's folder; not in its ``ml``, which the container has as its own."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An input. ``path``: where it is in the container. ``root``: the input whose mount it is in; empty if copied."""

    path: str
    root: str
    source: Document

    @property
    def copied(self) -> bool:
        return not self.root

    def folder(self, instance: Path, roots: Sequence[str]) -> Path:
        """Where its files are put."""
        if self.copied:
            return instance / "ml" / self.path.removeprefix(f"{Inside.ML}/")
        return instance / _FOLDER / str(roots.index(self.root)) / self.path.removeprefix(self.root).lstrip("/")

    def channel(self, host: Host, count: int) -> Channel:
        """Its objects, as one of ``count`` instances gets them."""
        shared = self.source.get("S3DataDistributionType") == "ShardedByS3Key"
        index, of = (host.index, count) if shared else (0, 1)
        compression = {"CompressionType": self.source.get("S3CompressionType", "None")}
        name = self.path.removeprefix(f"{Inside.ML}/")
        origin, mode = Origin(self.source["S3DataType"]), Mode(self.source["S3InputMode"])
        return Channel(name, mode, origin, self.source, compression, index, of)


def placed(document: Document) -> list[Placed]:
    """The inputs in File mode that SageMaker manages, outer ones first."""
    written = [path_of(each["S3Output"]["LocalPath"]) for each in outputs_of(document) if not each.get("AppManaged")]
    pipes = [posixpath.dirname(each.path) for each in piped(document)]
    found: list[Placed] = []
    roots: list[str] = []
    for source in sorted(_managed(document, Mode.FILE), key=lambda each: path_of(each["LocalPath"])):
        path = path_of(source["LocalPath"])
        root = ""
        nested = any(within(path, output) or within(output, path) for output in written)
        if not nested and not any(within(pipe, path) for pipe in pipes):
            root = next((each for each in roots if within(path, each)), path)
            if root == path:
                roots.append(root)
        found.append(Placed(path, root, source))
    return found


def piped(document: Document) -> list[Placed]:
    """The inputs in Pipe mode that SageMaker manages; ``path`` is what the names of the pipes begin with."""
    return [Placed(path_of(source["LocalPath"]), "", source) for source in _managed(document, Mode.PIPE)]


def _managed(document: Document, mode: Mode) -> list[Document]:
    given = [each["S3Input"] for each in document.get("ProcessingInputs") or () if not each.get("AppManaged")]
    return [source for source in given if source["S3InputMode"] == mode]


def roots(found: Sequence[Placed]) -> list[str]:
    """The paths that are mounted."""
    return list(dict.fromkeys(each.root for each in found if each.root))


def mounts(document: Document, instance: Path) -> tuple[Mount, ...]:
    """What of an instance's folder its container has as inputs."""
    paths = roots(placed(document))
    return tuple(Mount(instance / _FOLDER / str(number), path, layered=True) for number, path in enumerate(paths))
