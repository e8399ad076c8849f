"""PutObject where it is plain: into a bucket that adds nothing, with a body that proves itself."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.core.ids import object_version
from wildsage.dataplane.answers import request_id
from wildsage.dataplane.objects import asked
from wildsage.dataplane.objects.asked import Asked
from wildsage.dataplane.objects.commits import Commits, Job
from wildsage.dataplane.objects.known import Known
from wildsage.dataplane.objects.wording import answer_headers, error_response
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
from wildsage.wire.http.messages import Body, BytesBody
from wildsage.wire.http.server import guarded
from wildsage.wire.sigv4_streaming import ChunkedBody, open_body

log = logging.getLogger(__name__)

OPERATION: Final = "PutObject"
# Bodies up to this are committed with their object, longer ones are on the disk before.
SMALL: Final = 64 * 1024
_MOST_BUCKETS: Final = 1024
# Settings of a bucket that make no difference to writing an object. Any other sends the request to control.
_HARMLESS: Final = frozenset(
    {"Acl", "CORSConfiguration", "OwnershipControls", "PublicAccessBlockConfiguration", "Tagging"}
)


@dataclass(slots=True)
class _Plan:
    """An object to be, up to its bytes. ``raw``: the request is as it came, so control could still have it."""

    wanted: Asked
    bucket: BucketRow
    now: float
    document: Document
    demand: Demand
    algorithms: Collection[str]
    raw: bool


class Writing:
    """``answer`` returns False, or raises ApiError, for what is control's; then nothing has happened yet.

    ``forward``: hands an exchange to control. ``spawn``: runs a coroutine in the background.
    """

    def __init__(
        self,
        known: Known,
        commits: Commits,
        objects: LocalObjects,
        forward: Callable[[Exchange], None],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._known = known
        self._table = known.table
        self._index = known.index
        self._commits = commits
        self._objects = objects
        self._forward = forward
        self._spawn = spawn
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
        signer = self._known.signer(authorization, wanted, now)
        if signer is None:
            return False
        secret, identity = signer
        arn = f"arn:aws:s3:::{wanted.bucket}/{wanted.key}"
        if not self._table.may_write(identity.principal, identity.user_id, arn):
            return False
        body = request.body
        declared = sigv4.declared_hash(authorization, request) or sigv4.EMPTY_SHA256
        whole = declared == sigv4.UNSIGNED_PAYLOAD or len(declared) == 64
        raw = whole and isinstance(body, BytesBody) and len(body.data) <= SMALL and self._commits.has_room()
        # What is not raw cannot be handed to control any more once the transaction finds that the bucket has changed.
        bucket = self._bucket(wanted.bucket) if raw else self._index.bucket(wanted.bucket)
        if bucket is None or bucket.account != self._table.account or bucket.region != authorization.region:
            return False
        if not _writable(bucket.settings) or len(wanted.key.encode()) > files.KEY_BYTES:
            return False
        demand = checksums.read_demand(wanted.members, request.header("x-amz-trailer"), from_client=True)
        document = telling.describe(wanted.members, {})
        algorithms = {demand.algorithm or checksums.DEFAULT}
        plan = _Plan(wanted, bucket, now, document, demand, algorithms, raw)
        if isinstance(body, BytesBody) and raw:
            sigv4.verify(authorization, request, secret, sigv4.hash_of(authorization, request, body.data), now)
            self._keep_small(exchange, plan, body.data, {})
            return True
        sigv4.verify(authorization, request, secret, declared, now)
        open_body(authorization, request, secret)
        self._spawn(guarded(exchange, self._receive(exchange, plan)))
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

    async def _receive(self, exchange: Exchange, plan: _Plan) -> None:
        """Takes a body that comes in pieces, or in chunks, or is long."""
        body = exchange.request.body
        try:
            if int(exchange.request.header("content-length") or 0) <= SMALL and self._commits.has_room():
                data = await body.read(SMALL)
                self._keep_small(exchange, plan, data, _trailers(body))
            else:
                await self._keep_large(exchange, plan, body)
        except ApiError as error:
            self._refuse(exchange, error)
        except NoSpace as error:
            self._refuse(exchange, ApiError("InsufficientStorage", f"{error} Free some space and try again.", 507))

    def _keep_small(self, exchange: Exchange, plan: _Plan, data: bytes, trailers: Mapping[str, str]) -> None:
        """Raises ApiError if the bytes are not those that were stated."""
        wanted = plan.wanted
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        found = {name: digest(name, data) for name in plan.algorithms}
        blob = Blob(files.new_name(wanted.bucket, wanted.key), len(data), md5, found)
        checksums.verify(plan.demand, blob, trailers)
        new = _new(plan, blob)
        new.unsynced = data

        def done(version: str, error: Exception | None) -> None:
            self._settle(exchange, plan, new, version, error)

        self._commits.submit(Job(new, done))

    async def _keep_large(self, exchange: Exchange, plan: _Plan, body: Body) -> None:
        wanted = plan.wanted
        blob = await self._objects.write(wanted.bucket, wanted.key, body, plan.algorithms)
        try:
            checksums.verify(plan.demand, blob, _trailers(body))
        except ApiError:
            await self._objects.discard([blob.name])
            raise
        new, settled = _new(plan, blob), asyncio.get_running_loop().create_future()

        def done(version: str, error: Exception | None) -> None:
            settled.set_result((version, error))

        self._commits.submit(Job(new, done))
        version, error = await settled
        await (self._objects.keep(blob.name) if error is None else self._objects.discard([blob.name]))
        self._settle(exchange, plan, new, version, error)

    def _settle(self, exchange: Exchange, plan: _Plan, new: NewObject, version: str, error: Exception | None) -> None:
        """Answers, once it is known what became of the write."""
        if isinstance(error, BucketChanged):
            self._buckets.pop(plan.bucket.name, None)
        if error is None:
            made = _Made(version, new.modified, new.size, new.etag, plan.document)
            told = telling.written(made, plan.bucket.versioning == "Enabled")
            exchange.respond(200, answer_headers(OPERATION, told, request_id()), b"")
        elif isinstance(error, ApiError):
            self._refuse(exchange, error)
        elif plan.raw:
            self._forward(exchange)  # the disk is full or the bucket gone: control says so, or finds a way
        else:
            self._refuse(exchange, ApiError("SlowDown", "Please reduce your request rate.", 503))

    def _refuse(self, exchange: Exchange, error: ApiError) -> None:
        response = error_response(OPERATION, error, request_id())
        exchange.respond(response.status, response.headers, response.body if isinstance(response.body, bytes) else b"")


@dataclass(slots=True)
class _Made:
    """``telling.Item`` of what was written."""

    version: str
    modified: float
    size: int
    etag: str
    document: Document


def _new(plan: _Plan, blob: Blob) -> NewObject:
    plan.document["Checksums"] = checksums.encode_all(blob.checksums)
    wanted = plan.wanted
    return NewObject(
        place=plan.bucket,
        key=wanted.key,
        version=object_version() if plan.bucket.versioning == "Enabled" else "",
        modified=plan.now,
        size=blob.size,
        etag=blob.md5.hex(),
        blob=blob.name,
        document=dumps(plan.document),
        check=conditions.write_check(wanted.members, wanted.key),
    )


def _trailers(body: Body) -> Mapping[str, str]:
    return body.trailers if isinstance(body, ChunkedBody) else {}


@functools.lru_cache(maxsize=1024)
def _writable(settings: str) -> bool:
    return _HARMLESS.issuperset(json.loads(settings))
