"""Which fields of a create document are acted upon; anything else is refused by name rather than quietly dropped.

A field that would change what happens and that Wildsage cannot honour must not be accepted: its caller would believe
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wildsage.core.errors import Unsupported

Tree = Mapping[str, Any]

ANY: Tree = {"*": None}
"""Every field below: kept, described, and harmless."""


def refuse_beyond(document: Mapping[str, Any], accepted: Tree) -> None:
    """Raises Unsupported for the first field that is given and not accepted.

    ``accepted``: field → None (any value), a Tree (for a structure or the members of a list), or a tuple of the only
    values that can be honoured.  Absent, false, zero and empty values ask for nothing and pass.
    """
    for complaint in _beyond(document, accepted, ""):
        raise Unsupported(complaint)


def _beyond(value: Any, accepted: Any, path: str) -> Iterator[str]:
    if accepted is None or accepted is ANY or value in (None, False, 0, "", [], {}):
        return
    if isinstance(accepted, tuple):
        if value not in accepted:
            yield f"{path}={value} is not supported by Wildsage yet; it runs {' or '.join(map(str, accepted))}."
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _beyond(each, accepted, f"{path}[{number}]")
    else:
        for name, each in value.items():
            place = f"{path}.{name}" if path else name
            if name in accepted:
                yield from _beyond(each, accepted[name], place)
            elif each not in (None, False, 0, "", [], {}):
                yield f"{place} is not supported by Wildsage yet. Leave it out to run without it."


def unheeded(document: Mapping[str, Any]) -> str:
    """What a log should say of fields that are accepted and change nothing here; empty if there are none."""
    if document.get("VpcConfig"):
        return "VpcConfig is kept and described; it changes nothing here: instances reach what this machine reaches."
    return ""
