"""The registry's door: ``/v2/…`` of the server's port, as docker, podman, skopeo and their like speak it.

Who asks says so with the password of GetAuthorizationToken.  What a request may is what its principal may of ECR's
operations, asked with each.  The registry is the one that the host names (``<account>.dkr.ecr.<region>.…``), else the
one that the password was asked for in.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.services.ecr import tokens
from wildsage.services.ecr.distribution import blobs, listings, manifests, paths, refusals
from wildsage.services.ecr.distribution.asking import Asking, BytesWanted, Permit
from wildsage.services.ecr.distribution.refusals import Refusal
from wildsage.services.ecr.names import Registry, registry_of_host
from wildsage.services.ecr.tokens import Grant
from wildsage.wire.http.lanes import FILE_HEADER, LANE_HEADER, WANTED, WITHHELD, file_text
from wildsage.wire.http.messages import ClientGone, FileBody, Request, Response

log = logging.getLogger(__name__)

_ANSWERS: Final[Mapping[str, Callable[[Asking], Awaitable[Response]]]] = {
    "base": listings.base,
    "catalog": listings.catalog,
    "tags": listings.tags,
    "manifest": manifests.manifest,
    "referrers": listings.referrers,
    "uploads": blobs.begin,
    "upload": blobs.upload,
    "blob": blobs.blob,
}


class Distribution:
    """Answers requests to the registry; never raises but ClientGone."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def __call__(self, request: Request, permit: Permit) -> Response:
        """``permit`` asks the door who may what."""
        try:
            return _handed(request, await self._answer(request, permit))
        except BytesWanted:
            return Response(202, [(LANE_HEADER, WANTED), ("content-length", "0")])
        except Refusal as refusal:
            return refusal.response()
        except ApiError as error:
            return refusals.of(error).response()
        except ClientGone:
            raise
        except OSError as error:
            log.warning("%s %s: %s", request.method, request.path, error)
            return Refusal("UNKNOWN", f"The data directory cannot be used: {error}", 507).response()
        except Exception:  # a bug of ours is one request's failure, in the registry's words, and not the connection's
            log.exception("%s %s failed", request.method, request.path)
            return Refusal("UNKNOWN", "An internal error occurred; the server's log has the details.", 500).response()

    async def _answer(self, request: Request, permit: Permit) -> Response:
        query, host = paths.query_of(request.query), request.header("host") or ""
        linked = self._linked(request, query)
        if linked is not None:
            return await linked
        grant = self._grant(request, host)
        place = paths.read(request.path)
        registry = registry_of_host(host) or Registry(grant.account, grant.region)
        return await _ANSWERS[place.kind](Asking(self._platform, request, place, query, registry, grant, permit))

    def _grant(self, request: Request, host: str) -> Grant:
        """Raises Refusal for whoever has no password, or a wrong one."""
        given = request.header("authorization")
        if given is None:
            raise refusals.unauthorized(host)
        platform = self._platform
        try:
            return tokens.open_basic(platform.credentials.master, given, platform.clock.now())
        except tokens.BadPassword as error:
            raise refusals.unauthorized(host, f"Not Authorized: {error}") from None
        except tokens.OldPassword as error:
            raise Refusal("DENIED", str(error), 403) from None

    def _linked(self, request: Request, query: Mapping[str, str]) -> Awaitable[Response] | None:
        """The answer to a link of GetDownloadUrlForLayer, which needs no password."""
        if "proof" not in query or request.method not in ("GET", "HEAD"):
            return None
        place = paths.read(request.path)
        account, _, region = query.get("registry", "").partition("/")
        registry = Registry(account, region)
        good = place.kind == "blob" and tokens.is_signed(
            self._platform.credentials.master,
            registry.place,
            place.name,
            place.of,
            query.get("expires", ""),
            query["proof"],
            self._platform.clock.now(),
        )
        if not good:
            raise Refusal("DENIED", "The link to this layer is not valid, or its time is over.", 403)
        asking = Asking(self._platform, request, place, {}, registry, None, _refuse_all)
        return blobs.blob(asking)


async def _refuse_all(_grant: Grant, _region: str, operation: str, _params: object) -> None:
    raise ApiError("AccessDeniedException", f"A link does not allow {operation}.", 400)


def _handed(request: Request, response: Response) -> Response:
    """Where another process talks to the client, it sends the file."""
    if request.header(LANE_HEADER) != WITHHELD or not isinstance(response.body, FileBody):
        return response
    kept = [header for header in response.headers if header[0] != "content-length"]
    told = [*kept, (FILE_HEADER, file_text(response.body)), ("content-length", "0")]
    return Response(response.status, told)
