"""Finds out what there is for an image, and has the container engine have it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.core.errors import ClientFault, InternalFault, RegistryGone, SettingsError
from wildsage.images import uris
from wildsage.images.building import Progress
from wildsage.images.choice import SETTING, Choice, Preference, Seen, Where, choose
from wildsage.runtimes.containers.engine import Engine, ImageInfo, architecture, short

HOW_TO_GET = (
    "sudo apt-get install docker.io (or podman, for root), sudo usermod -aG docker $USER, and log in again; "
    "DOCKER_HOST names another."
)
_PATIENCE = 10.0
"""Seconds in which an engine says whether it has an image. What needs no engine must not hang with one that does."""


def preference(environ: Mapping[str, str]) -> Preference:
    """WILDSAGE_FRAMEWORK_IMAGES: ``native`` or ``engine``."""
    chosen = environ.get(SETTING, "")
    if chosen not in list(Preference):
        raise SettingsError(f"{SETTING} must be native or engine, not {chosen!r}")
    return Preference(chosen)


@dataclass(frozen=True, slots=True)
class Pull:
    """How an image is to be had of a registry.

    ``own``: its name is of a registry of this server, which has it if there is a ``reference``: what the engine pulls
    instead of the name. ``credentials``: user and password. ``guarded``: others gave some for this repository. A
    registry of others that takes credentials is asked whether the engine has the image or not: whoever may not have it
    there shall not have it here.
    """

    own: bool = False
    reference: str = ""
    credentials: tuple[str, str] | None = None
    guarded: bool = False

    @property
    def private(self) -> bool:
        """Whether it is of a registry of others that asks for credentials."""
        return (self.credentials is not None or self.guarded) and not self.own


NO_PULL = Pull()


@dataclass(frozen=True, slots=True)
class Found:
    """``info``: what the engine has already."""

    choice: Choice
    info: ImageInfo | None = None


class Seeker:
    """``engine``: the container engine of this machine, if one is found."""

    def __init__(self, engine: Engine, prefer: Preference) -> None:
        self._engine = engine
        self._prefer = prefer

    async def look(self, uri: str, pull: Pull = NO_PULL) -> Found:
        """What runs ``uri``. Nothing is fetched or built. Raises ClientFault if it is no name of an image."""
        known = uris.framework_image(uri) is not None and not pull.private
        if known and self._prefer is Preference.NATIVE:
            return Found(choose(uri, Seen(known=True), self._prefer))
        info, absent = await self._held(pull.reference or uri)
        if pull.private and not _only_here(uri, info, pull):
            info = None
        seen = Seen(
            known=known,
            instead=uris.why_refused(uri),
            engine=not absent,
            absent=absent,
            held=info is not None,
            own=pull.own,
            registered=bool(pull.reference),
        )
        return Found(choose(uri, seen, self._prefer), info)

    async def have(self, uri: str, found: Found, progress: Progress, pull: Pull = NO_PULL) -> ImageInfo:
        """The image in the engine, which pulls it if it must. Raises ClientFault, InternalFault."""
        if found.choice.where is Where.NOWHERE:
            raise ClientFault(f"ClientError: {found.choice.why}")
        info = found.info
        if info is None:
            began = time.monotonic()
            await progress(f"[wildsage] Pulling the image {uri}.")
            try:
                info = await self._engine.pull(pull.reference or uri, pull.credentials)
            except RegistryGone as error:
                info = await self._copy(uri, pull, error, progress)
            else:
                await self._name(uri, info, pull)
                seconds = time.monotonic() - began
                await progress(f"[wildsage] Pulled {uri} ({info.size / 1e6:.0f} MB unpacked) in {seconds:.1f} s.")
        if not info.runs_here:
            raise ClientFault(
                f"ClientError: The image {uri} is for the architecture {info.architecture}, and this machine is "
                f"{architecture()}. Build it with docker build --platform linux/{architecture()}."
            )
        return info

    async def kept(self, uri: str, id: str) -> ImageInfo:
        """The image ``id`` that ``uri`` once named, whatever it names now. Raises ClientFault, InternalFault."""
        info = await self._engine.find(id)
        if info is None:
            raise ClientFault(
                f"ClientError: The container engine no longer has the image {short(id)}, which {uri} was when this was "
                "deployed. Please deploy it again."
            )
        return info

    async def _copy(self, uri: str, pull: Pull, error: RegistryGone, progress: Progress) -> ImageInfo:
        """What the engine has of a private image whose registry cannot be asked; raises ``error`` if it has none."""
        info = await self._engine.find(uri) if pull.private else None
        if info is None:
            raise error
        words = str(error).removeprefix("ClientError: ")
        await progress(f"[wildsage] {words} The copy that the container engine has is used ({info.short_id}).")
        return info

    async def _name(self, uri: str, info: ImageInfo, pull: Pull) -> None:
        """What came from this server's registry has its name in the engine, too, for people to find it by."""
        where = uris.locate(uri)
        if pull.reference and where.tag:
            await self._engine.tag(info.id, uri.removesuffix(f":{where.tag}"), where.tag)

    async def _held(self, uri: str) -> tuple[ImageInfo | None, str]:
        """What the engine has under that name; why none answers, or nothing."""
        if self._engine.unusable:
            return None, not_here(self._engine)
        if not self._engine.found:
            return None, f"no engine's socket was found. {HOW_TO_GET}"
        try:
            if trouble := await asyncio.wait_for(self._engine.trouble(), _PATIENCE):
                return None, trouble
            return await asyncio.wait_for(self._engine.find(uri), _PATIENCE), ""
        except InternalFault as fault:
            return None, str(fault).removeprefix("InternalServerError: ")
        except TimeoutError:
            return None, f"{self._engine.address} gave no answer for {_PATIENCE:g} s."


def by_digest(uri: str, info: ImageInfo, pull: Pull = NO_PULL) -> str:
    """``uri`` with the digest that a registry knows the image by, in the place of a tag; empty if no registry does.

    An image that was built here and never pushed has none.
    """
    repository = uris.repository_of(uri)
    of_pull = [pull.reference] if pull.own else []
    own = [each for each in info.digests if uris.common_name(each) in (repository, uris.common_name(uri))]
    digests = [digest for each in (uri, *of_pull, *own) if (digest := uris.locate(each).digest)]
    return f"{repository}@{digests[0]}" if digests else ""


def _only_here(uri: str, info: ImageInfo | None, pull: Pull) -> bool:
    """Whether the engine has an image that never was in a registry; credentials say that it is in one."""
    return info is not None and pull.credentials is None and not by_digest(uri, info)


def not_here(engine: Engine) -> str:
    """Of an engine that DOCKER_HOST names, and that cannot be used."""
    return (
        f"DOCKER_HOST is {engine.unusable}, and only an engine of this machine can see its folders: "
        "let it name a Unix socket, as unix:///var/run/docker.sock."
    )


def seeker(environ: Mapping[str, str]) -> Seeker:
    """With the engine and the preference that ``environ`` names. Raises SettingsError."""
    return Seeker(Engine(environ), preference(environ))
