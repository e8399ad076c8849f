"""Cross-origin requests: what a bucket's CORS configuration lets browsers do.

Source: User Guide, "Using cross-origin resource sharing".
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from wildsage.core.errors import ApiError
from wildsage.services.s3 import errors
from wildsage.services.s3.guards import Guards
from wildsage.store.codec import Document
from wildsage.wire.http.messages import Headers, Request
from wildsage.wire.names import virtual_bucket

_VARY: Final = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_METHODS: Final = ("GET", "PUT", "HEAD", "POST", "DELETE")


def check(configuration: Document) -> None:
    """Raises InvalidRequest or MalformedXML for rules that S3 does not take."""
    rules = configuration.get("CORSRules") or []
    if not 1 <= len(rules) <= 100:
        raise errors.malformed_xml()
    for rule in rules:
        for method in rule["AllowedMethods"]:
            if method not in _METHODS:
                raise errors.invalid_request(
                    f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                )
        for origin in rule["AllowedOrigins"]:
            if origin.count("*") > 1:
                raise errors.invalid_request(f'AllowedOrigin "{origin}" can not have more than one wildcard.')


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None


def find(rules: Sequence[Document], origin: str, method: str, asked: Sequence[str]) -> tuple[Document, str] | None:
    """The first rule that fits, and the origin pattern that did; ``asked``: headers the browser wants to send."""
    for rule in rules:
        pattern = next((each for each in rule["AllowedOrigins"] if _like(each, origin)), None)
        headers = [each.lower() for each in rule.get("AllowedHeaders") or ()]
        if pattern is None or method not in rule["AllowedMethods"]:
            continue
        if all(any(fnmatch.fnmatchcase(name.lower(), each) for each in headers) for name in asked):
            return rule, pattern
    return None


def allowing(rule: Document, pattern: str, origin: str, asked: Sequence[str]) -> Headers:
    """The headers of an answer to a request that ``rule`` lets through."""
    told = [
        ("access-control-allow-origin", "*" if pattern == "*" else origin),
        ("access-control-allow-methods", ", ".join(rule["AllowedMethods"])),
    ]
    if asked:
        told.append(("access-control-allow-headers", ", ".join(each.lower() for each in asked)))
    if rule.get("ExposeHeaders"):
        told.append(("access-control-expose-headers", ", ".join(rule["ExposeHeaders"])))
    if rule.get("MaxAgeSeconds") is not None:
        told.append(("access-control-max-age", str(rule["MaxAgeSeconds"])))
    if pattern != "*":
        told.append(("access-control-allow-credentials", "true"))
    return [*told, ("vary", _VARY)]


class CrossOrigin:
    """``gateway.parts.CrossOrigin`` for S3."""

    def __init__(self, guards: Guards) -> None:
        self._guards = guards

    async def preflight(self, request: Request) -> Headers:
        """The headers that answer OPTIONS. Raises BadRequest, or AccessForbidden if no rule fits."""
        origin, method = request.header("origin"), request.header("access-control-request-method")
        if origin is None:
            raise ApiError("BadRequest", "Insufficient information. Origin request header needed.", 400)
        if method not in _METHODS:
            raise ApiError("BadRequest", f"Invalid Access-Control-Request-Method: {method}", 400)
        rules = await self._rules(request)
        if not rules:
            raise ApiError("AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.", 403)
        asked = _names(request.header("access-control-request-headers"))
        found = find(rules, origin, method, asked)
        if found is None:
            words = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, "
            words += "request method / Access-Control-Request-Method or Access-Control-Request-Headers are not "
            raise ApiError("AccessForbidden", f"{words}whitelisted by the resource's CORS spec.", 403)
        return allowing(*found, origin, asked)

    async def headers(self, request: Request) -> Headers:
        """What the answer to any other request gets: nothing unless it has an origin that a rule fits."""
        origin = request.header("origin")
        if origin is None:
            return []
        method = request.header("access-control-request-method") or request.method
        found = find(await self._rules(request), origin, method, [])
        return [] if found is None else allowing(*found, origin, [])

    async def _rules(self, request: Request) -> Sequence[Document]:
        name = virtual_bucket(request.header("host") or "") or unquote(request.path.split("/")[1])
        bucket = await self._guards.bucket(name)
        return [] if bucket is None else (bucket.settings.get("CORSConfiguration") or {}).get("CORSRules") or []


def _names(header: str | None) -> list[str]:
    return [each.strip() for each in (header or "").split(",") if each.strip()]
