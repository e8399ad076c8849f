"""Layers of images, and their uploads under way.

A piece of an upload is acknowledged once its bytes are on the disk and its row is committed.  Completing makes a layer
of the pieces' bytes; where the registry has those bytes already, the ones that came are let go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from wildsage.store.database import Database
from wildsage.store.imagetables import layers, pieces, references, uploads
from wildsage.store.objecttables import discard, hold, release
from wildsage.store.resourcetable import resources

_REFRESH: Final = 600.0  # seconds between two notes that a layer is in use


class NoUpload(Exception):
    """No upload of that id in that repository: never begun, completed or given up."""


class NoRepository(Exception):
    """The repository was deleted meanwhile."""


class OutOfOrder(Exception):
    """A piece that does not begin where the upload ends; ``size`` is that place."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the upload has {size} bytes")
        self.size = size


@dataclass(frozen=True, slots=True)
class Layer:
    """``digest``: ``sha256:…``."""

    digest: str
    size: int
    blob: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an upload, from byte ``first`` on; ``digest``: its own, ``sha256:…``."""

    first: int
    size: int
    digest: str
    blob: str


def check_repository(connection: Connection, repository: str) -> None:
    """Raises NoRepository: what is written for a repository must not outlive it."""
    if connection.execute(select(resources.c.id).where(resources.c.uid == repository)).first() is None:
        raise NoRepository(repository)


def let_go(connection: Connection, blobs: Iterable[str], now: float) -> None:
    """Blobs of layers that were taken away: those that no other layer has leave the disk."""
    wanted = set(blobs)
    kept = set(connection.execute(select(layers.c.blob).where(layers.c.blob.in_(wanted))).scalars())
    release(connection, wanted - kept, now)


def end_uploads(connection: Connection, identities: Iterable[str], now: float, spared: str = "") -> None:
    """Takes uploads away, and their bytes but for the blob ``spared``."""
    wanted = list(identities)
    gone = connection.execute(delete(pieces).where(pieces.c.upload.in_(wanted)).returning(pieces.c.blob)).scalars()
    release(connection, [blob for blob in gone if blob != spared], now)
    connection.execute(delete(uploads).where(uploads.c.id.in_(wanted)))


def _read(row: Row[Any]) -> Layer:
    return Layer(row.digest, row.size, row.blob)


def _pieces(connection: Connection, upload: str) -> list[Piece]:
    rows = connection.execute(select(pieces).where(pieces.c.upload == upload).order_by(pieces.c.first))
    return [Piece(row.first, row.size, row.digest, row.blob) for row in rows]


def _check_upload(connection: Connection, repository: str, upload: str) -> None:
    statement = select(uploads.c.id).where(uploads.c.id == upload, uploads.c.repository == repository)
    if connection.execute(statement).first() is None:
        raise NoUpload(upload)


class Layers:
    """``registry``: account and region of those repositories that share bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, repository: str, upload: str, now: float) -> None:
        """Raises NoRepository."""

        def work(connection: Connection) -> None:
            check_repository(connection, repository)
            connection.execute(insert(uploads).values(id=upload, repository=repository, touched=now))

        await self._database.write(work)

    async def pieces(self, repository: str, upload: str) -> list[Piece]:
        """What has come, in order. Raises NoUpload."""

        def work(connection: Connection) -> list[Piece]:
            _check_upload(connection, repository, upload)
            return _pieces(connection, upload)

        return await self._database.read(work)

    async def append(self, repository: str, upload: str, piece: Piece, now: float) -> None:
        """Raises NoUpload, or OutOfOrder, as for a piece that somebody else has sent meanwhile."""

        def work(connection: Connection) -> None:
            _check_upload(connection, repository, upload)
            there = _pieces(connection, upload)
            size = there[-1].first + there[-1].size if there else 0
            if piece.first != size:
                raise OutOfOrder(size)
            hold(connection, piece.blob)
            connection.execute(
                insert(pieces).values(
                    upload=upload, first=piece.first, size=piece.size, digest=piece.digest, blob=piece.blob
                )
            )
            connection.execute(update(uploads).where(uploads.c.id == upload).values(touched=now))

        await self._database.write(work)

    async def abort(self, repository: str, upload: str, now: float) -> None:
        """Raises NoUpload."""

        def work(connection: Connection) -> None:
            _check_upload(connection, repository, upload)
            end_uploads(connection, [upload], now)

        await self._database.write(work)

    async def complete(self, registry: str, repository: str, upload: str, seen: int, made: Layer, now: float) -> None:
        """Makes a layer of an upload and ends it. Raises NoUpload, also if it has not ``seen`` pieces any more.

        ``made.blob``: that of its only piece, or a new one of all their bytes.
        """

        def work(connection: Connection) -> None:
            _check_upload(connection, repository, upload)
            there = _pieces(connection, upload)
            if len(there) != seen:
                raise NoUpload(upload)
            own = any(piece.blob == made.blob for piece in there)
            blob = _add(connection, registry, repository, made, now)
            if not own and blob == made.blob:
                hold(connection, blob)
            elif not own:
                discard(connection, [made.blob], now)
            end_uploads(connection, [upload], now, spared=blob)

        await self._database.write(work)

    async def find(self, repository: str, digest: str, now: float | None = None) -> Layer | None:
        """The layer, if the repository has it. With ``now`` it counts as in use: whoever asks is about to name it."""
        statement = select(layers).where(layers.c.repository == repository, layers.c.digest == digest)
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        if row is None:
            return None
        if now is not None and row.touched < now - _REFRESH:
            return await self._touch(repository, digest, now)
        return _read(row)

    async def _touch(self, repository: str, digest: str, now: float) -> Layer | None:
        statement = (
            update(layers)
            .where(layers.c.repository == repository, layers.c.digest == digest)
            .values(touched=now)
            .returning(*layers.c)
        )

        def work(connection: Connection) -> Layer | None:
            row = connection.execute(statement).first()
            return None if row is None else _read(row)

        return await self._database.write(work)

    async def mount(self, registry: str, source: str, repository: str, digest: str, now: float) -> bool:
        """Gives ``repository`` a layer of another repository of the registry; False if that has none of the digest.

        Raises NoRepository.
        """
        statement = select(layers).where(
            layers.c.repository == source, layers.c.digest == digest, layers.c.registry == registry
        )

        def work(connection: Connection) -> bool:
            row = connection.execute(statement).first()
            if row is None:
                return False
            check_repository(connection, repository)
            _add(connection, registry, repository, _read(row), now)
            return True

        return await self._database.write(work)

    async def collect(self, unused: float, idle: float, now: float) -> int:
        """Takes away layers that no manifest names and that nobody asked for since ``unused``, and idle uploads."""
        named = exists().where(references.c.repository == layers.c.repository, references.c.target == layers.c.digest)

        def work(connection: Connection) -> int:
            gone = connection.execute(
                delete(layers).where(layers.c.touched < unused, ~named).returning(layers.c.blob)
            ).scalars()
            blobs = list(gone)
            let_go(connection, blobs, now)
            old = list(connection.execute(select(uploads.c.id).where(uploads.c.touched < idle)).scalars())
            end_uploads(connection, old, now)
            return len(blobs) + len(old)

        return await self._database.write(work)


def _add(connection: Connection, registry: str, repository: str, layer: Layer, now: float) -> str:
    """The blob that the repository's layer of that digest has from now on."""
    mine = (layers.c.repository == repository, layers.c.digest == layer.digest)
    there = connection.execute(select(layers.c.blob).where(*mine)).scalar()
    if there is not None:
        connection.execute(update(layers).where(*mine).values(touched=now))
        return str(there)
    statement = select(layers.c.blob).where(layers.c.registry == registry, layers.c.digest == layer.digest).limit(1)
    blob = str(connection.execute(statement).scalar() or layer.blob)
    connection.execute(
        insert(layers).values(
            repository=repository, digest=layer.digest, registry=registry, size=layer.size, blob=blob, touched=now
        )
    )
    return blob
