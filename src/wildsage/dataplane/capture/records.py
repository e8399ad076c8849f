"""One captured invocation as the line that AWS writes of it (Developer Guide, "View captured data"). Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Set
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted
from time import gmtime, strftime

_PIECE = 48 * 1024  # a multiple of three, so that base64 of the pieces is that of the whole


@dataclass(frozen=True, slots=True)
class Encodings:
    """The content types, in small letters, whose data is kept as text; None of them: in base64."""

    csv: Set[str]
    json: Set[str]

    def of(self, content_type: str) -> str:
        """CSV, JSON or BASE64; parameters such as ``charset`` do not count."""
        media = content_type.partition(";")[0].strip().lower()
        return "CSV" if media in self.csv else "JSON" if media in self.json else "BASE64"


@dataclass(slots=True)
class Side:
    """What was asked, or what was answered."""

    content_type: str
    data: bytes


@dataclass(slots=True)
class Record:
    """One invocation. ``input`` or ``output`` is None where it is not to be kept; ``at``: epoch seconds."""

    event: str
    at: float
    encodings: Encodings
    input: Side | None
    output: Side | None
    attributes: str | None = None
    inference: str | None = None


def pieces(record: Record) -> Iterator[bytes]:
    """The line with its end, in pieces that each take little time however large the record is."""
    start = b'{"captureData":{'
    for name, mode, side in (("endpointInput", "INPUT", record.input), ("endpointOutput", "OUTPUT", record.output)):
        if side is not None:
            encoding, text = _text(record.encodings.of(side.content_type), side.data)
            kind = quoted(side.content_type)
            yield start + f'"{name}":{{"observedContentType":{kind},"mode":"{mode}","data":"'.encode()
            yield from _base64(side.data) if text is None else _escaped(text)
            start = f'","encoding":"{encoding}"}}'.encode()
            yield start
            start = b","
    yield _metadata(record)


def _text(encoding: str, data: bytes) -> tuple[str, str | None]:
    """What is said to be text and is none is kept in base64 like all else."""
    if encoding != "BASE64":
        try:
            return encoding, data.decode()
        except UnicodeDecodeError:
            pass
    return "BASE64", None


def _escaped(text: str) -> Iterator[bytes]:
    for position in range(0, len(text), _PIECE):
        yield quoted(text[position : position + _PIECE])[1:-1].encode()


def _base64(data: bytes) -> Iterator[bytes]:
    for position in range(0, len(data), _PIECE):
        yield base64.b64encode(data[position : position + _PIECE])


def _metadata(record: Record) -> bytes:
    known = [f'"eventId":"{record.event}"']
    if record.attributes is not None:
        known.append(f'"customAttributes":[{quoted(record.attributes)}]')
    if record.inference is not None:
        known.append(f'"inferenceId":{quoted(record.inference)}')
    known.append(f'"inferenceTime":"{strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(record.at))}"')
    return f'}},"eventMetadata":{{{",".join(known)}}},"eventVersion":"0"}}\n'.encode()
