"""The container engine of this machine: what it is, and its images. Everything raises what went wrong in words."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import platform
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from wildsage.core.errors import ClientFault, InternalFault, RegistryGone
from wildsage.runtimes.containers.api import Answer, Api, EngineError, EngineGone

_SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
_PODMANS_OWN = "/v4.0.0/libpod"
"""Podman's other API, whose pull can do without a certificate; that of /images/create cannot."""
_UNVERIFIED = {"tlsVerify": "false"}
"""Understood by Podman alone."""
_OUT_OF_REACH = "its registry cannot be reached"
_GONE = (
    *("no such host", "server misbehaving", "name resolution", "connection refused", "timeout", "deadline exceeded"),
    *("no route", "network is unreachable"),
)
"""What engines say of it, and what they have it from."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_ROOTLESS = (
    "the one at {0} is rootless, and nobody outside reaches the addresses of its containers. Use the one that is a "
    "service of the machine: sudo apt-get install docker.io (or: sudo systemctl start docker), sudo usermod -aG docker "
    "$USER, log in again, and unset DOCKER_HOST."
)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image in the engine. ``size`` in bytes. ``digests``: ``repository@sha256:…``, of registries that it is in."""

    id: str
    architecture: str
    labels: Mapping[str, str]
    tags: tuple[str, ...]
    size: int
    digests: tuple[str, ...] = ()

    @property
    def short_id(self) -> str:
        return short(self.id)

    @property
    def runs_here(self) -> bool:
        """Whether it is for this machine's architecture."""
        return not self.architecture or self.architecture == architecture()


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """``name`` of the engine (Docker, Podman). ``warnings``: what the engine says of the machine's shortcomings."""

    name: str
    version: str
    api: str
    storage: str
    cgroups: str
    rootless: bool
    runtimes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def short(id: str) -> str:
    """An image's id as people are shown it: sha256: and twelve characters."""
    return id[:19]


def architecture() -> str:
    """This machine's, as images name it."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def socket_of(environ: Mapping[str, str]) -> str:
    """The Unix socket of the engine: DOCKER_HOST's, else the first of Docker's and Podman's that exists; else empty.

    An engine on another machine (``tcp:``, ``ssh:``) cannot see this one's folders and counts as none.
    """
    if named := environ.get("DOCKER_HOST"):
        return named.removeprefix("unix://") if named.startswith("unix://") else ""
    places = [
        *_SOCKETS,
        *([f"{environ['XDG_RUNTIME_DIR']}/podman/podman.sock"] if "XDG_RUNTIME_DIR" in environ else []),
    ]
    return next((place for place in places if os.path.exists(place)), "")  # noqa: PTH110  also where one may not look


class Engine:
    """Its methods raise InternalFault if nobody answers at its socket, and the engine's own words as a fault.

    ``environ`` names it, or leaves it to be found (``socket_of``): at each call, for people install and start engines
    while a server runs.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._troubles: dict[str, str] = {}

    @property
    def api(self) -> Api:
        return Api(socket_of(self._environ))

    @property
    def found(self) -> bool:
        """Whether there is a socket; its engine need not answer."""
        return bool(self.api.socket_path)

    @property
    def unusable(self) -> str:
        """The engine that DOCKER_HOST names, if that is none with a socket on this machine; else empty."""
        return "" if self.found else self._environ.get("DOCKER_HOST", "")

    @property
    def address(self) -> str:
        return f"unix://{self.api.socket_path}"

    async def call(self, method: str, path: str, document: object = None) -> Any:
        """One request with JSON, one answer. Raises EngineError (the engine's words), InternalFault if it is gone."""
        try:
            return await asyncio.to_thread(self.api.call, method, path, document)
        except EngineGone as error:
            raise gone(error) from error

    async def answers(self) -> bool:
        """Whether an engine is there."""
        try:
            await asyncio.to_thread(self.api.call, "GET", "/version")
        except (EngineGone, EngineError):
            return False
        return True

    async def version(self) -> EngineVersion:
        """What engine it is."""
        info, version = await asyncio.gather(self.call("GET", "/info"), self.call("GET", "/version"))
        components = [each.get("Name", "") for each in version.get("Components") or ()]
        return EngineVersion(
            name="Podman" if any("Podman" in name for name in components) else "Docker",
            version=version["Version"],
            api=version["ApiVersion"],
            storage=info.get("Driver", ""),
            cgroups=str(info.get("CgroupVersion") or "1"),
            rootless=any("rootless" in each for each in info.get("SecurityOptions") or ()),
            runtimes=tuple(info.get("Runtimes") or ()),
            warnings=tuple(info.get("Warnings") or ()),
        )

    async def trouble(self) -> str:
        """Why its containers are of no use, and what to do about it; empty if they are. Asked once."""
        address = self.address
        if address not in self._troubles:
            rootless = (await self.version()).rootless
            self._troubles[address] = _ROOTLESS.format(address) if rootless else ""
        return self._troubles[address]

    async def find(self, reference: str) -> ImageInfo | None:
        """The image that ``reference`` (name, name and tag or digest, or id) names in the engine.

        Raises ClientFault if that is no name at all.
        """
        if not reference.strip():
            raise ClientFault("ClientError: An image needs a name.")
        if not all(part.strip(".") for part in reference.split("/")):
            return None  # no name, but a way to something else of the engine's API
        try:
            found = await self.call("GET", f"/images/{quote(reference, safe='/:@')}/json")
        except EngineError as error:
            if error.status == 404:
                return None
            if "invalid reference" in error.words.lower():  # Docker's status is 400, Podman's 500
                raise ClientFault(f"ClientError: {reference!r} is no name of an image: {error.words}") from error
            raise InternalFault(f"InternalServerError: The container engine cannot say: {error.words}") from error
        return _image(found, (found.get("Config") or {}).get("Labels"))

    async def images(self) -> tuple[ImageInfo, ...]:
        """Every image that has a name or is nobody's layer; without their architecture."""
        return tuple(_image(each, each.get("Labels")) for each in await self.call("GET", "/images/json"))

    async def tag(self, reference: str, repository: str, tag: str) -> None:
        """Gives an image one more name."""
        query = urlencode({"repo": repository, "tag": tag})
        try:
            await self.call("POST", f"/images/{quote(reference, safe='/:@')}/tag?{query}")
        except EngineError as error:
            raise ClientFault(f"ClientError: {reference} cannot be named {repository}:{tag}: {error.words}") from error

    async def forget(self, reference: str) -> None:
        """Takes a name off an image, and the image away if that was its last and nothing rests on it."""
        try:
            await self.call("DELETE", f"/images/{quote(reference, safe='/:@')}?noprune=0")
        except EngineError as error:
            if error.status != 404:
                raise ClientFault(f"ClientError: {reference} cannot be removed: {error.words}") from error

    async def pull(self, reference: str, credentials: tuple[str, str] | None = None) -> ImageInfo:
        """Fetches an image from the registry that its name says. Raises ClientFault (AccessDenied, not found, …).

        ``credentials``: user and password for that registry.
        """
        headers = {} if credentials is None else {"X-Registry-Auth": _auth(reference, credentials)}
        # A tag of its own, for without any the engine would fetch all that there are.
        name = reference if _has_tag(reference) else f"{reference}:latest"
        path = f"/images/create?{urlencode({'fromImage': name})}"
        if _on_this_machine(reference) and (await self.version()).name == "Podman":
            path = f"{_PODMANS_OWN}/images/pull?{urlencode({'reference': name, **_UNVERIFIED})}"
        try:
            async for step in self._steps("POST", path, headers):
                if "error" in step:
                    raise refused(reference, str(step["error"]))
        except EngineError as error:
            raise refused(reference, error.words) from error
        found = await self.find(reference)
        if found is None:
            raise InternalFault(f"InternalServerError: The container engine pulled {reference} but does not have it.")
        return found

    async def push(self, reference: str, credentials: tuple[str, str]) -> None:
        """Sends an image to the registry that its name says. Raises ClientFault, with the words of the engine."""
        name, _, tag = reference.rpartition(":")
        headers = {"X-Registry-Auth": _auth(reference, credentials)}
        query = {"tag": tag, **(_UNVERIFIED if _on_this_machine(reference) else {})}
        path = f"/images/{quote(name, safe='/:')}/push?{urlencode(query)}"
        try:
            async for step in self._steps("POST", path, headers):
                if "error" in step:
                    raise ClientFault(f"ClientError: Cannot push the image {reference}: {step['error']}")
        except EngineError as error:
            raise ClientFault(f"ClientError: Cannot push the image {reference}: {error.words}") from error

    async def _steps(self, method: str, path: str, headers: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        """The JSON lines that the engine answers with, as they come; hanging up ends its work."""
        try:
            answer = await asyncio.to_thread(self.api.open, method, path, headers=headers)
            lines = _documents(answer)
            try:
                while (line := await asyncio.to_thread(next, lines, None)) is not None:
                    yield line
            finally:
                await asyncio.to_thread(answer.close)
        except EngineGone as error:
            raise gone(error) from error


def _documents(answer: Answer) -> Iterator[dict[str, Any]]:
    """JSON, one document a line, from an answer's body."""
    rest = b""
    for piece in answer.pieces():
        *lines, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
    if rest.strip():
        yield json.loads(rest)


def _image(found: Mapping[str, Any], labels: Mapping[str, str] | None) -> ImageInfo:
    return ImageInfo(
        id=found["Id"],
        architecture=found.get("Architecture") or "",
        labels=labels or {},
        tags=tuple(tag for tag in found.get("RepoTags") or () if tag != "<none>:<none>"),
        size=found.get("Size", 0),
        digests=tuple(each for each in found.get("RepoDigests") or () if not each.startswith("<none>")),
    )


def _has_tag(reference: str) -> bool:
    return "@" in reference or ":" in reference.rpartition("/")[2]


def _on_this_machine(reference: str) -> bool:
    """Whether its registry is, by an address. Docker asks none of those for a certificate that it can verify."""
    return reference.partition("/")[0].startswith(("127.", "localhost:"))


def _auth(reference: str, credentials: tuple[str, str]) -> str:
    user, password = credentials
    document = {"username": user, "password": password, "serveraddress": reference.partition("/")[0]}
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def gone(error: EngineGone) -> InternalFault:
    """The engine is not there."""
    return InternalFault(f"InternalServerError: The container engine is out of reach: {error}.")


def refused(reference: str, words: str) -> ClientFault:
    """``refusal`` as an error."""
    text = refusal(reference, words)
    return (RegistryGone if _OUT_OF_REACH in text else ClientFault)(text)


def refusal(reference: str, words: str) -> str:
    """Why an image could not be pulled, after the engine's ``words``: what it means and what to do about it."""
    said = words.strip().rstrip(".")
    low = said.lower()
    if (
        "unauthorized" in low
        or "authentication required" in low
        or "no basic auth" in low
        or "incorrect username" in low
    ):
        means = "the registry does not accept these credentials, or asks for some"
    elif "access denied" in low or "denied" in low or "forbidden" in low:
        means = "the registry denies access, or there is no such repository"
    elif "no matching manifest" in low or "does not match the specified platform" in low:
        means = f"it has no image for this machine's architecture ({architecture()})"
    elif "manifest unknown" in low or "not found" in low or "name unknown" in low:
        means = "the registry has no such image"
    elif "invalid reference" in low:
        means = "that is no name of an image"
    elif any(each in low for each in _GONE):
        means = _OUT_OF_REACH
    elif "no space left" in low:
        means = "the engine's disk is full"
    else:
        means = "the engine refused"
    return f"ClientError: Cannot pull the image {reference}: {means} ({said})."
