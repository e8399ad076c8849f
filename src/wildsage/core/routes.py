"""The routing snapshot: everything a router needs to answer InvokeEndpoint, and the objects process to answer plain
reads and writes of S3 objects, while control is away.

Control compiles it from the store, writes it to ``DataDir.routes`` (one rename) and pushes it to every router; a router
acts on the newest version it has seen.  As JSON:

    {"version": 7, "account": "000000000000", "master": "<hex of the session master secret>",
     "keys": {"AKIA…": {"secret": "…", "arn": "arn:aws:iam::…:root", "user_id": "…",
                        "principal": "arn:aws:iam::…:root"}},
     "permissions": {"arn:aws:iam::…:root": {"user_id": "…", "policies": "{…}", "boundary": null,
                                            "context": {"aws:username": "…"}}},
     "objects": {"arn:aws:iam::…:root": {"user_id": "…", "read": {"allow": ["*"], "deny": []}, "write": {…}}},
     "endpoints": {
     "us-east-1/iris": {"name": "iris", "region": "us-east-1", "arn": "arn:aws:sagemaker:…",
         "status": "InService", "config": "iris-config", "log_group": "/aws/sagemaker/Endpoints/iris",
         "variants": [{"name": "AllTraffic", "weight": 1.0, "routing": "LEAST_OUTSTANDING_REQUESTS", "share": 1.0,
                       "instances": [{"id": "i-0abc", "address": "unix:/…/serve.sock", "containers": []}],
                       "capture": null, "mode": "", "config": "iris-config"}],
         "shadows": [], "tags": {"team": "a"}}
     }}

Each endpoint is a line of its own, without spaces, so that what has not changed is neither written nor read anew: with
1,000 endpoints that would hold a router for 20 ms at each change of one. Secrets are in it: the file's mode is 0600.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

_ENDPOINTS, _BETWEEN, _END = ',"endpoints":{\n', ",\n", "\n}}"

INVOKING = ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream")
"""What a router is asked to do, as actions of policies: plainly, and with the answer as a stream."""
EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
"""The policy of who may do anything."""

LEAST_OUTSTANDING, RANDOM = "LEAST_OUTSTANDING_REQUESTS", "RANDOM"
"""RoutingStrategy of a variant (API reference, ProductionVariantRoutingConfig)."""


SERIAL, DIRECT = "Serial", "Direct"
"""How the containers of an instance are used (API reference, InferenceExecutionConfig): in series, or each by name."""
MULTI_MODEL = "MultiModel"
"""Each instance has one container, which loads any number of models (API reference, ContainerDefinition, Mode)."""


@dataclass(frozen=True, slots=True)
class Container:
    """One of several of an instance. ``hostname``: ContainerHostname, or what it is called where that is not given."""

    hostname: str
    address: str


@dataclass(frozen=True, slots=True)
class Instance:
    """What answers ``/invocations``. ``address``: ``unix:/path`` or ``tcp:host:port``.

    ``containers``: all of an instance that has several, in the model's order; ``address`` is then the first one's.
    """

    id: str
    address: str
    containers: tuple[Container, ...] = ()


@dataclass(frozen=True, slots=True)
class Capture:
    """What is kept of the requests to a variant and its answers (API reference, DataCaptureConfig).

    ``percent``: of the requests. ``destination``: ``s3://bucket/prefix``, written to as ``role`` (an ARN).
    ``csv``, ``json``: the content types that are kept as text; everything else is kept in base64.
    """

    percent: int
    destination: str
    role: str
    kms_key: str = ""
    input: bool = True
    output: bool = True
    csv: tuple[str, ...] = ()
    json: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant, or its part in one of the two fleets while an endpoint moves from one to the other.

    ``weight`` as in DesiredWeightsAndCapacities: any number from 0; what counts is its part of the sum over all entries
    of the endpoint. ``routing``: RoutingStrategy; routers take all but RANDOM for the least outstanding requests.
    ``share``: from 0 to 1, how much of what is asked of this variant by name (TargetVariant) this entry answers,
    relative to the other entry of the same name, if there is one. ``capture``: None where nothing is kept.
    ``concurrency``: of a serverless variant, how many requests it takes at a time; 0 of one that has instances.
    ``mode``: how the several containers of each instance are used, SERIAL or DIRECT; empty where each has one.
    ``config``: EndpointConfigName of the fleet it is of, by which it is counted apart from the other.
    """

    name: str
    weight: float
    instances: tuple[Instance, ...] = ()
    routing: str = LEAST_OUTSTANDING
    share: float = 1.0
    capture: Capture | None = None
    concurrency: int = 0
    mode: str = ""
    config: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. ``status``: EndpointStatus as DescribeEndpoint shows it; invoked while it has instances.

    ``shadows``: variants that get a copy of a part of the requests and whose answers nobody sees. That part is a
    shadow's ``weight`` over the sum of the weights of ``variants``, at most all. ``asynchronous``: control hands its
    requests to the instances, out of a queue; routers refuse what they are sent for it. ``tags``: for policies.
    """

    name: str
    region: str
    arn: str
    status: str
    config: str
    log_group: str
    variants: tuple[Variant, ...] = ()
    shadows: tuple[Variant, ...] = ()
    asynchronous: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """A long-lived access key and whom it stands for (see ``core.caller.Caller``)."""

    secret: str
    arn: str
    user_id: str
    principal: str


@dataclass(frozen=True, slots=True)
class Invoker:
    """What decides about a principal's invocations; one without may invoke nothing.

    ``user_id``: the unique id of the user or role, without a session's name, so that one made anew under the same name
    is another. ``policies``, ``boundary``: what its policies and its permissions boundary (None where it has none) say
    of ``INVOKING``, as policy documents; empty where they say nothing. ``context``: the condition keys (in lower case)
    that it has whichever of its sessions asks.
    """

    user_id: str
    policies: str
    boundary: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Permission:
    """Where a principal may plainly do one action; ARN patterns with ``*`` and ``?``.

    ``deny`` wins. ``within``: what the principal's permissions boundary allows, beyond which ``allow`` does not count;
    None where it has no boundary.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    within: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ObjectGrant:
    """Which objects a principal may plainly read (``s3:GetObject``) and write (``s3:PutObject``).

    It never says no: what it does not allow, control decides. ``user_id``: the unique id of the user or role, without a
    session's name, so that one made anew under the same name is another.
    """

    user_id: str
    read: Permission
    write: Permission


@dataclass(frozen=True, slots=True)
class Routes:
    """One version of the whole. ``version`` only ever grows. ``endpoints`` are keyed by :func:`endpoint_key`."""

    version: int
    account: str
    master: str
    keys: Mapping[str, Key] = field(default_factory=dict)
    permissions: Mapping[str, Invoker] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    objects: Mapping[str, ObjectGrant] = field(default_factory=dict)

    def to_json(self) -> str:
        return Writer().write(self)


class Writer:
    """Writes one snapshot after the other as JSON, an endpoint a line; one that is the same object keeps its line."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[Endpoint, str]] = {}

    def write(self, routes: Routes) -> str:
        lines = {}
        for key, endpoint in routes.endpoints.items():
            known = self._lines.get(key)
            if known is None or known[0] is not endpoint:
                known = endpoint, f"{_dumps(key)}:{_dumps(asdict(endpoint))}"
            lines[key] = known
        self._lines = lines
        head = asdict(replace(routes, endpoints={}))
        del head["endpoints"]
        return f"{_dumps(head)[:-1]}{_ENDPOINTS}{_BETWEEN.join(line for _, line in lines.values())}{_END}"


class Reader:
    """Reads one snapshot after the other; an endpoint whose line is as it was is the same object."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Endpoint]] = {}

    def read(self, text: str | bytes) -> Routes:
        """The inverse of ``Writer.write``, however it is laid out.

        Raises ValueError, naming what is missing, for anything else.
        """
        head, separator, rest = (text.decode() if isinstance(text, bytes) else text).partition(_ENDPOINTS)
        try:
            if separator and rest.endswith(_END):  # no text in JSON has a line end in it
                data = json.loads(f"{head}}}")
                lines = rest.removesuffix(_END).split(_BETWEEN)
            else:
                data = json.loads(text)
                lines = [f"{_dumps(key)}:{_dumps(endpoint)}" for key, endpoint in data["endpoints"].items()]
            known = {line: self._known.get(line) or _line(line) for line in lines if line}
            read = Routes(
                version=int(data["version"]),
                account=data["account"],
                master=data["master"],
                keys={name: Key(**key) for name, key in data["keys"].items()},
                permissions={name: Invoker(**each) for name, each in data["permissions"].items()},
                endpoints=dict(known.values()),
                objects={
                    name: ObjectGrant(grant["user_id"], _permission(grant["read"]), _permission(grant["write"]))
                    for name, grant in data.get("objects", {}).items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a routing snapshot: {error!r}") from error
        self._known = known
        return read


def endpoint_key(region: str, name: str) -> str:
    """Endpoint names are unique within a region."""
    return f"{region}/{name}"


def counted_as(variant: str, container: str, config: str) -> str:
    """What routers count under: ``<variant>[/<container>][@<config>]``, of names that have no such sign."""
    return f"{variant}{container and f'/{container}'}{config and f'@{config}'}"


def what_counted(name: str) -> tuple[str, str, str]:
    """The inverse of :func:`counted_as`."""
    of, _, config = name.partition("@")
    variant, _, container = of.partition("/")
    return variant, container, config


def from_json(text: str | bytes) -> Routes:
    """As ``Reader.read``."""
    return Reader().read(text)


def _dumps(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))


def _line(text: str) -> tuple[str, Endpoint]:
    ((key, endpoint),) = json.loads(f"{{{text}}}").items()
    return key, _endpoint(endpoint)


def _permission(data: Mapping[str, Any]) -> Permission:
    within = data.get("within")
    return Permission(tuple(data["allow"]), tuple(data["deny"]), None if within is None else tuple(within))


def _endpoint(data: Mapping[str, Any]) -> Endpoint:
    return Endpoint(**{**data, "variants": _variants(data["variants"]), "shadows": _variants(data.get("shadows", ()))})


def _variants(data: Iterable[Mapping[str, Any]]) -> tuple[Variant, ...]:
    return tuple(
        Variant(
            **{
                **item,
                "instances": tuple(map(_instance, item["instances"])),
                "capture": _capture(item.get("capture")),
            }
        )
        for item in data
    )


def _instance(data: Mapping[str, Any]) -> Instance:
    return Instance(**{**data, "containers": tuple(Container(**each) for each in data.get("containers", ()))})


def _capture(data: Mapping[str, Any] | None) -> Capture | None:
    return None if data is None else Capture(**{**data, "csv": tuple(data["csv"]), "json": tuple(data["json"])})
