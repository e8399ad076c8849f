"""What control tells the process that carries a batch transform job's data, and what that leaves for control.

One folder an instance:

    order.json   an :class:`Order`
    objects      one line an object: a JSON array of bucket, key, and the key of its output
    progress     one line for each thing that is over, in JSON (:class:`Progress`); it only grows
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ORDER, OBJECTS, PROGRESS = "order.json", "objects", "progress"
MIB = 1 << 20
DEFAULT_PAYLOAD_MIB, DEFAULT_CONCURRENT = 6, 1
MOST_MIB = 100
"""MaxPayloadInMB, and that times MaxConcurrentTransforms (API reference, CreateTransformJob)."""
FAILED = 3
"""The exit status of a process that did all it could, and for which some objects failed; 1 is that of a bug."""
SINGLE, MULTI = "SingleRecord", "MultiRecord"
CSV = "text/csv"
JSON_TYPES = ("application/json", "application/jsonlines")


def base_type(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


class Item(NamedTuple):
    """One object. ``target``: the key of its output."""

    bucket: str
    key: str
    target: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Order:
    """One instance's part of a job.

    ``door``: the URL of this server; its credentials are where AWS_CONTAINER_CREDENTIALS_FULL_URI says.
    ``containers``: name and address (``unix:/path``, ``tcp:host:port``) of each, in the order they are asked.
    ``bucket``: of the output. ``payload_mib``, ``concurrent``, ``strategy``: None where the container or the default
    decides. ``timeout``: seconds for an invocation.
    """

    door: str
    region: str
    containers: tuple[tuple[str, str], ...]
    bucket: str
    kms_key: str = ""
    content_type: str = ""
    accept: str = ""
    gzip: bool = False
    split: str = "None"
    assemble: str = "None"
    strategy: str | None = None
    payload_mib: int | None = None
    concurrent: int | None = None
    timeout: int = 600
    retries: int = 3
    input_filter: str = "$"
    output_filter: str = "$"
    join: bool = False

    @property
    def processes(self) -> bool:
        """Whether records are looked into."""
        return self.join or self.input_filter != "$" or self.output_filter != "$"

    def dump(self) -> str:
        return json.dumps(asdict(self))


def order_of(text: str) -> Order:
    """The inverse of ``dump``."""
    found: dict[str, Any] = json.loads(text)
    found["containers"] = tuple((name, address) for name, address in found["containers"])
    return Order(**found)


def items_of(lines: Iterable[str]) -> list[Item]:
    """The objects of the file of that name."""
    return [Item(*json.loads(line)) for line in lines]


@dataclass(slots=True)
class Progress:
    """``over``: objects that are over, by their place in the list. ``faults``: why some of them failed, in order.

    ``ended``: why the rest is not worth trying. ``uploads``: (bucket, key, id) of those that were begun and not ended.
    """

    over: set[int] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    ended: str = ""
    uploads: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def reason(self) -> str:
        """The first thing that went wrong."""
        return self.faults[0] if self.faults else self.ended


def progress_in(folder: Path) -> Progress:
    """What the file says; a last line that is torn is none."""
    found = Progress()
    try:
        lines = (folder / PROGRESS).read_text(errors="replace").split("\n")[:-1]
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # torn by a kill, and gone on from by the next process
        if "began" in said:
            found.uploads.add(tuple(said["began"]))
        if "gone" in said:
            found.uploads.discard(tuple(said["gone"]))
        if "over" in said:
            found.over.add(said["over"])
        if "fault" in said:
            found.faults.append(said["fault"])
        found.ended = said.get("ended", found.ended)
    return found
