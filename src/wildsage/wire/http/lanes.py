"""How the objects process and control share the work on a large body: one moves the bytes, the other decides.

The objects process sends control the head of a request, with ``LANE_HEADER: withheld`` in the place of its body.
Control answers for good, or:

- ``200`` with ``FILE_HEADER``: the answer's body is a slice of a file, which the objects process sends;
- ``WANTED`` with ``LANE_HEADER: wanted``: the body may come. The objects process brings it to the disk and sends the
  head again, with ``LANE_HEADER`` saying where the bytes are; control takes them over and answers for good.

Clients cannot send these headers: the processes that face them take them out (``forwarding``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from wildsage.wire.http.messages import FileBody

LANE_HEADER: Final = "x-wildsage-body"
FILE_HEADER: Final = "x-wildsage-file"
WITHHELD: Final = "withheld"
WANTED: Final = "wanted"


def file_text(body: FileBody) -> str:
    """A slice of a file as the value of FILE_HEADER."""
    return json.dumps({"path": str(body.path), "offset": body.offset, "length": body.length})


def file_of(text: str) -> FileBody:
    """What ``file_text`` was given."""
    found = json.loads(text)
    return FileBody(Path(found["path"]), found["offset"], found["length"])
