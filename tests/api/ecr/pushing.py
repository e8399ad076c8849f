"""A client of the registry that sends what it is told to, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import Server

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def new_repository(ecr: Any, **options: Any) -> str:
    """The name of a new repository."""
    name = f"team/{uuid.uuid4().hex}"
    ecr.create_repository(repositoryName=name, **options)
    return name


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of the first error."""
        return str(self.json["errors"][0]["code"])

    @property
    def message(self) -> str:
        return str(self.json["errors"][0]["message"])


def password_of(ecr: Any) -> str:
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return base64.b64decode(token).decode().partition(":")[2]


@dataclass
class Registry:
    """``host``: the Host header, where it is not the address."""

    url: str
    password: str | None
    user: str = "AWS"
    host: str | None = None
    sent: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, **headers: str) -> Answer:
        """Headers' names with underscores."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.password is not None:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            given = {"Authorization": f"Basic {pair}", **given}
        if self.host is not None:
            given["Host"] = self.host
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=120)
        try:
            connection.request(method, path, body, given, encode_chunked=not isinstance(body, bytes | None))
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()

    def begin(self, name: str) -> str:
        """The path of a new upload."""
        answer = self("POST", f"/v2/{name}/blobs/uploads/")
        assert answer.status == 202, answer.body
        return answer.headers["location"]

    def push_blob(self, name: str, data: bytes) -> str:
        place = self.begin(name)
        assert self("PATCH", place, data).status == 202
        answer = self("PUT", f"{place}?digest={digest(data)}")
        assert answer.status == 201, answer.body
        return digest(data)

    def push_image(self, name: str, tag: str, layer: bytes = b"layer", **config: Any) -> str:
        """The digest of an image with one layer."""
        data = image(config_bytes(**config), layer)
        self.push_blob(name, config_bytes(**config))
        self.push_blob(name, layer)
        return self.push_manifest(name, tag, data)

    def push_manifest(self, name: str, reference: str, data: bytes, media_type: str = OCI) -> str:
        answer = self("PUT", f"/v2/{name}/manifests/{reference}", data, Content_Type=media_type)
        assert answer.status == 201, answer.body
        assert answer.headers["docker-content-digest"] == digest(data)
        return digest(data)


def registry_of(server: Server, ecr: Any | None = None) -> Registry:
    """As the execution role, or whoever ``ecr`` is a client of."""
    return Registry(server.url, password_of(ecr or server.client("ecr")))


def config_bytes(**more: Any) -> bytes:
    return json.dumps({"architecture": "amd64", "os": "linux", **more}).encode()


def image(config: bytes, *layers: bytes, **more: Any) -> bytes:
    """A manifest."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(config),
            "size": len(config),
        },
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(each), "size": len(each)}
            for each in layers
        ],
    }
    return json.dumps({**document, **more}).encode()


def index(*manifests: bytes) -> bytes:
    """A list of manifests."""
    listed = [{"mediaType": OCI, "digest": digest(each), "size": len(each)} for each in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
