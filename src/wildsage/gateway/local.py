"""``/_wildsage/``: what is not AWS's. Health, the credentials of containers, commands, and reset."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import wildsage
from wildsage.core import sessions
from wildsage.core.caller import Caller
from wildsage.core.sessions import ExpiredToken, InvalidToken
from wildsage.gateway import commands
from wildsage.gateway.parts import Parts
from wildsage.kit.roles import CREDENTIALS_PATH
from wildsage.wire.http.messages import Request, Response

PREFIX = "/_wildsage/"
_HOUR = 3600.0

Reset = Callable[[], Awaitable[None]]


def _json(status: int, document: object) -> Response:
    return Response(status, [("content-type", "application/json")], json.dumps(document).encode())


async def answer_local(parts: Parts, request: Request, reset: Reset | None) -> Response:
    """Answers a request below PREFIX. ``reset``: empties the server; None where that is not offered."""
    path = request.path
    if path == "/_wildsage/health" and request.method in ("GET", "HEAD"):
        return _json(200, {"status": "ready", "version": wildsage.__version__, "url": parts.platform.settings.url})
    await parts.complete.wait()
    if path.startswith(commands.PREFIX):
        return _json(*await commands.run(parts, request))
    if path.startswith(f"{CREDENTIALS_PATH}/") and request.method == "GET":
        return await _credentials(parts, path.removeprefix(f"{CREDENTIALS_PATH}/"))
    if (
        path == "/_wildsage/status" and not request.peer
    ):  # who connects to the socket itself may read the data directory
        return _json(200, await _counts(parts))
    if path == "/_wildsage/reset" and request.method == "POST":
        if reset is None:
            return _json(403, {"message": "Only a server started with --ephemeral can be reset."})
        if request.header("origin") is not None:
            return _json(403, {"message": "A page in a browser, whosever it is, cannot reset the server."})
        await reset()
        return _json(200, {"status": "empty"})
    return _json(404, {"message": f"There is nothing at {path[:200]}."})


async def _counts(parts: Parts) -> dict[str, object]:
    """How many there are of each kind of resource."""
    return {"resources": await parts.platform.resources.counts()}


async def _credentials(parts: Parts, secret_path: str) -> Response:
    """An hour's credentials in the form of the ECS agent, which AWS's clients read in containers."""
    platform = parts.platform
    access_key, _, token = secret_path.partition("/")
    now = platform.clock.now()
    try:
        session = sessions.open(platform.credentials.master, token, access_key, now)
    except (InvalidToken, ExpiredToken) as error:
        return _json(403, {"code": "AccessDenied", "message": str(error)})
    caller = session.caller
    if await parts.principals.identity(caller) is None:
        return _json(403, {"code": "AccessDenied", "message": f"{caller.principal} is no longer there"})
    return _json(200, _container_form(platform.credentials.master, caller, now))


def _container_form(master: bytes, caller: Caller, now: float) -> dict[str, str]:
    issued = sessions.issue(master, caller, now, now + _HOUR)
    return {
        "RoleArn": caller.principal,
        "AccessKeyId": issued.access_key,
        "SecretAccessKey": issued.secret,
        "Token": issued.token,
        "Expiration": datetime.fromtimestamp(issued.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
