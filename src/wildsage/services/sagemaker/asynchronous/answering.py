"""One attempt at one request: its input out of S3 to the container, the answer into S3, as the model's role.

Nothing piles up: input and answer stream, whatever their size, and an object appears once it is whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, BinaryIO

from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError, ClientFault
from wildsage.kit.context import Platform
from wildsage.kit.roles import IDENTITY_CHANGED
from wildsage.services.sagemaker.asynchronous.bodies import Answer, Pieces, described, onward, read
from wildsage.services.sagemaker.asynchronous.lines import Hosts, Place
from wildsage.services.sagemaker.asynchronous.notices import End
from wildsage.services.sagemaker.asynchronous.rules import MOST_BYTES
from wildsage.services.sagemaker.instance import places, roles
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import FilePart
from wildsage.store.codec import Document
from wildsage.store.queued import Queued
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.messages import Body, BytesBody, ClientGone, FileBody, Headers, Request, Response

_SMALL = 1 << 16
_WORDS = 64 * 1024
_TIMED_OUT = (
    "ClientError: The invocation timed out: the model did not answer within {:g} seconds (InvocationTimeoutSeconds)."
)


class Again(Exception):
    """Not answered, and nothing is in S3. ``had``: the container had the request when it was lost."""

    def __init__(self, words: str, had: bool) -> None:
        super().__init__(words)
        self.had = had


class Failed(Exception):
    """The request cannot be answered. ``metric``: what it counts as, besides InvocationFailures."""

    def __init__(self, reason: str, metric: str = "") -> None:
        super().__init__(reason)
        self.metric = metric


Free = Callable[[], object]


@dataclass(slots=True)
class Attempt:
    """What came of it: values of metrics by name; and ``words``, what ``container`` said instead of an answer.

    ``free`` is called once the container has done its work, so that it gets the next request while S3 gets this answer.
    """

    free: Free = bool
    end: End = field(default_factory=End)
    measured: dict[str, float] = field(default_factory=dict)
    words: str = ""
    container: str = "model"


class Answering:
    """The hands of the dispatcher."""

    def __init__(self, platform: Platform, client: Client) -> None:
        self._platform = platform
        self._client = client
        self._callers: dict[str, Caller] = {}  # until anything of who is who changes: a role is looked up once
        platform.hints.listen(IDENTITY_CHANGED, self._forget)

    async def attempt(self, request: Queued, hosts: Hosts, place: Place, repeated: bool, free: Free) -> Attempt:
        """Raises Again. ``repeated``: another process may have answered it already."""
        found = Attempt(free)
        seconds = request.document["Timeout"]
        try:
            async with asyncio.timeout(seconds):
                caller = await self._assume(place.role)
                if repeated and (end := await self._left(request, hosts, caller)) is not None:
                    found.end = end
                    return found
                await self._answer(found, request, hosts, place, caller)
        except TimeoutError:
            found.end = End(_TIMED_OUT.format(seconds))
        except Failed as error:
            found.end = End(str(error))
            if error.metric:
                found.measured[error.metric] = 1.0
        return found

    async def explain(self, request: Queued, hosts: Hosts, role: str, end: End) -> End:
        """Writes why there is no answer to where failures go, unless the container's own words are there."""
        if not end.failure or end.location or "Failure" not in request.document:
            return end
        kind, words = "text/plain", end.failure.encode()
        try:
            caller = await self._assume(role)
            await self._put(request, "Failure", hosts, caller, hosts.key.region, words, kind)
        except (ApiError, Failed):
            return end  # nobody may write there: the notice and the log say what happened
        return End(end.failure, kind, request.document["Failure"], words)

    def _forget(self, _: str) -> None:
        self._callers = {}

    async def _assume(self, role: str) -> Caller:
        callers = self._callers  # what is found by a look that began before a change is forgotten with it
        known = callers.get(role)
        if known is None:
            try:
                known = callers[role] = await roles.assume(self._platform, role)
            except ClientFault as error:
                raise Failed(str(error)) from None
        return known

    async def _left(self, request: Queued, hosts: Hosts, caller: Caller) -> End | None:
        """How an earlier process ended it, if it got as far as S3."""
        if not request.document["Own"]:
            return None
        for member in ("Output", "Failure"):
            if member in request.document:
                at = places.parse(request.document[member])
                params = {"Bucket": at.bucket, "Key": at.key}
                with suppress(ApiError):  # not there, or not to be read by this role
                    told = await self._platform.calls.call(caller, hosts.key.region, "s3", "HeadObject", params)
                    reason = "" if member == "Output" else "ClientError: The invocation failed. Its words are in S3."
                    return End(reason, str(told.get("ContentType") or ""), str(at))
        return None

    async def _answer(self, found: Attempt, request: Queued, hosts: Hosts, place: Place, caller: Caller) -> None:
        began = perf_counter()
        file: BinaryIO | None = None
        try:
            body, headers, file = await self._input(request, hosts.key.region, caller)
            found.measured["RequestDownloadLatency"] = _microseconds(began)
            began = perf_counter()
            response, found.container = await self._invoke(place, request, headers, body)
            found.measured["ModelLatency"] = _microseconds(began)
            if isinstance(response.body, bytes):
                found.free()
            await self._keep(found, request, hosts, caller, response)
        finally:
            if file is not None:
                file.close()

    async def _input(self, request: Queued, region: str, caller: Caller) -> tuple[Body, Headers, BinaryIO | None]:
        """The input, its headers, and the file it is read from, for the caller to close."""
        kind = request.document.get("ContentType")
        if request.body is not None:
            return BytesBody(request.body), described(kind, len(request.body)), None
        for last in (False, True):
            told = await self._get(request.document["InputLocation"], region, caller)
            length, source = int(told["ContentLength"]), told["Body"]
            if length > MOST_BYTES:
                reason = f"ClientError: The input has {length} bytes; {MOST_BYTES} are the most."
                raise Failed(reason, "RequestDownloadFailures")
            headers = described(kind or told.get("ContentType"), length)
            if not isinstance(source, FileBody):
                return BytesBody(source) if isinstance(source, bytes) else Pieces(source), headers, None
            try:
                if length <= _SMALL:
                    return BytesBody(await in_thread(partial(read, source))), headers, None
                file = open(source.path, "rb")  # noqa: SIM115, ASYNC230 - closed by the caller, and of this machine
            except FileNotFoundError:
                if last:  # overwritten between the answer and the open: the next answer names the new bytes
                    raise Again("the input was overwritten", had=False) from None
            else:
                return FilePart(file, source.offset, length), headers, file
        raise AssertionError("one of the two returns")

    async def _get(self, uri: str, region: str, caller: Caller) -> Document:
        source = places.parse_any(uri, "InputLocation")
        params = {"Bucket": source.bucket, "Key": source.key}
        try:
            return await self._platform.calls.call(caller, region, "s3", "GetObject", params)
        except ApiError as error:
            if error.status >= 500:
                raise Again(str(error), had=False) from None
            reason = f"ClientError: Data download failed:{error.code} ({error.status}): {error.message} ({uri})"
            raise Failed(reason, "RequestDownloadFailures") from None

    async def _invoke(self, place: Place, request: Queued, headers: Headers, body: Body) -> tuple[Response, str]:
        """The last container's answer, or that of one which has none, once its head is here; and its name.

        What a container answers is the next one's request, and Accept is the last one's (as routers have it). Raises
        Again.
        """
        for number, (address, name) in enumerate(place.containers, 1):
            accept = request.document.get("Accept") if number == len(place.containers) else None
            response = await self._send(address, _asked(request, headers, accept), body)
            if number == len(place.containers) or not 200 <= response.status < 300:
                return response, name or "model"
            body, headers = Answer(response), onward(response)
        raise AssertionError("an instance has a container")

    async def _send(self, address: str, headers: Headers, body: Body) -> Response:
        try:
            return await self._client.send(address, Request("POST", "/invocations", headers, body))
        except Unreachable as error:
            raise Again(str(error), had=False) from None
        except (AnswerLost, OSError) as error:
            raise Again(str(error), had=True) from None
        except ClientGone:
            raise Again("the answer of the container before broke off", had=True) from None

    async def _keep(self, found: Attempt, request: Queued, hosts: Hosts, caller: Caller, response: Response) -> None:
        """The answer, or what the container says instead, into S3."""
        failed = not 200 <= response.status < 300
        found.measured["Invocation4XXErrors"] = float(400 <= response.status < 500)
        found.measured["Invocation5XXErrors"] = float(response.status >= 500)
        answer = Answer(response)
        member = "Failure" if failed else "Output"
        kind, began = response.header("content-type") or "application/octet-stream", perf_counter()
        reason = ""
        if failed:
            side = "client" if response.status < 500 else "server"
            reason = (
                f"ClientError: Received {side} error ({response.status}) from {found.container}. See the SageMaker "
                "Endpoint logs in your account for more information."
            )
        try:
            if member in request.document:
                await self._put(request, member, hosts, caller, hosts.key.region, answer, kind)
            else:
                async for _ in answer:
                    pass
        except ClientGone:
            raise Again(f"the answer broke off: {answer.lost}", had=True) from None
        except ApiError as error:
            if error.status >= 500:
                raise Again(str(error), had=True) from None
            if not failed:
                words = f"{error.code} ({error.status}): {error.message} ({request.document[member]})"
                raise Failed(f"ClientError: Response upload failed:{words}", "ResponseUploadFailures") from None
            member = ""
        finally:
            await answer.close()
        found.measured["ResponseUploadLatency"] = _microseconds(began)
        if failed:
            found.words = bytes(answer.first[:_WORDS]).decode("utf-8", "replace")
        found.end = End(reason, kind, request.document.get(member, ""), answer.whole())

    async def _put(
        self, request: Queued, member: str, hosts: Hosts, caller: Caller, region: str, body: Any, kind: str
    ) -> None:
        """One object; of a key that is nobody else's, what is there already stays."""
        target = places.parse(request.document[member])
        params: dict[str, Any] = {"Bucket": target.bucket, "Key": target.key, "ContentType": kind, "Body": body}
        if key := hosts.config["OutputConfig"].get("KmsKeyId"):
            params |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
        if request.document["Own"]:
            params["IfNoneMatch"] = "*"
        try:
            await self._platform.calls.call(caller, region, "s3", "PutObject", params)
        except ApiError as error:
            if error.code != "PreconditionFailed":
                raise


def _asked(request: Queued, headers: Headers, accept: str | None) -> Headers:
    """The headers of a container's request."""
    found = [("host", "localhost:8080"), *headers]
    for name, value in (
        ("accept", accept),
        ("x-amzn-sagemaker-custom-attributes", request.document.get("CustomAttributes")),
        ("x-amzn-sagemaker-inference-id", request.document["InferenceId"]),
    ):
        if value:
            found.append((name, value))
    return found


def _microseconds(began: float) -> float:
    return float(round((perf_counter() - began) * 1e6))
