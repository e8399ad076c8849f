"""AWS's service models, read from the JSON that botocore ships.

A model says everything the wire needs: operations, their HTTP form, shapes and constraints.  The file is read when a
service is first asked for, documentation is cut out of the text before it is parsed (it is half of it), and operations
and shapes become objects only when somebody touches them.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wildsage.wire.shipped import BOTOCORE

_DATA = BOTOCORE / "data"
# Only its text goes: taking the key away too would cost six times as long.
_DOCUMENTATION = re.compile(rb'"documentation":\s*"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_TRAITS = frozenset({"shape", "documentation"})
# botocore's PRIORITY_ORDERED_SUPPORTED_PROTOCOLS: what its clients choose first where a service speaks several.
_PREFERENCE = ("json", "rest-json", "rest-xml", "smithy-rpc-v2-cbor", "query", "ec2")
# SQS's awsQueryError traits, which botocore leaves out of its copy of the model (source: the Smithy model of SQS).
_SQS = "AWS.SimpleQueueService."
_QUERY_ERRORS = {
    "sqs": {
        "BatchEntryIdsNotDistinct": f"{_SQS}BatchEntryIdsNotDistinct",
        "BatchRequestTooLong": f"{_SQS}BatchRequestTooLong",
        "EmptyBatchRequest": f"{_SQS}EmptyBatchRequest",
        "InvalidBatchEntryId": f"{_SQS}InvalidBatchEntryId",
        "KmsAccessDenied": "KMS.AccessDeniedException",
        "KmsDisabled": "KMS.DisabledException",
        "KmsInvalidKeyUsage": "KMS.InvalidKeyUsageException",
        "KmsInvalidState": "KMS.InvalidStateException",
        "KmsNotFound": "KMS.NotFoundException",
        "KmsOptInRequired": "KMS.OptInRequired",
        "KmsThrottled": "KMS.ThrottlingException",
        "MessageNotInflight": f"{_SQS}MessageNotInflight",
        "PurgeQueueInProgress": f"{_SQS}PurgeQueueInProgress",
        "QueueDeletedRecently": f"{_SQS}QueueDeletedRecently",
        "QueueDoesNotExist": f"{_SQS}NonExistentQueue",
        "QueueNameExists": "QueueAlreadyExists",
        "TooManyEntriesInBatchRequest": f"{_SQS}TooManyEntriesInBatchRequest",
        "UnsupportedOperation": f"{_SQS}UnsupportedOperation",
    }
}


def _place(known: tuple[str, tuple[int, str, Any]]) -> int:
    return known[1][0]


class UnknownService(LookupError):
    """botocore has no model of that name."""


class Shape:
    """One shape as it appears at one place: the shape's own traits with those of the reference laid over them.

    ``kind``: structure, list, map, string, character, integer, long, float, double, boolean, blob or timestamp.
    ``traits``: the model's words as they stand (``min``, ``max``, ``pattern``, ``enum``, ``sensitive``, ``union``, …).
    ``wire_name``: locationName, or "" where the member's own name is used.
    ``location``: uri, querystring, header, headers, statusCode, or "" for the body.
    """

    __slots__ = (
        "_key",
        "_member",
        "_members",
        "_service",
        "_value",
        "_wires",
        "flattened",
        "kind",
        "location",
        "name",
        "required",
        "timestamp_format",
        "traits",
        "wire_name",
    )

    def __init__(self, service: ServiceModel, name: str, traits: Mapping[str, Any]) -> None:
        self._service = service
        self._members: dict[str, Shape] | None = None
        self._member: Shape | None = None
        self._key: Shape | None = None
        self._value: Shape | None = None
        self._wires: dict[str, tuple[int, str, Shape]] | None = None
        self.name = name
        self.traits = traits
        self.kind: str = traits["type"]
        self.wire_name: str = traits.get("locationName", "")
        self.location: str = traits.get("location", "")
        self.flattened: bool = traits.get("flattened", False)
        self.required: tuple[str, ...] = tuple(traits.get("required", ()))
        self.timestamp_format: str = traits.get("timestampFormat", "")

    def __repr__(self) -> str:
        return f"Shape({self.name}: {self.kind})"

    @property
    def members(self) -> Mapping[str, Shape]:
        """Of a structure, in the model's order; empty for everything else."""
        if self._members is None:
            refs: Mapping[str, Mapping[str, Any]] = self.traits.get("members", {})
            self._members = {name: self._service.resolve(ref) for name, ref in refs.items()}
        return self._members

    def known(self, found: Mapping[str, Any]) -> Iterator[tuple[str, Shape, Any]]:
        """Of a structure in a body: its members that ``found`` has under their wire names, in the model's order.

        Takes time for what is there and not for what could be: a million empty structures may come in one body.
        """
        if self._wires is None:
            inside = [(name, shape) for name, shape in self.members.items() if not shape.location]
            self._wires = {shape.wire_name or name: (at, name, shape) for at, (name, shape) in enumerate(inside)}
        wires = self._wires
        for wire, (_, name, shape) in sorted([(wire, wires[wire]) for wire in found.keys() & wires.keys()], key=_place):
            if found[wire] is not None:
                yield name, shape, found[wire]

    @property
    def member(self) -> Shape:
        """The element of a list."""
        if self._member is None:
            self._member = self._service.resolve(self.traits["member"])
        return self._member

    @property
    def key(self) -> Shape:
        """The key of a map."""
        if self._key is None:
            self._key = self._service.resolve(self.traits["key"])
        return self._key

    @property
    def value(self) -> Shape:
        """The value of a map."""
        if self._value is None:
            self._value = self._service.resolve(self.traits["value"])
        return self._value

    @property
    def payload(self) -> str:
        """The member that is the whole HTTP body, or ""."""
        return str(self.traits.get("payload", ""))

    @property
    def streaming(self) -> bool:
        return bool(self.traits.get("streaming", False))

    @property
    def document(self) -> bool:
        """Any JSON value, passed through untouched."""
        return bool(self.traits.get("document", False))

    @property
    def event_stream(self) -> bool:
        return bool(self.traits.get("eventstream", False))

    @property
    def error_code(self) -> str:
        """Of an exception: the code that clients see."""
        return str(self.traits.get("error", {}).get("code") or self.name)

    @property
    def error_status(self) -> int | None:
        """Of an exception: the modelled HTTP status."""
        status = self.traits.get("error", {}).get("httpStatusCode")
        return None if status is None else int(status)


class Operation:
    """One API operation.

    ``http_uri`` is the model's template with its literal query, e.g. ``/{Bucket}/{Key+}?uploads``. ``auth_type`` is "",
    "none" (anyone may call) or "v4-unsigned-body". ``checksum`` holds the httpChecksum trait.
    """

    __slots__ = (
        "_event_stream",
        "_raw",
        "auth_type",
        "deprecated",
        "host_prefix",
        "http_code",
        "http_method",
        "http_uri",
        "idempotent",
        "input",
        "name",
        "output",
        "read_only",
        "result_wrapper",
        "service",
    )

    def __init__(self, service: ServiceModel, name: str, raw: Mapping[str, Any]) -> None:
        http = raw["http"]
        self._raw = raw
        self._event_stream: str | None = None
        self.service = service
        self.name = name
        self.http_method: str = http["method"]
        self.http_uri: str = http["requestUri"]
        self.http_code: int = http.get("responseCode", 200)
        self.auth_type: str = raw.get("authtype", "")
        self.host_prefix: str = raw.get("endpoint", {}).get("hostPrefix", "")
        self.deprecated: bool = raw.get("deprecated", False)
        self.idempotent: bool = raw.get("idempotent", False)
        self.read_only: bool = raw.get("readonly", False)
        self.input: Shape | None = service.resolve(raw["input"]) if "input" in raw else None
        self.output: Shape | None = service.resolve(raw["output"]) if "output" in raw else None
        self.result_wrapper: str = raw.get("output", {}).get("resultWrapper", f"{name}Result")

    def __repr__(self) -> str:
        return f"Operation({self.service.name}:{self.name})"

    @property
    def errors(self) -> tuple[Shape, ...]:
        """The exceptions that the model lists for it."""
        return tuple(self.service.resolve(ref) for ref in self._raw.get("errors", ()))

    @property
    def checksum(self) -> Mapping[str, Any]:
        return self._raw.get("httpChecksum") or {}

    @property
    def event_stream(self) -> str:
        """The output member that is an event stream, or ""."""
        if self._event_stream is None:
            members = self.output.members if self.output else {}
            self._event_stream = next((name for name, shape in members.items() if shape.event_stream), "")
        return self._event_stream


class _Operations(Mapping[str, Operation]):
    """A service's operations by name, built as they are asked for."""

    def __init__(self, service: ServiceModel, raw: Mapping[str, Mapping[str, Any]]) -> None:
        self._service = service
        self._raw = raw
        self._built: dict[str, Operation] = {}

    def __getitem__(self, name: str) -> Operation:
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = Operation(self._service, name, self._raw[name])
        return built

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class ServiceModel:
    """One service. ``name`` is botocore's (``sagemaker-runtime``, ``cloudwatch``)."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        metadata = raw["metadata"]
        self.name = name
        self.service_id: str = metadata["serviceId"]
        self.api_version: str = metadata["apiVersion"]
        self.endpoint_prefix: str = metadata["endpointPrefix"]
        self.signing_name: str = metadata.get("signingName") or metadata["endpointPrefix"]
        self.protocols: tuple[str, ...] = tuple(metadata.get("protocols") or (metadata["protocol"],))
        self.protocol: str = next(choice for choice in _PREFERENCE if choice in self.protocols)
        self.target_prefix: str = metadata.get("targetPrefix", "")
        self.json_version: str = metadata.get("jsonVersion", "1.1")
        self.xml_namespace: str = metadata.get("xmlNamespace", "")
        self.query_compatible = "awsQueryCompatible" in metadata
        self.operations: Mapping[str, Operation] = _Operations(self, raw["operations"])
        self._raw_shapes: dict[str, Mapping[str, Any]] = raw["shapes"]
        for shape, code in _QUERY_ERRORS.get(name, {}).items():
            self._raw_shapes[shape] = {**self._raw_shapes[shape], "error": {"code": code}}
        self._shapes: dict[str, Shape] = {}
        self._errors: dict[str, Shape] | None = None

    def __repr__(self) -> str:
        return f"ServiceModel({self.name})"

    def shape(self, name: str) -> Shape:
        """The shape of that name; raises KeyError."""
        found = self._shapes.get(name)
        if found is None:
            found = self._shapes[name] = Shape(self, name, self._raw_shapes[name])
        return found

    def shape_names(self) -> Iterator[str]:
        return iter(self._raw_shapes)

    def resolve(self, ref: Mapping[str, Any]) -> Shape:
        """The shape that a reference names, with the reference's own traits."""
        name = ref["shape"]
        if ref.keys() <= _NO_TRAITS:
            return self.shape(name)
        return Shape(self, name, {**self._raw_shapes[name], **ref})

    def error(self, code: str) -> Shape | None:
        """The exception shape whose code or name is ``code``."""
        if self._errors is None:
            exceptions = [self.shape(name) for name, raw in self._raw_shapes.items() if raw.get("exception")]
            self._errors = {shape.name: shape for shape in exceptions}
            self._errors |= {shape.error_code: shape for shape in exceptions if shape.error_code not in self._errors}
        return self._errors.get(code)


@functools.cache
def load(service: str) -> ServiceModel:
    """The newest model of ``service`` (botocore's name for it). Raises UnknownService."""
    folder = _DATA / service
    versions = sorted(path.parent for path in folder.glob("*/service-2.json*") if not path.name.endswith("extras.json"))
    if "/" in service or not versions:
        raise UnknownService(f"botocore has no model of a service named {service!r}")
    packed = versions[-1] / "service-2.json.gz"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else (versions[-1] / "service-2.json").read_bytes()
    return ServiceModel(service, json.loads(_DOCUMENTATION.sub(b'"documentation":0', text)))
