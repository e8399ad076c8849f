"""How much one request may be: its bytes, by service and operation, and what they may hold.

A body is held in memory and read at once, so its size bounds how long everybody else waits for it. Sources: Lambda,
CloudWatch and CloudWatch Logs answer with these words and numbers; where AWS names none, the largest strings of the
service's model fit with room to spare.
"""

from __future__ import annotations

from dataclasses import dataclass

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import BodyTooLarge, Request
from wildsage.wire.timestamps import Malformed

MOST_UNPACKED = 8 * 1024 * 1024
"""Bytes of a body that came compressed."""
MOST_DEPTH = 128
"""How deep values may be nested."""
MOST_GROUPS = 50_000
"""Lists, maps and structures in one body: 1,000 metrics of 30 dimensions each are 34,000."""
_KIB, _MIB = 1024, 1024 * 1024
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True)
class Bound:
    """``most``: bytes of a request's body; ``values``: what it may hold.

    ``words`` may name {size}, {most} and {operation}.
    """

    most: int
    code: str = "RequestEntityTooLargeException"
    status: int = 413
    words: str = "Request must be smaller than {most} bytes for the {operation} operation"
    values: int = 100_000

    def refusal(self, operation: str, size: str) -> ApiError:
        """What a body of ``size`` bytes is answered with."""
        words = self.words.format(size=size, most=self.most, operation=operation or "requested")
        return ApiError(self.code, words, self.status)


def _metrics(most: int) -> Bound:
    # 1,000 metrics may have 150 values each, and how often each of them was seen.
    return Bound(most, "RequestEntityTooLarge", 413, "Request size {size} exceeded {most} bytes", 400_000)


_ANY = Bound(4 * _MIB)
_FORM = Bound(_MIB, "RequestEntityTooLarge")
_SERVICES = {
    "cloudwatch": _metrics(_MIB),
    "iam": _FORM,
    "lambda": Bound(_MIB),
    # A thousand keys to delete, or ten thousand parts to complete, fit with room to spare.
    "s3": Bound(4 * _MIB, "MaxMessageLengthExceeded", 400, "Your request was too big."),
    "sns": _FORM,
    "sts": _FORM,
}
_OPERATIONS = {
    ("cloudwatch", "GetMetricData"): _metrics(600 * _KIB),
    ("ecr", "PutImage"): Bound(12 * _MIB),  # a manifest of 4 MiB, each quotation mark of it escaped
    ("ecr", "UploadLayerPart"): Bound(28 * _MIB),  # 20 MiB in base64
    ("lambda", "CreateFunction"): Bound(70_167_211),  # 50 MiB in base64, and what else a function has
    ("lambda", "Invoke"): Bound(8 * _MIB),  # the operation itself counts to 6 MiB
    ("lambda", "UpdateFunctionCode"): Bound(70_167_211),
    ("lambda", "UpdateFunctionConfiguration"): Bound(5 * _KIB),
    # The operation itself counts to 1 MiB; JSON takes six bytes for a control character.
    ("logs", "PutLogEvents"): Bound(
        8 * _MIB, "InvalidParameterException", 400, "Upload too large: {size} bytes exceeds limit of 1048576"
    ),
}


def bound_of(service: str, operation: str = "") -> Bound:
    """What holds for an operation; without one, what holds for most of the service's."""
    return _OPERATIONS.get((service, operation)) or _SERVICES.get(service, _ANY)


async def read_bounded(request: Request, service: str, operation: str = "") -> bytes:
    """The body; raises the service's refusal.

    That comes once as much as is allowed has been read: many clients look for an answer only when all is sent.
    """
    bound = bound_of(service, operation)
    try:
        return await request.body.read(bound.most)
    except BodyTooLarge as error:
        size = request.header("content-length") or f"over {bound.most}"
        raise bound.refusal(operation, size) from error


def check_json(text: bytes, bound: Bound) -> None:
    """Raises Malformed for JSON that holds too much; that it is JSON at all is for others to say."""
    if not holds_few(text, bound):
        raise too_many(bound)
    if text.count(b"{") + text.count(b"[") <= MOST_DEPTH:
        return
    nested = _bare(text).translate(None, _NO_BRACKETS)
    for _ in range(MOST_DEPTH):
        nested = nested.replace(b"[]", b"").replace(b"{}", b"")
    if nested:
        raise Malformed(f"The request is nested more than {MOST_DEPTH} deep, or its brackets do not match")


def holds_few(text: bytes, bound: Bound) -> bool:
    """Whether JSON has no more values than it may, of which no more than MOST_GROUPS hold others."""
    if _counted(text, bound):
        return True
    if text.count(b'"') - text.count(b'\\"') > 4 * bound.values:  # two for each value, and two for its name
        return False
    return _counted(_bare(text), bound)


def _counted(text: bytes, bound: Bound) -> bool:
    groups = text.count(b"{") + text.count(b"[")
    return groups <= MOST_GROUPS and groups + text.count(b",") <= bound.values


def _bare(text: bytes) -> bytes:
    """Without strings, which may hold any of the signs."""
    return b"".join(text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def check_xml(text: bytes, bound: Bound) -> None:
    """Raises Malformed for XML of too many elements."""
    if text.count(b"<") > 2 * bound.values:
        raise too_many(bound)


def check_form(text: str, bound: Bound) -> None:
    """Raises Malformed for a form of too many fields, or of too many parts in their names."""
    if text.count("&") > MOST_GROUPS or text.count(".") > 6 * MOST_GROUPS:
        raise too_many(bound)


def too_many(bound: Bound) -> Malformed:
    """What a body of too many values is refused with."""
    return Malformed(f"The request has over {bound.values} values, or over {MOST_GROUPS} structures, lists and maps")
