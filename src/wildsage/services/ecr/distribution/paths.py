"""Paths of the OCI distribution API. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from wildsage.services.ecr.distribution.refusals import Refusal, no_such_path
from wildsage.services.ecr.names import NAME

_LONGEST_NAME = 256
_MOST_PARAMETERS = 100
_PATHS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("base", r"/v2/?"),
        ("catalog", r"/v2/_catalog"),
        ("tags", r"/v2/(?P<name>.+)/tags/list"),
        ("manifest", r"/v2/(?P<name>.+)/manifests/(?P<of>[^/]+)"),
        ("uploads", r"/v2/(?P<name>.+)/blobs/uploads/?"),
        ("upload", r"/v2/(?P<name>.+)/blobs/uploads/(?P<of>[^/]+)"),
        ("blob", r"/v2/(?P<name>.+)/blobs/(?P<of>[^/]+)"),
        ("referrers", r"/v2/(?P<name>.+)/referrers/(?P<of>[^/]+)"),
    )
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a path is about. ``of``: a digest, a tag, an upload's id."""

    kind: str
    name: str = ""
    of: str = ""


def read(path: str) -> Place:
    """``path`` as it was sent. Raises Refusal for what is no path of the API, or no name of a repository."""
    text = unquote(path, errors="replace")
    for kind, pattern in _PATHS:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        parts = found.groupdict()
        name = parts.get("name", "")
        if "name" in parts and (not NAME.fullmatch(name) or not 2 <= len(name) <= _LONGEST_NAME):
            raise Refusal(
                "NAME_INVALID",
                f"{name[:100]!r} is not a name of a repository: small letters, digits and single . _ / or dashes "
                "between them, 2 to 256 characters",
                400,
            )
        return Place(kind, name, parts.get("of", ""))
    raise no_such_path()


def query_of(text: str) -> dict[str, str]:
    """The parameters of a request; the first of a name counts. Raises Refusal for too many."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise Refusal("UNSUPPORTED", f"A request has at most {_MOST_PARAMETERS} parameters.", 400) from None
    return dict(reversed(pairs))
