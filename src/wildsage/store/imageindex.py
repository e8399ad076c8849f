"""Manifests and tags of repositories."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, insert, literal, select, tuple_, update

from wildsage.store.database import Database, Write
from wildsage.store.imagetables import IMAGE, LAYER, images, layers, references, tags, uploads
from wildsage.store.layers import check_repository, end_uploads, let_go

_BARE: Final = [column for column in images.c if column.name != "manifest"]


class MissingTargets(Exception):
    """A manifest names what the repository does not have. ``kind``: LAYER or IMAGE."""

    def __init__(self, kind: str, digests: Collection[str]) -> None:
        super().__init__(", ".join(digests))
        self.kind = kind
        self.digests = sorted(digests)


class TagTaken(Exception):
    """The tag stands for another image and may not be moved."""


class InUse(Exception):
    """A manifest list names the image; ``digest`` is the list's."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        self.digest = digest


@dataclass(frozen=True, slots=True)
class Image:
    """One manifest. ``size``: bytes of its layers. ``pushed``, ``pulled``: epoch seconds.

    ``manifest`` is empty where a list did not read it.
    """

    digest: str
    media_type: str
    artifact_type: str
    subject: str | None
    size: int
    pushed: float
    pulled: float | None = None
    manifest: bytes = b""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """What a manifest names: digests of layers (its configuration among them) and of other manifests."""

    layers: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()


def _read(row: Row[Any], tagged: Iterable[str], manifest: bytes = b"") -> Image:
    return Image(
        row.digest,
        row.media_type,
        row.artifact_type,
        row.subject,
        row.size,
        row.pushed,
        row.pulled,
        manifest,
        tuple(tagged),
    )


def _tags_of(connection: Connection, repository: str, digest: str) -> list[str]:
    statement = select(tags.c.tag).where(tags.c.repository == repository, tags.c.digest == digest).order_by(tags.c.tag)
    return list(connection.execute(statement).scalars())


def _check_targets(connection: Connection, repository: str, named: Named) -> None:
    for kind, wanted, table in ((LAYER, named.layers, layers), (IMAGE, named.images, images)):
        there = connection.execute(
            select(table.c.digest).where(table.c.repository == repository, table.c.digest.in_(wanted))
        ).scalars()
        if missing := wanted - set(there):
            raise MissingTargets(kind, missing)


class Images:
    """The manifests and tags of repositories, each named by the uid of its resource."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, repository: str, image: Image, named: Named, tag: str | None, movable: Callable[[str], bool]
    ) -> bool:
        """Adds the manifest, if it is not there, and the tag; False if nothing changed by that.

        ``movable``: whether a tag may be taken from another image. Raises NoRepository, MissingTargets or TagTaken.
        """

        def work(connection: Connection) -> bool:
            check_repository(connection, repository)
            _check_targets(connection, repository, named)
            moved = tag is not None and _move_tag(connection, repository, tag, image.digest, movable)
            there = select(images.c.digest).where(images.c.repository == repository, images.c.digest == image.digest)
            if connection.execute(there).first() is not None:
                return moved
            _add(connection, repository, image, named)
            return True

        return await self._database.write(work)

    async def find(self, repository: str, digest: str | None, tag: str | None) -> Image | None:
        """The image of a digest, of a tag, or of both if they belong together."""

        def work(connection: Connection) -> Image | None:
            wanted = digest
            if tag is not None:
                tagged = select(tags.c.digest).where(tags.c.repository == repository, tags.c.tag == tag)
                wanted = connection.execute(tagged).scalar()
                if digest is not None and wanted != digest:
                    return None
            statement = select(images).where(images.c.repository == repository, images.c.digest == wanted)
            row = connection.execute(statement).first()
            return None if row is None else _read(row, _tags_of(connection, repository, row.digest), row.manifest)

        return await self._database.read(work)

    async def pulled(self, repository: str, digest: str, now: float) -> None:
        """Notes that it was pulled."""
        statement = (
            update(images).where(images.c.repository == repository, images.c.digest == digest).values(pulled=now)
        )
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def page(self, repository: str, after: str, limit: int, tagged: bool | None = None) -> list[Image]:
        """Images in the order of their digests, beyond ``after``; only tagged or untagged ones if that is said."""
        has_tag = select(tags.c.tag).where(tags.c.repository == repository, tags.c.digest == images.c.digest).exists()
        statement = select(*_BARE).where(images.c.repository == repository, images.c.digest > after)
        if tagged is not None:
            statement = statement.where(has_tag if tagged else ~has_tag)
        return await self._listed(repository, statement.order_by(images.c.digest).limit(limit))

    async def ids(
        self, repository: str, after: tuple[str, str], limit: int, tagged: bool | None = None
    ) -> list[tuple[str, str]]:
        """Digests and tags, one for each tag and one without for an image that has none, in order, beyond ``after``."""
        tag = func.coalesce(tags.c.tag, "")
        both = (images.c.repository == tags.c.repository) & (images.c.digest == tags.c.digest)
        statement = (
            select(images.c.digest, tag)
            .select_from(images.outerjoin(tags, both))
            .where(images.c.repository == repository, images.c.digest >= after[0])
            .where(tuple_(images.c.digest, tag) > tuple_(literal(after[0]), literal(after[1])))
        )
        if tagged is not None:
            statement = statement.where(tags.c.tag.is_not(None) if tagged else tags.c.tag.is_(None))
        statement = statement.order_by(images.c.digest, tag).limit(limit)
        return await self._database.read(lambda connection: [(row[0], row[1]) for row in connection.execute(statement)])

    async def all_of(self, repository: str) -> list[Image]:
        """Every image of a repository, without its manifest."""
        return await self._listed(repository, select(*_BARE).where(images.c.repository == repository))

    async def referrers(self, repository: str, subject: str, after: str, limit: int) -> list[Image]:
        """The images whose subject is that digest, with their manifests."""
        statement = (
            select(images)
            .where(images.c.repository == repository, images.c.subject == subject, images.c.digest > after)
            .order_by(images.c.digest)
            .limit(limit)
        )

        def work(connection: Connection) -> list[Image]:
            return [_read(row, (), row.manifest) for row in connection.execute(statement)]

        return await self._database.read(work)

    async def tags(self, repository: str, after: str, limit: int) -> list[str]:
        """Tags in order, beyond ``after``."""
        statement = (
            select(tags.c.tag)
            .where(tags.c.repository == repository, tags.c.tag > after)
            .order_by(tags.c.tag)
            .limit(limit)
        )
        return await self._database.read(lambda connection: list(connection.execute(statement).scalars()))

    async def untag(self, repository: str, tag: str) -> None:
        """Takes the tag away, and its image if it had no other."""

        def work(connection: Connection) -> None:
            mine = (tags.c.repository == repository, tags.c.tag == tag)
            digest = connection.execute(select(tags.c.digest).where(*mine)).scalar()
            if digest is None:
                return
            if _tags_of(connection, repository, digest) == [tag]:
                _remove(connection, repository, digest)
            else:
                connection.execute(delete(tags).where(*mine))

        await self._database.write(work)

    async def delete(self, repository: str, digest: str) -> list[str] | None:
        """Takes the image away with all its tags, which are returned; None if there is none. Raises InUse."""

        def work(connection: Connection) -> list[str] | None:
            there = select(images.c.digest).where(images.c.repository == repository, images.c.digest == digest)
            if connection.execute(there).first() is None:
                return None
            tagged = _tags_of(connection, repository, digest)
            _remove(connection, repository, digest)
            return tagged

        return await self._database.write(work)

    async def any(self, repository: str) -> bool:
        """Whether there is an image."""
        statement = select(images.c.digest).where(images.c.repository == repository).limit(1)
        return await self._database.look(statement, {}) is not None

    async def _listed(self, repository: str, statement: Select[Any]) -> list[Image]:
        def work(connection: Connection) -> list[Image]:
            rows = list(connection.execute(statement))
            wanted = [row.digest for row in rows]
            tagged: dict[str, list[str]] = {}
            chosen = select(tags.c.digest, tags.c.tag).where(tags.c.repository == repository)
            if len(wanted) < 1000:
                chosen = chosen.where(tags.c.digest.in_(wanted))
            for digest, tag in connection.execute(chosen.order_by(tags.c.tag)):
                tagged.setdefault(digest, []).append(tag)
            return [_read(row, tagged.get(row.digest, ())) for row in rows]

        return await self._database.read(work)


def emptied(repository: str, now: float) -> Write:
    """All of a repository goes; part of the transaction that takes away its resource."""

    def write(connection: Connection) -> None:
        for table in (images, tags, references):
            connection.execute(delete(table).where(table.c.repository == repository))
        gone = delete(layers).where(layers.c.repository == repository).returning(layers.c.blob)
        let_go(connection, connection.execute(gone).scalars().all(), now)
        begun = select(uploads.c.id).where(uploads.c.repository == repository)
        end_uploads(connection, connection.execute(begun).scalars().all(), now)

    return write


def _add(connection: Connection, repository: str, image: Image, named: Named) -> None:
    size = image.size
    if named.images:  # a list is as large as the largest that it lists (ECR API reference, ImageDetail)
        listed = select(func.max(images.c.size)).where(
            images.c.repository == repository, images.c.digest.in_(named.images)
        )
        size = connection.execute(listed).scalar() or 0
    connection.execute(
        insert(images).values(
            repository=repository,
            digest=image.digest,
            media_type=image.media_type,
            artifact_type=image.artifact_type,
            subject=image.subject,
            size=size,
            pushed=image.pushed,
            manifest=image.manifest,
        )
    )
    rows = [
        {"repository": repository, "image": image.digest, "target": target, "kind": kind}
        for kind, targets in ((LAYER, named.layers), (IMAGE, named.images))
        for target in sorted(targets)
    ]
    if rows:
        connection.execute(insert(references), rows)


def _move_tag(connection: Connection, repository: str, tag: str, digest: str, movable: Callable[[str], bool]) -> bool:
    mine = (tags.c.repository == repository, tags.c.tag == tag)
    there = connection.execute(select(tags.c.digest).where(*mine)).scalar()
    if there == digest:
        return False
    if there is None:
        connection.execute(insert(tags).values(repository=repository, tag=tag, digest=digest))
    elif movable(tag):
        connection.execute(update(tags).where(*mine).values(digest=digest))
    else:
        raise TagTaken(tag)
    return True


def _remove(connection: Connection, repository: str, digest: str) -> None:
    statement = select(references.c.image).where(
        references.c.repository == repository, references.c.target == digest, references.c.kind == IMAGE
    )
    holder = connection.execute(statement).scalar()
    if holder is not None:
        raise InUse(holder)
    for table, column in ((tags, tags.c.digest), (images, images.c.digest), (references, references.c.image)):
        connection.execute(delete(table).where(table.c.repository == repository, column == digest))
