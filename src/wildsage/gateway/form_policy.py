"""The policy of a form upload: what the signer allows the form to say.

Source: Amazon S3 API Reference, "POST Policy" (conditions and their matching).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from wildsage.core.errors import ApiError
from wildsage.wire.http.forms import MalformedForm
from wildsage.wire.http.messages import Body, read_whole

# Fields that no condition needs to name.
_EXEMPT: Final = frozenset(
    {"x-amz-signature", "signature", "file", "policy", "awsaccesskeyid", "submit"}
    | {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token"}
)

_IGNORED: Final = ("x-ignore-", "x-amz-checksum-", "x-amz-sdk-checksum-")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bytes the file must have."""

    least: int = 0
    most: int = 5 * 1024**3


def check_policy(text: str, fields: Mapping[str, str], bucket: str, now: float) -> Limits:
    """Raises InvalidPolicyDocument for a policy that is none, AccessDenied for a form that it does not allow."""
    document = _document(text)
    if _expiration(document) <= now:
        raise _refused("Policy expired.")
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        raise _malformed("missing conditions.")
    given = {**fields, "bucket": bucket}
    limits, named = Limits(), {"bucket"}
    for condition in conditions:
        if isinstance(condition, list) and condition and str(condition[0]).lower() == "content-length-range":
            limits = _range(condition)
            continue
        operator, name, wanted = _condition(condition)
        named.add(name)
        value = given.get(name, "" if operator == "starts-with" and not wanted else None)
        fits = value is not None and (value == wanted if operator == "eq" else value.startswith(wanted))
        if not fits:
            raise _refused(f"Policy Condition failed: {json.dumps([operator, f'${name}', wanted])}")
    extra = [name for name in fields if name not in named | _EXEMPT and not name.startswith(_IGNORED)]
    if extra:
        raise _refused(f"Extra input fields: {', '.join(extra)}")
    return limits


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _malformed("not valid JSON.") from None
    if not isinstance(document, dict):
        raise _malformed("not a JSON object.")
    return document


def _expiration(document: Mapping[str, Any]) -> float:
    text = document.get("expiration")
    if not isinstance(text, str):
        raise _malformed("missing expiration.")
    try:
        moment = datetime.strptime(text.partition(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise _malformed(f"invalid 'expiration' value: '{text}'") from None
    return moment.timestamp()


def _condition(raw: Any) -> tuple[str, str, str]:
    """Operator (``eq`` or ``starts-with``), lower-case field and value."""
    if isinstance(raw, dict) and len(raw) == 1:
        ((name, value),) = raw.items()
        return "eq", name.lower(), str(value)
    if isinstance(raw, list) and len(raw) == 3:
        operator, name, value = (str(each) for each in raw)
        if operator.lower() in ("eq", "starts-with") and name.startswith("$"):
            return operator.lower(), name[1:].lower(), value
    raise _malformed(f"invalid condition: {json.dumps(raw)}")


def _range(raw: list[Any]) -> Limits:
    try:
        _, least, most = raw
        limits = Limits(int(least), int(most))
    except (TypeError, ValueError, OverflowError):
        raise _malformed("content-length-range needs two numbers.") from None
    if limits.least < 0 or limits.most < 0:
        raise _malformed("content-length-range takes no negative numbers.")
    return limits


def malformed_form(error: MalformedForm) -> ApiError:
    words = f"The body of your POST request is not well-formed multipart/form-data: {error}"
    return ApiError("MalformedPOSTRequest", words, 400)


def _malformed(words: str) -> ApiError:
    return ApiError("InvalidPolicyDocument", f"Invalid Policy: {words}", 400)


def _refused(words: str) -> ApiError:
    return ApiError("AccessDenied", f"Invalid according to Policy: {words}", 403)


class FileField:
    """The file of a form; readers get EntityTooLarge, EntityTooSmall or MalformedPOSTRequest."""

    def __init__(self, body: Body, limits: Limits) -> None:
        self._body = body
        self._limits = limits

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, limits = 0, self._limits
        try:
            async for chunk in self._body:
                size += len(chunk)
                if size > limits.most:
                    fields = {"ProposedSize": str(size), "MaxSizeAllowed": str(limits.most)}
                    words = "Your proposed upload exceeds the maximum allowed size"
                    raise ApiError("EntityTooLarge", words, 400, fields)
                yield chunk
        except MalformedForm as error:
            raise malformed_form(error) from error
        if size < limits.least:
            fields = {"ProposedSize": str(size), "MinSizeAllowed": str(limits.least)}
            raise ApiError(
                "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400, fields
            )

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)
