"""The fast way: GetObject, HeadObject and PutObject where nothing but a plain success can come out.

Whatever is not plain goes to control, which also has every refusal to give, so the two ways cannot answer differently:
here is only ever said yes.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sqlite3
from pathlib import Path
from typing import Final

from wildsage.core.background import Background
from wildsage.core.errors import ApiError
from wildsage.dataplane.objects import asked
from wildsage.dataplane.objects.asked import Asked
from wildsage.dataplane.objects.known import Known, is_of_body
from wildsage.dataplane.objects.wording import answer_headers, internal_error, refuse
from wildsage.dataplane.objects.writing import Writing
from wildsage.objects.rules import conditions, telling
from wildsage.store.directindex import Held
from wildsage.wire import sigv4
from wildsage.wire.authorization import parse_authorization
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import BytesBody, FileBody, Headers, Response
from wildsage.wire.http.server import send_response
from wildsage.wire.sigv4 import Authorization

log = logging.getLogger(__name__)

_SMALL: Final = 64 * 1024
_OPERATIONS: Final = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}
# Settings of a bucket that make no difference to reading an object. Any other sends the request to control.
_READ_HARMLESS: Final = frozenset(
    {"Acl", "CORSConfiguration", "NotificationConfiguration", "ObjectLockConfiguration", "OwnershipControls"}
    | {"PublicAccessBlockConfiguration", "ServerSideEncryptionConfiguration", "Tagging"}
)
# What an object's document may not have: it is sealed, locked, or another account's.
_SPECIAL: Final = ("Sealed", "Lock", "Owner")


class Lane:
    """``answer`` returns False for what is control's; then nothing has happened yet.

    ``background``: where files are sent.
    """

    def __init__(self, known: Known, writing: Writing, root: Path, background: Background) -> None:
        self._known = known
        self._table = known.table
        self._index = known.index
        self._writing = writing
        self._root = f"{root}/"
        self._background = background

    def answer(self, exchange: Exchange) -> bool:
        """Answers now or later; False for what is control's."""
        operation = _OPERATIONS.get(exchange.request.method)
        if operation is None:
            return False
        try:
            if operation == "PutObject":
                return self._writing.answer(exchange)
            return self._read(exchange, operation)
        except ApiError:
            return False  # control finds the same and says so
        except sqlite3.Error as error:
            log.warning("the index cannot be read: %s", error)
            return False
        except Exception:  # a bug of ours is one request's failure, in S3's words, and not the connection's
            log.exception("%s %s failed", exchange.request.method, exchange.request.path)
            refuse(exchange, operation, internal_error())
            return True

    def _read(self, exchange: Exchange, operation: str) -> bool:
        request = exchange.request
        if not isinstance(request.body, BytesBody):
            return False
        wanted = asked.read(request, operation)
        authorization = parse_authorization(request)
        if wanted is None or authorization is None or not self._proves(exchange, authorization, wanted):
            return False
        held = self._index.find(wanted.bucket, wanted.key)
        if held is None or held.region != authorization.region or not self._is_plain(held):
            return False
        conditions.check_read(wanted.members, held)
        told = telling.answer(held, bool(held.versioning))
        offset = telling.add_piece(told, wanted.members, held)
        status = 206 if "ContentRange" in told else 200
        headers = answer_headers(operation, told)
        if operation == "HeadObject":
            exchange.respond(status, headers, b"")
            return True
        length, early = told["ContentLength"], self._writing.bytes_of(str(held.blob))
        if early is not None:
            exchange.respond(status, headers, early[offset : offset + length])
            return True
        return self._send_bytes(exchange, status, headers, f"{self._root}{held.blob}", offset, length)

    def _proves(self, exchange: Exchange, authorization: Authorization, wanted: Asked) -> bool:
        """Whether the caller of a request that is all here may plainly read; raises ApiError for a wrong signature."""
        now = self._known.clock.now()
        secret = self._known.secret(authorization, wanted, self._table.may_read, now)
        if secret is None:
            return False
        body = exchange.request.body
        data = body.data if isinstance(body, BytesBody) else b""
        hashed = sigv4.hash_of(authorization, exchange.request, data)
        if not is_of_body(hashed):
            return False
        sigv4.verify(authorization, exchange.request, secret, hashed, now)
        return True

    def _is_plain(self, held: Held) -> bool:
        if held.marker or held.blob is None or held.account != self._table.account:
            return False
        document = held.document
        return _readable(held.settings) and not any(name in document for name in _SPECIAL)

    def _send_bytes(
        self, exchange: Exchange, status: int, headers: Headers, path: str, offset: int, length: int
    ) -> bool:
        """False, with nothing sent, if the file is not all there: control finds its bytes."""
        if length <= _SMALL:
            try:
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return False
            data = bytearray(length)
            try:
                got = os.preadv(file, [data], offset, os.RWF_NOWAIT) if length else 0
            except OSError:
                got = -1  # not in memory, or a file system that cannot tell (tmpfs): a thread waits for the disk
            finally:
                os.close(file)
            if got == length:
                exchange.respond(status, headers, bytes(data))
                return True
        try:
            if os.stat(path).st_size < offset + length:  # noqa: PTH116
                return False
        except OSError:
            return False
        response = Response(status, headers, FileBody(Path(path), offset, length))
        self._background.begin(send_response(exchange, response))
        return True


@functools.lru_cache(maxsize=1024)
def _readable(settings: str) -> bool:
    return _READ_HARMLESS.issuperset(json.loads(settings))
