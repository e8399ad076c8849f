"""The models of one instance: on its disk, in its container, and on their way there."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from wildsage.core import trees
from wildsage.core.clock import Clock
from wildsage.core.errors import ApiError, ClientFault
from wildsage.runtimes.base import Inside
from wildsage.services.sagemaker.endpoints.multimodel.blame import Blame, GivenUp, Hands
from wildsage.services.sagemaker.endpoints.multimodel.container import LOADED, NO_MEMORY, Answer, Container
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.services.sagemaker.instance import archives
from wildsage.services.sagemaker.instance.places import Location
from wildsage.services.sagemaker.instance.threads import Stopped, in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.models.launch import MODELS

_ARCHIVE, _TARGET, _HALF = "download.tar.gz", "target", ".half"
_FRESH_SECONDS = 1.0
"""A model just loaded is about to be asked: it is the last to go until then."""
_PAUSE_SECONDS, _LONGEST_SECONDS = 0.02, 360.0
_FETCHED_AT_ONCE = max(2, (os.cpu_count() or 1) // 2)
"""Models of one variant; control has four threads more than processors, for all that there is to do."""
_ENDED = 500
_SPARE_BYTES = 1 << 30
"""With less free on the disk, what is not loaded goes."""

Measure = Callable[[str, float], None]
"""(the metric's name, seconds) of something done."""


class Unloadable(Exception):
    """The container cannot load the model; ``answer`` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body[:200]!r}")
        self.answer = answer


@dataclass(slots=True)
class _Turn:
    """``wanted``: by how many, the one that has it included."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where the models of an endpoint lie: ``prefix``, read as the model's role.

    ``most``: bytes that one may have, unpacked.
    """

    prefix: Location
    transfers: Transfers
    most: int = archives.MOST_BYTES


class Common:
    """What the instances of a variant have in common. ``fetching``: who puts a model on a disk, in a thread."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.blame = Blame(clock)
        self.fetching = asyncio.Semaphore(_FETCHED_AT_ONCE)


def name_of(target: str) -> str:
    """The opaque name under which a container knows a model."""
    return hashlib.sha256(target.encode()).hexdigest()[:32]


class Shelf:
    """Of one instance, whose models are in ``folder``. What is loaded is asked of the container once; then it is known.

    ``folder``: where they lie. ``loaded``: TargetModel → when it was loaded (monotonic).
    """

    def __init__(self, folder: Path, container: Container, routers: Routers, common: Common, measure: Measure) -> None:
        self.folder = folder
        self._container = container
        self._routers = routers
        self._clock = common.clock
        self._fetching = common.fetching
        self._hands = Hands(common.blame, common.clock)
        self._measure = measure
        self._turns: dict[str, _Turn] = {}
        self._evicting = asyncio.Lock()
        self._loads = 0
        self.loaded: dict[str, float] | None = None

    async def load(self, target: str, source: Source) -> tuple[str, str]:
        """Where the model is asked, once it is loaded: address and path.

        Raises Unloadable, ApiError as the client shall see it, OSError, and what ``Container`` raises.
        """
        async with self._turn(target):
            self._loads += 1
            try:
                await self._fetch(target, source)
                return await self._put_in(target)
            finally:
                self._loads -= 1

    async def unload(self, target: str) -> None:
        """Takes it from memory and disk, unless it is in use."""
        async with self._turn(target):
            if await self._released(target):
                await self._take_out(target)
                await in_thread(partial(_discard, self._place(target)))

    def forget(self) -> None:
        """The container is asked again what is loaded: what was heard of it last is in doubt."""
        self.loaded = None

    @asynccontextmanager
    async def _turn(self, target: str) -> AsyncIterator[None]:
        """One thing at a time happens to a model. Those that are in ``_turns`` have something under way or waiting."""
        turn = self._turns.setdefault(target, _Turn())
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[target]

    def _place(self, target: str) -> Path:
        return self.folder / name_of(target)

    # the disk

    async def _fetch(self, target: str, source: Source) -> None:
        """The model lies unpacked on the instance's disk."""
        place = self._place(target)
        if (place / "model").is_dir():
            return
        async with self._fetching:
            began = self._clock.monotonic()
            await self._make_room()
            try:
                await self._download(target, source, place)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not await self._clear():
                    raise
                await self._download(target, source, place)
        self._measure("ModelDownloadingTime", self._clock.monotonic() - began)

    async def _download(self, target: str, source: Source, place: Path) -> None:
        half = _half(place)
        at = source.prefix.under(target)
        await in_thread(lambda _: _begin(half, target))
        try:
            await source.transfers.download(at, half / _ARCHIVE)
            await in_thread(partial(archives.unpack, half / _ARCHIVE, half / "model", str(at), source.most))
        except ApiError as error:
            raise _not_downloaded(at, error) from error
        except ClientFault as error:
            raise ApiError("ValidationError", str(error), 400) from error
        else:
            await in_thread(lambda _: _finish(half, place))
        finally:
            await in_thread(lambda _: trees.remove(half))

    async def _make_room(self) -> None:
        if shutil.disk_usage(self.folder.parent).free < _SPARE_BYTES:
            await self._clear()

    async def _clear(self) -> bool:
        """Deletes what is on disk and neither loaded nor being loaded; whether there was anything."""
        cleared = False
        for target, place in await in_thread(lambda _: _there(self.folder)):
            if target in await self._known() or target in self._turns:
                continue
            async with self._turn(target):
                await in_thread(partial(_discard, place))
            cleared = True
        return cleared

    # the container

    async def _put_in(self, target: str) -> tuple[str, str]:
        """Loads it, after others have made room for it if need be."""
        began = self._clock.monotonic()
        name = name_of(target)
        url = f"{Inside.ML}/{MODELS}/{name}/model"
        await self._known()  # what is there already is older than this one
        while True:
            asked = self._clock.monotonic()
            answer = await self._told(name, url, target)
            if answer.status in LOADED:
                break
            late = self._clock.monotonic() - began > _LONGEST_SECONDS
            if answer.status != NO_MEMORY or late or not await self._evict(target):
                (await self._known()).pop(target, None)
                if answer.status != NO_MEMORY:  # the next try gets what is in S3 by then
                    await in_thread(partial(_discard, self._place(target)))
                raise Unloadable(answer)
        if answer.status == LOADED[0]:
            self._measure("ModelLoadingTime", self._clock.monotonic() - asked)
        (await self._known())[target] = self._clock.monotonic()
        return self._container.place_of(name, answer)

    async def _told(self, name: str, url: str, target: str) -> Answer:
        """What the container says of it."""
        try:
            async with self._hands.loading(target):
                return await self._container.load(name, url, target)
        except GivenUp as error:
            return Answer(_ENDED, str(error).encode())

    async def _known(self) -> dict[str, float]:
        if self.loaded is None:
            names = set(await self._container.loaded())
            if self.loaded is None:
                self.loaded = {
                    target: self._clock.monotonic() for name in names if (target := _target(self.folder / name))
                }
        return self.loaded

    async def _evict(self, wanting: str) -> bool:
        """Unloads the model that was not used for longest. False: there is none that could ever go.

        Models in use, and those about to be, are waited for.
        """
        async with self._evicting:
            known = await self._known()
            candidates = [each for each in known if each != wanting]
            if not candidates:
                return self._loads > 1 and await self._pause()
            last = await self._last_used()
            now = self._clock.monotonic()
            order = sorted(candidates, key=lambda each: max(known[each], last.get(each, 0.0)))
            for target in order:
                fresh = target not in last and now - known[target] < _FRESH_SECONDS
                if fresh or target in self._turns:
                    continue
                async with self._turn(target):
                    if await self._released(target):
                        await self._take_out(target)
                        return True
            return await self._pause()

    async def _pause(self) -> bool:
        await self._clock.sleep(_PAUSE_SECONDS)
        return True

    async def _take_out(self, target: str) -> None:
        began = self._clock.monotonic()
        (await self._known()).pop(target, None)
        answer = await self._container.unload(name_of(target), target)
        if answer.status == LOADED[0]:
            self._measure("ModelUnloadingTime", self._clock.monotonic() - began)

    # routers

    async def _last_used(self) -> Mapping[str, float]:
        """When each model was last used (monotonic), of those that routers know; one in use is used now."""
        now = self._clock.monotonic()
        found: dict[str, float] = {}
        for answer in await self._routers.used(self._container.address):
            for target, said in answer.items():
                at = now if said["outstanding"] else now - said["idle"]
                found[target] = max(found.get(target, 0.0), at)
        return found

    async def _released(self, target: str) -> bool:
        return await self._routers.released(self._container.address, target)


def _begin(half: Path, target: str) -> None:
    trees.remove(half)
    half.mkdir(parents=True)
    (half / _TARGET).write_text(target)


def _finish(half: Path, place: Path) -> None:
    (half / _ARCHIVE).unlink()
    half.rename(place)


def _half(place: Path) -> Path:
    """What is on its way to be a model, or not one any more."""
    return place.with_name(f"{place.name}{_HALF}")


def _discard(place: Path, _stopped: Stopped) -> None:
    """At once it is no model; a kill may leave something of it, which is not taken for one."""
    half = _half(place)
    trees.remove(half)
    with suppress(FileNotFoundError):
        place.rename(half)
    trees.remove(half)


def _there(folder: Path) -> list[tuple[str, Path]]:
    """TargetModel and place of all that is on the disk, be it whole or not."""
    places = {each.with_name(each.name.removesuffix(_HALF)) for each in folder.iterdir()}
    return [(_target(place) or _target(_half(place)), place) for place in places]


def _target(place: Path) -> str:
    """Whose folder it is; empty if that is not known."""
    try:
        return (place / _TARGET).read_text()
    except FileNotFoundError:
        return ""


def _not_downloaded(at: Location, error: ApiError) -> ApiError:
    said = "" if error.code in ("NoSuchKey", "404") else f" ({error.code}: {error.message})"
    words = (
        f"Failed to download model data(bucket: {at.bucket}, key: {at.key}). Please ensure that there is an object "
        f"located at the URL and that the role passed to CreateModel has permissions to download the model.{said}"
    )
    return ApiError("ValidationError", words, 400)
