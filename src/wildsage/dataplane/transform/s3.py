"""S3, as the job's role, through the server's own door."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from wildsage.core.transforms import Item
from wildsage.dataplane.transform.faults import Fault
from wildsage.wire import sigv4
from wildsage.wire.http.client import Client, Whole
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.messages import BytesBody, Headers, Request

log = logging.getLogger(__name__)

_PATIENCE = 900.0
"""Seconds that the server may be away: while control starts anew nobody files what is uploaded."""
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0
_HEAD_SECONDS = 120.0
_CREDENTIALS_SECONDS = 600.0
_FULL = 507  # waiting makes no room
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Refused(Exception):
    """S3 said no. ``code``: its error code, or the status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.status = status
        self.code = code


class S3:
    """``door``: http://host:port. ``credentials``: the URL where the role's are."""

    def __init__(self, door: str, region: str, credentials: str) -> None:
        parts = urlsplit(door)
        self._host = parts.netloc
        self._address = f"tcp:{parts.hostname}:{parts.port}"
        self._region = region
        self._credentials_path = urlsplit(credentials).path
        self._known: tuple[sigv4.Credentials, float] | None = None
        self._client = Client()

    def close(self) -> None:
        self._client.close()

    async def ask(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Whole:
        """One signed request, repeated while the server is away. Raises Refused, Fault."""
        began, wait = time.monotonic(), _FIRST_WAIT
        while True:
            try:
                answer = await self._once(method, target, headers, body)
                if answer.status < 500 or answer.status == _FULL:
                    return _accepted(answer)
                words = f"status {answer.status}"
            except (Unreachable, AnswerLost, TimeoutError, OSError) as error:
                words = f"{type(error).__name__}: {error}"
            if time.monotonic() - began > _PATIENCE:
                raise Fault(f"InternalServerError: S3 of this server gave no answer: {words}.", last=True)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _once(self, method: str, target: str, headers: Headers, body: bytes) -> Whole:
        request = Request(method, target, [("host", self._host), *headers], BytesBody(body))
        if body or method in ("PUT", "POST"):
            request.headers.append(("content-length", str(len(body))))
        sigv4.sign(request, await self._credentials(), self._region, "s3", time.time(), sigv4.UNSIGNED_PAYLOAD)
        return await self._client.whole(self._address, request, head_seconds=_HEAD_SECONDS)

    async def _credentials(self) -> sigv4.Credentials:
        if self._known is None or time.time() > self._known[1]:
            request = Request("GET", self._credentials_path, [("host", self._host)], BytesBody())
            answer = await self._client.whole(self._address, request, head_seconds=_HEAD_SECONDS)
            if answer.status >= 500:
                raise OSError(f"no credentials: status {answer.status}")
            if answer.status != 200:
                raise Fault(
                    "ClientError: The credentials of the model's role cannot be had any more. Please ensure "
                    "that the role exists.",
                    last=True,
                )
            found = json.loads(answer.body)
            keys = sigv4.Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
            self._known = keys, time.time() + _CREDENTIALS_SECONDS
        return self._known[0]


def path_of(bucket: str, key: str) -> str:
    """The request path of an object."""
    return f"/{bucket}/{quote(key, safe='/~')}"


def of_input(error: Refused, item: Item) -> Fault:
    """An object that could not be read."""
    if error.code in ("NoSuchKey", "404"):
        return Fault(f"ClientError: {item} does not exist any more: it was deleted after the job was created.")
    if error.code == "PreconditionFailed":
        return Fault(f"ClientError: {item} was overwritten while it was transformed.")
    return Fault(
        f'ClientError: {item} could not be read: {error}. Please ensure that the role of the model has "s3:GetObject" '
        "permission on it."
    )


def of_output(error: Refused, bucket: str, key: str) -> Fault:
    """An output that could not be written; no other would be."""
    return Fault(
        f"ClientError: s3://{bucket}/{key} could not be written: {error}. Please see that the bucket exists and that "
        'the role of the model has "s3:PutObject" permission on it.',
        last=True,
    )


def member(document: bytes, name: str) -> str:
    """The text of a member of an XML answer."""
    return ElementTree.fromstring(document).findtext(f"{_NAMESPACE}{name}") or ""


def completion(tags: Sequence[str]) -> bytes:
    """The body of CompleteMultipartUpload."""
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in enumerate(tags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


def _accepted(answer: Whole) -> Whole:
    if answer.status < 300:
        return answer
    code, message = str(answer.status), "the request was refused"
    if answer.body.strip():
        try:
            root = ElementTree.fromstring(answer.body)
        except ElementTree.ParseError:
            raise Refused(answer.status, code, message) from None
        code, message = root.findtext("Code") or code, root.findtext("Message") or message
    raise Refused(answer.status, code, message)
