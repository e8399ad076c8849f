"""Images in the server's own registry, for whoever launches them.

found = await find_image(platform, caller, "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/app:v1")
… an engine of this machine pulls ``found.reference`` with ``found.username`` and ``found.password`` …
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from wildsage.core.addresses import reached_at
from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.store.layers import Layers
from wildsage.store.resources import Key

REPOSITORY: Final = "ecr-repository"
"""The kind of repositories."""
ECR_HOST: Final = re.compile(
    r"(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)(?::\d+)?", re.IGNORECASE
)
"""The host of a registry: its account and region."""
_HERE: Final = ("127.0.0.1", "localhost", "[::1]")
_MOST_CONFIG: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image URI in one of this server's registries. Without ``tag`` and ``digest`` the tag is ``latest``."""

    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def identity(self) -> dict[str, str]:
        """As ECR's API takes it."""
        if self.digest is not None:
            return {"imageDigest": self.digest}
        return {"imageTag": self.tag or "latest"}


@dataclass(frozen=True, slots=True)
class RegistryImage:
    """An image that is there. ``digest`` is its manifest's; ``os`` and ``architecture`` are its configuration's
    (``linux``, ``amd64``), empty where that does not say.

    ``reference``: what an engine of this machine pulls, by digest, over plain HTTP, with ``username`` and
    ``password``, which are good for twelve hours.
    """

    name: ImageName
    digest: str
    os: str
    architecture: str
    reference: str
    username: str
    password: str


def read_name(platform: Platform, uri: str) -> ImageName | None:
    """What ``uri`` names of this server's registries; None if its host is another's.

    ``<account>.dkr.ecr.<region>.amazonaws.com/NAME``; ``127.0.0.1:PORT/NAME`` is of the server's own account.
    """
    host, slash, path = uri.partition("/")
    settings = platform.settings
    found = ECR_HOST.fullmatch(host)
    if found:
        account, region = found[1], found[2].lower()
    elif slash and host in loopback_hosts(settings.host, settings.port):
        account, region = settings.account, settings.region
    else:
        return None
    path, _, digest = path.partition("@")
    repository, _, tag = path.partition(":")
    return ImageName(account, region, repository, tag or None, digest or None)


def loopback_hosts(host: str, port: int) -> set[str]:
    """The hosts of a server's registry in names that lead to its port; it listens at ``host``."""
    return {f"{name}:{port}" for name in (*_HERE, reached_at(host))}


async def find_image(platform: Platform, caller: Caller, uri: str) -> RegistryImage | None:
    """The image of ``uri``, if a registry of this server has it; None if it has not, or is not asked by that name.

    Raises ApiError (AccessDeniedException) if ``caller`` may not pull it: ``ecr:BatchGetImage`` and
    ``ecr:GetDownloadUrlForLayer`` of the repository, ``ecr:GetAuthorizationToken``.
    """
    name = read_name(platform, uri)
    if name is None:
        return None
    repository = await platform.resources.get(Key(REPOSITORY, name.account, name.region, name.repository))
    if repository is None:
        return None
    where = {"registryId": name.account, "repositoryName": name.repository}
    answer = await platform.calls.call(
        caller, name.region, "ecr", "BatchGetImage", {**where, "imageIds": [name.identity]}
    )
    if not answer["images"]:
        return None
    found = answer["images"][0]
    digest, manifest = found["imageId"]["imageDigest"], json.loads(found["imageManifest"])
    layer = _configuration(manifest)
    if layer is not None and not await platform.calls.allowed(
        caller, name.region, "ecr", "GetDownloadUrlForLayer", {**where, "layerDigest": layer}
    ):
        words = f"User: {caller.arn} is not authorized to perform: ecr:GetDownloadUrlForLayer on resource: "
        words += f"arn:aws:ecr:{name.region}:{name.account}:repository/{name.repository}"
        raise ApiError("AccessDeniedException", words, 400)
    system = await _system(platform, repository.uid, layer)
    username, password = await _login(platform, caller, name)
    place = urlsplit(platform.settings.url).netloc
    return RegistryImage(name, digest, *system, f"{place}/{name.repository}@{digest}", username, password)


def _configuration(manifest: Mapping[str, Any]) -> str | None:
    """The digest of an image's configuration; None of a list, whose images an engine chooses from by itself."""
    config = manifest.get("config")
    return None if config is None else str(config["digest"])


async def _system(platform: Platform, repository: str, digest: str | None) -> tuple[str, str]:
    """Operating system and processor."""
    layer = None if digest is None else await Layers(platform.database).find(repository, digest)
    if layer is None or layer.size > _MOST_CONFIG:
        return "", ""
    text = b"".join([chunk async for chunk in platform.objects.read(layer.blob, 0, layer.size)])
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(config, Mapping):
        return "", ""
    return str(config.get("os", "")), str(config.get("architecture", ""))


async def _login(platform: Platform, caller: Caller, name: ImageName) -> tuple[str, str]:
    """User and password for the registry of ``name``."""
    answer = await platform.calls.call(
        caller, name.region, "ecr", "GetAuthorizationToken", {"registryIds": [name.account]}
    )
    text = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    username, _, password = text.partition(":")
    return username, password
