"""ARNs, tokens and errors of CloudWatch Logs. Pure."""

from __future__ import annotations

from wildsage.core import arn
from wildsage.core.errors import ApiError
from wildsage.store.codec import Document

Position = tuple[int, int]


def group_arn(region: str, account: str, group: str) -> str:
    """Without the trailing ``:*`` (LogGroup's logGroupArn)."""
    return arn.build("logs", region, account, f"log-group:{group}")


def stream_arn(region: str, account: str, group: str, stream: str) -> str:
    return arn.build("logs", region, account, f"log-group:{group}:log-stream:{stream}")


def group_of(request: Document) -> str:
    """The group a request names, by name or by identifier (a name or an ARN)."""
    name, identifier = request.get("logGroupName"), request.get("logGroupIdentifier")
    if bool(name) == bool(identifier):
        raise invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
    if identifier and identifier.startswith("arn:"):
        return str(identifier.partition(":log-group:")[2].removesuffix(":*"))
    return str(name or identifier)


def invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)


def no_group() -> ApiError:
    return ApiError("ResourceNotFoundException", "The specified log group does not exist.")


def no_stream() -> ApiError:
    return ApiError("ResourceNotFoundException", "The specified log stream does not exist.")


def group_exists() -> ApiError:
    return ApiError("ResourceAlreadyExistsException", "The specified log group already exists")


def stream_exists() -> ApiError:
    return ApiError("ResourceAlreadyExistsException", "The specified log stream already exists")


def token(direction: str, position: Position) -> str:
    """GetLogEvents' tokens: ``f/`` or ``b/`` and 56 digits, as AWS writes them; here they hold time and number."""
    at, number = position
    return f"{direction}/{at + _OFFSET:028d}{number:028d}"


def position_of(text: str) -> tuple[str, Position]:
    """The inverse of ``token``; raises InvalidParameterException."""
    direction, _, digits = text.partition("/")
    if direction not in ("f", "b") or len(digits) != 56 or not digits.isdecimal():
        raise invalid("The specified nextToken is invalid.")
    return direction, (int(digits[:28]) - _OFFSET, int(digits[28:]))


_OFFSET = 1
"""So that the position before the first millisecond has a token without a sign."""
