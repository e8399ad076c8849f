"""PutObject where it is plain: into a bucket that adds nothing, with a body that proves itself."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wildsage.core.background import Background
from wildsage.core.errors import ApiError
from wildsage.core.ids import object_version
from wildsage.dataplane.objects import asked
from wildsage.dataplane.objects.asked import Asked
from wildsage.dataplane.objects.commits import Commits, Job
from wildsage.dataplane.objects.known import Known, is_of_body
from wildsage.dataplane.objects.wording import answer_headers, refuse
from wildsage.objects import files
from wildsage.objects.base import Blob, NoSpace
from wildsage.objects.digests import digest
from wildsage.objects.local import LocalObjects
from wildsage.objects.rules import checksums, conditions, telling
from wildsage.objects.rules.checksums import Demand, Document
from wildsage.store.codec import dumps
from wildsage.store.directindex import BucketRow
from wildsage.store.directwrites import BucketChanged, NewObject
from wildsage.wire import sigv4
from wildsage.wire.authorization import parse_authorization
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import Body, BytesBody, Headers
from wildsage.wire.http.server import guarded
from wildsage.wire.sigv4_streaming import ChunkedBody, open_body

log = logging.getLogger(__name__)

OPERATION: Final = "PutObject"
# Bodies up to this are committed with their object, longer ones are on the disk before.
SMALL: Final = 64 * 1024
_MOST_BUCKETS: Final = 1024
_SHARED: Final = asked.PLAIN | {"ContentType"}
# Settings of a bucket that make no difference to writing an object. Any other sends the request to control.
_HARMLESS: Final = frozenset(
    {"Acl", "CORSConfiguration", "OwnershipControls", "PublicAccessBlockConfiguration", "Tagging"}
)


@dataclass(slots=True)
class _Plan:
    """An object to be, up to its bytes. ``text``: ``document`` as JSON text, without the end.

    ``again``: headers and body of the request as they came, if control could still have it.
    """

    wanted: Asked
    bucket: BucketRow
    now: float
    document: Document
    text: str
    demand: Demand
    algorithm: str
    again: tuple[Headers, BytesBody] | None


class Writing:
    """``answer`` returns False, or raises ApiError, for what is control's; then nothing has happened yet.

    ``forward``: hands an exchange to control. ``background``: where what takes its time is done.
    """

    def __init__(
        self,
        known: Known,
        commits: Commits,
        objects: LocalObjects,
        forward: Callable[[Exchange], None],
        background: Background,
    ) -> None:
        self._known = known
        self._table = known.table
        self._index = known.index
        self._commits = commits
        self._objects = objects
        self._forward = forward
        self._background = background
        self._buckets: dict[str, BucketRow] = {}

    def bytes_of(self, blob: str) -> bytes | None:
        """The bytes of a blob that has no file yet."""
        return self._commits.bytes_of(blob)

    def answer(self, exchange: Exchange) -> bool:
        """Takes the request on, and answers it once it is on the disk."""
        request = exchange.request
        wanted, authorization = asked.write(request), parse_authorization(request)
        if wanted is None or authorization is None:
            return False
        now = self._known.clock.now()
        secret = self._known.secret(authorization, wanted, self._table.may_write, now)
        if secret is None:
            return False
        body = request.body
        small = int(request.header("content-length") or 0) <= SMALL and self._commits.has_room()
        # What is long cannot be handed to control any more once the transaction finds that the bucket has changed.
        bucket = self._bucket(wanted.bucket) if small else self._index.bucket(wanted.bucket)
        if bucket is None or bucket.account != self._table.account or bucket.region != authorization.region:
            return False
        if not _writable(bucket.settings) or len(wanted.key.encode()) > files.KEY_BYTES:
            return False
        demand = checksums.read_demand(wanted.members, request.header("x-amz-trailer"), from_client=True)
        document, text = _describe(wanted.members)
        plan = _Plan(wanted, bucket, now, document, text, demand, demand.algorithm or checksums.DEFAULT, None)
        if small and isinstance(body, BytesBody):
            hashed = sigv4.hash_of(authorization, request, body.data)
            if is_of_body(hashed):
                sigv4.verify(authorization, request, secret, hashed, now)
                plan.again = (request.headers, body)
                self._keep_small(exchange, plan, body.data, {})
                return True
        declared = sigv4.declared_hash(authorization, request) or sigv4.EMPTY_SHA256
        sigv4.verify(authorization, request, secret, declared, now)
        opening = functools.partial(open_body, authorization, request, secret)
        self._background.begin(guarded(exchange, self._receive(exchange, plan, small, opening)))
        return True

    def _bucket(self, name: str) -> BucketRow | None:
        """As it was a while ago: the transaction finds out if it has changed."""
        known = self._buckets.get(name)
        if known is None:
            known = self._index.bucket(name)
            if known is not None:
                if len(self._buckets) >= _MOST_BUCKETS:
                    self._buckets.clear()
                self._buckets[name] = known
        return known

    async def _receive(self, exchange: Exchange, plan: _Plan, small: bool, opening: Callable[[], None]) -> None:
        """Takes a body that comes in pieces, or in chunks, or is long. ``opening``: proves it while it is read."""
        request = exchange.request
        try:
            if small:
                plan.again = (request.headers, BytesBody(await request.body.read(SMALL)))
                request.body = plan.again[1]
                opening()
                self._keep_small(exchange, plan, await request.body.read(SMALL), _trailers(request.body))
            else:
                if exchange.stream is not None:
                    request.body = exchange.flow()
                opening()
                await self._keep_large(exchange, plan, request.body)
        except ApiError as error:
            refuse(exchange, OPERATION, error)
        except NoSpace as error:
            words = f"{error} Free some space and try again."
            refuse(exchange, OPERATION, ApiError("InsufficientStorage", words, 507))

    def _keep_small(self, exchange: Exchange, plan: _Plan, data: bytes, trailers: Mapping[str, str]) -> None:
        """Raises ApiError if the bytes are not those that were stated."""
        wanted, algorithm = plan.wanted, plan.algorithm
        name, md5 = files.new_name(wanted.bucket, wanted.key), hashlib.md5(data, usedforsecurity=False)
        checksum = digest(algorithm, data)
        if plan.demand is not checksums.NONE:
            checksums.verify(plan.demand, Blob(name, len(data), md5.digest(), {algorithm: checksum}), trailers)
        new = _new(plan, name, len(data), md5.hexdigest(), checksum)
        new.unsynced = data
        self._commits.submit(Job(new, functools.partial(self._settle, exchange, plan, new)))

    async def _keep_large(self, exchange: Exchange, plan: _Plan, body: Body) -> None:
        wanted = plan.wanted
        blob = await self._objects.write(wanted.bucket, wanted.key, body, {plan.algorithm})
        try:
            checksums.verify(plan.demand, blob, _trailers(body))
        except ApiError:
            await self._objects.discard([blob.name])
            raise
        new = _new(plan, blob.name, blob.size, blob.md5.hex(), blob.checksums[plan.algorithm])
        settled = asyncio.get_running_loop().create_future()

        def done(version: str, error: Exception | None) -> None:
            settled.set_result((version, error))

        self._commits.submit(Job(new, done))
        version, error = await settled
        await (self._objects.keep(blob.name) if error is None else self._objects.discard([blob.name]))
        self._settle(exchange, plan, new, version, error)

    def _settle(self, exchange: Exchange, plan: _Plan, new: NewObject, version: str, error: Exception | None) -> None:
        """Answers, once it is known what became of the write."""
        if error is None:
            made = _Made(version, new.modified, new.size, new.etag, plan.document)
            told = telling.written(made, plan.bucket.versioning == "Enabled")
            exchange.respond(200, answer_headers(OPERATION, told), b"")
            return
        if isinstance(error, BucketChanged):
            self._buckets.pop(plan.bucket.name, None)
        if isinstance(error, ApiError):
            refuse(exchange, OPERATION, error)
        elif plan.again is not None:  # the disk is full or the bucket gone: control says so, or finds a way
            exchange.request.headers, exchange.request.body = plan.again
            self._forward(exchange)
        else:
            refuse(exchange, OPERATION, ApiError("SlowDown", "Please reduce your request rate.", 503))


@dataclass(slots=True)
class _Made:
    """``telling.Item`` of what was written."""

    version: str
    modified: float
    size: int
    etag: str
    document: Document


def _new(plan: _Plan, name: str, size: int, etag: str, checksum: bytes) -> NewObject:
    """The row of the blob ``name``; ``plan.document`` gets its checksum too."""
    wanted, encoded = plan.wanted, checksums.encode(checksum)
    plan.document = {**plan.document, "Checksums": {plan.algorithm: encoded}}
    return NewObject(
        place=plan.bucket,
        key=wanted.key,
        version=object_version() if plan.bucket.versioning == "Enabled" else "",
        modified=plan.now,
        size=size,
        etag=etag,
        blob=name,
        document=f'{plan.text},"Checksums":{{"{plan.algorithm}":"{encoded}"}}}}',
        check=conditions.write_check(wanted.members, wanted.key),
    )


def _describe(members: Mapping[str, Any]) -> tuple[Document, str]:
    """``telling.describe``, and the same as JSON text without its end."""
    if _SHARED.issuperset(members):
        return _describe_type(members.get("ContentType"))
    document = telling.describe(members, {})
    return document, dumps(document)[:-1]


@functools.lru_cache(maxsize=256)
def _describe_type(content_type: str | None) -> tuple[Document, str]:
    """Most objects have a type and nothing else; the document is shared."""
    document = telling.describe({"ContentType": content_type}, {})
    return document, dumps(document)[:-1]


def _trailers(body: Body) -> Mapping[str, str]:
    return body.trailers if isinstance(body, ChunkedBody) else {}


@functools.lru_cache(maxsize=1024)
def _writable(settings: str) -> bool:
    return _HARMLESS.issuperset(json.loads(settings))
