"""The routing snapshot: merged from who may call and what answers, kept on disk, in force before ``push`` returns."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from wildsage.core.routes import Endpoint, Invoker, Key, ObjectGrant, Routes, Writer, from_json
from wildsage.kit.context import Platform
from wildsage.kit.roles import IDENTITY_CHANGED
from wildsage.kit.settling import Settling
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unanswered, Unreachable
from wildsage.wire.http.messages import BytesBody, Request

log = logging.getLogger(__name__)

_ACKNOWLEDGE_SECONDS = 5.0
_HANGING_SECONDS = 30.0  # after which it is told again, of what was changed since


class Permissions(Protocol):
    """The part of a snapshot that says who may call (``services.iam.directory``)."""

    async def route_keys(self) -> Mapping[str, Key]: ...

    async def route_permissions(self) -> Mapping[str, Invoker]: ...

    async def route_objects(self) -> Mapping[str, ObjectGrant]: ...


class Snapshot:
    """Compiles, stores and pushes snapshots, one at a time. ``patience``: seconds to wait for an acknowledgement."""

    def __init__(
        self, platform: Platform, permissions: Permissions, client: Client, patience: float = _ACKNOWLEDGE_SECONDS
    ) -> None:
        self._platform = platform
        self._permissions = permissions
        self._client = client
        self._patience = patience
        self._turn = asyncio.Lock()
        self._writer = Writer()
        self._version, self._endpoints = _stored(platform.settings.data.routes)
        self._settling = Settling()
        self._text = ""
        self._behind: dict[Path, asyncio.Task[None]] = {}
        platform.hints.listen(IDENTITY_CHANGED, lambda _about: self._settling.change())

    async def run(self) -> None:
        """Pushes anew whenever keys or policies change, until cancelled."""
        try:
            await self._settling.run(self.renew)
        finally:
            for telling in self._behind.values():
                telling.cancel()
            await asyncio.gather(*self._behind.values(), return_exceptions=True)

    async def settled(self) -> None:
        """Returns once every change of keys and policies so far is in force in every process, while ``run`` runs.

        A caller whose policy was changed must not be let through by another process after that was answered.
        """
        await self._settling.settled()

    async def renew(self) -> None:
        """Puts keys and policies in force, with the endpoints of the last snapshot."""
        async with self._turn:  # first, for endpoints may be waiting that are newer than those of now
            await self._write_and_send()

    async def push(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Puts ``endpoints`` in force: on disk, and acknowledged by every router and the objects process that runs.

        One that hangs keeps nobody waiting for longer than ``patience``, and that once: it is told beside all others
        until it answers, and what has passed meanwhile is in force without it.
        """
        async with self._turn:
            self._endpoints = endpoints
            await self._write_and_send()

    async def _write_and_send(self) -> None:
        credentials = self._platform.credentials
        keys = await self._permissions.route_keys()
        permissions = await self._permissions.route_permissions()
        objects = await self._permissions.route_objects()
        while True:
            self._version += 1
            routes = Routes(
                self._version, credentials.account, credentials.master_hex, keys, permissions, self._endpoints, objects
            )
            text = self._text = self._writer.write(routes)
            unwritten: OSError | None = None
            try:
                await _to_its_end(asyncio.to_thread(_write, self._platform.settings.data.routes, text))
            except OSError as error:  # a full disk must not keep a key alive that was taken back
                unwritten = error
            data = self._platform.settings.data
            sockets = (*data.router_sockets(), data.objects_routes)
            sent = await asyncio.gather(*(self._send(text, path) for path in sockets))
            newer = [version for version in sent if version is not None]
            if not newer:
                if unwritten is not None:
                    raise unwritten
                return
            self._version = max(newer)

    async def _send(self, text: str, path: Path) -> int | None:
        """None once the process at ``path`` acts on it, is not there or hangs; its version if that is newer."""
        if path in self._behind:
            return None
        try:
            return await self._tell(text, path, self._patience)
        except TimeoutError:
            log.warning("%s did not acknowledge snapshot %s in time; others do not wait for it", path, self._version)
            telling = self._tell_until_it_answers(path)
            self._behind[path] = asyncio.create_task(telling, name=f"tell {path.name}")
            return None

    async def _tell_until_it_answers(self, path: Path) -> None:
        """Who hangs gets what is then the newest, as the first thing it does when it goes on."""
        told = ""
        try:
            while told != self._text:
                text = self._text
                with suppress(TimeoutError):
                    await self._tell(text, path, _HANGING_SECONDS)
                    told = text
        except Exception:  # whatever it said: were it left among those that hang, it would never be told again
            log.exception("%s was not told snapshot %s; the next push tells it", path, self._version)
        finally:
            del self._behind[path]  # at once: whoever pushes next tells it itself

    async def _tell(self, text: str, path: Path, seconds: float) -> int | None:
        """As ``_send``; raises TimeoutError."""
        headers = [("host", path.stem), ("content-type", "application/json"), ("content-length", str(len(text)))]
        request = Request("PUT", "/routes", headers, BytesBody(text.encode()))
        try:
            response = await self._client.send(f"unix:{path}", request, seconds)
        except Unanswered as error:
            raise TimeoutError(str(error)) from error  # it is there, and as many wait for it as may
        except Unreachable:
            return None  # a process that starts reads the file
        except AnswerLost:
            log.warning("%s has gone before it acknowledged snapshot %s; it reads the file anew", path, self._version)
            return None
        if response.status == 409 and isinstance(response.body, bytes):
            return int(json.loads(response.body)["version"])
        return None


async def _to_its_end(writing: Coroutine[None, None, None]) -> None:
    """Waits for a thread even if cancelled: whoever pushes next must not write the same file beside it."""
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _stored(path: Path) -> tuple[int, Mapping[str, Endpoint]]:
    """Version and endpoints of the snapshot on disk."""
    try:
        routes = from_json(path.read_bytes())
    except FileNotFoundError:
        return 0, {}
    except ValueError:
        log.warning("%s cannot be read; it is made anew", path)
        return 0, {}
    return routes.version, routes.endpoints


def _write(path: Path, text: str) -> None:
    half = path.with_suffix(".new")
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
