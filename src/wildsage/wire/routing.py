"""Which operation a request asks for.

Every protocol says it in another place: X-Amz-Target (JSON), Action (query), the path (RPC v2), or method, path, query
and headers together (REST; S3 tells a good part of its operations apart by the names in the query alone).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import Request
from wildsage.wire.model import Operation, ServiceModel, load
from wildsage.wire.names import virtual_bucket
from wildsage.wire.protocols.base import Protocol
from wildsage.wire.protocols.bindings import parse_query
from wildsage.wire.protocols.query import read_action
from wildsage.wire.timestamps import Malformed

Match = tuple[Operation, Mapping[str, str]]


async def match(service: ServiceModel, protocol: Protocol, request: Request) -> Match:
    """The operation and the labels of its path, decoded.

    Raises ApiError with the code AWS answers for an unknown one: UnknownOperationException, InvalidAction, or, from
    S3, MethodNotAllowed.
    """
    if protocol.name == "json":
        return _by_target(service, request), {}
    if protocol.name == "query":
        return await _by_action(service, request), {}
    if protocol.name == "smithy-rpc-v2-cbor":
        return _by_rpc_path(service, request), {}
    return match_rest(service, request)


def _by_target(service: ServiceModel, request: Request) -> Operation:
    target = request.header("x-amz-target") or ""
    prefix, _, name = target.rpartition(".")
    if prefix != service.target_prefix or name not in service.operations:
        raise ApiError("UnknownOperationException", f"The operation {target[:200]!r} is not known to {service.name}.")
    return service.operations[name]


async def _by_action(service: ServiceModel, request: Request) -> Operation:
    try:
        name, version = await read_action(service, request)
    except Malformed as error:
        raise ApiError("MalformedInput", str(error)) from error
    if not name:
        raise ApiError("MissingAction", "The request is missing an action or a required parameter.")
    if name not in service.operations:
        version = version or service.api_version
        raise ApiError("InvalidAction", f"Could not find operation {name[:200]} for version {version[:40]}")
    return service.operations[name]


def _by_rpc_path(service: ServiceModel, request: Request) -> Operation:
    parts = request.path.split("/")
    if len(parts) < 5 or parts[-4] != "service" or parts[-2] != "operation" or parts[-1] not in service.operations:
        raise ApiError("UnknownOperationException", f"No operation of {service.name} has this path.", 404)
    return service.operations[parts[-1]]


@dataclass(frozen=True, slots=True)
class _Route:
    """One REST operation. ``segments``: the template's path. ``literals``: the query its template demands.

    ``query`` and ``headers``: names of required members, which tell apart what the template does not (PutObject,
    CopyObject, UploadPart and UploadPartCopy are all PUT /{Bucket}/{Key+}).
    """

    name: str
    segments: tuple[str, ...]
    literals: tuple[tuple[str, str], ...]
    query: frozenset[str]
    headers: frozenset[str]
    deprecated: bool

    @property
    def rank(self) -> tuple[int, int, int, bool]:
        """The greater, the more it demands."""
        fixed = sum(not segment.startswith("{") for segment in self.segments)
        return fixed, len(self.literals), len(self.query) + len(self.headers), not self.deprecated


@functools.cache
def _routes(service: str) -> Mapping[str, tuple[_Route, ...]]:
    """Routes by method, the most demanding first."""
    routes: dict[str, list[_Route]] = {}
    for operation in load(service).operations.values():
        path, _, query = operation.http_uri.partition("?")
        required: dict[str, list[str]] = {"querystring": [], "header": []}
        shape = operation.input
        for name in shape.required if shape else ():
            member = shape.members[name] if shape else None
            if member is not None and member.location in required:
                required[member.location].append(member.wire_name or name)
        route = _Route(
            operation.name,
            tuple(path.strip("/").split("/")),
            tuple((key, value) for key, _, value in (pair.partition("=") for pair in query.split("&") if pair)),
            frozenset(required["querystring"]),
            frozenset(name.lower() for name in required["header"]),
            operation.deprecated,
        )
        routes.setdefault(operation.http_method, []).append(route)
    return {method: tuple(sorted(found, key=lambda r: r.rank, reverse=True)) for method, found in routes.items()}


def match_rest(service: ServiceModel, request: Request) -> Match:
    """REST routing; needs no body, so it is not a coroutine."""
    path = request.path
    is_s3 = service.name == "s3"
    bucket = virtual_bucket(request.header("host") or "") if is_s3 else None
    if bucket is not None:
        path = f"/{bucket}{path}"
    segments = path.split("/")[1:]
    if not is_s3 or len(segments) == 2:
        segments = segments[:-1] if segments[-1] == "" and len(segments) > 1 else segments
    try:
        query = parse_query(request.query)
        headers = {key for key, _ in request.headers}
        fitting: list[tuple[_Route, dict[str, str]]] = []
        for route in _routes(service.name).get(request.method, ()):
            # What the query lacks rules out most of S3's routes, and at once.
            if not _demands_met(route, query, headers, is_s3):
                continue
            labels = _labels(route, segments)
            if labels is not None:
                fitting.append((route, labels))
    except Malformed as error:
        raise ApiError("InvalidURI", "Couldn't parse the specified URI.") from error
    if not fitting:
        raise _unknown(service, request)
    named = query.get("x-id", [""])[0]
    route, labels = next(((r, found) for r, found in fitting if r.name == named), fitting[0])
    return service.operations[route.name], labels


def _labels(route: _Route, segments: list[str]) -> dict[str, str] | None:
    """The labels' values if the path fits."""
    greedy = route.segments[-1].endswith("+}")
    if len(segments) < len(route.segments) or (len(segments) > len(route.segments) and not greedy):
        return None
    labels: dict[str, str] = {}
    for index, pattern in enumerate(route.segments):
        if not pattern.startswith("{"):
            if segments[index] != pattern:
                return None
        elif pattern.endswith("+}"):
            labels[pattern[1:-2]] = _decode("/".join(segments[index:]))
        elif segments[index]:
            labels[pattern[1:-1]] = _decode(segments[index])
        else:
            return None
    return labels


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict") if "%" in text else text
    except UnicodeDecodeError as error:
        raise Malformed("the path is not UTF-8") from error


def _demands_met(route: _Route, query: Mapping[str, list[str]], headers: set[str], strict: bool) -> bool:
    """``strict`` counts required members too; elsewhere a missing one is for validation to report."""
    for name, value in route.literals:
        if name not in query or (value and query[name][0] != value):
            return False
    return not strict or (query.keys() >= route.query and headers >= route.headers)


def _unknown(service: ServiceModel, request: Request) -> ApiError:
    if service.name == "s3":
        return ApiError(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            405,
            {"Method": request.method, "ResourceType": "SERVICE" if request.path == "/" else "OBJECT"},
        )
    words = f"No operation of {service.name} answers to {request.method} {request.path[:200]}."
    return ApiError("UnknownOperationException", words, 404)
