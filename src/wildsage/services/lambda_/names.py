"""What a request's FunctionName means here, and Lambda's errors."""

from __future__ import annotations

from wildsage.core.errors import ApiError, Unsupported
from wildsage.core.functions import LATEST, FunctionName, function_arn, parse_function_name
from wildsage.kit.context import Context
from wildsage.store.codec import Document
from wildsage.store.resources import Key, Resource

KIND = "lambda-function"


def key_of(ctx: Context, named: FunctionName) -> Key:
    """Raises ResourceNotFoundException for a function of another region, which cannot be reached from this one."""
    if named.region not in ("", ctx.region):
        words = f"Functions from '{named.region}' are not reachable in this region ('{ctx.region}')"
        raise error("ResourceNotFoundException", words, 404)
    return Key(KIND, named.account or ctx.account, ctx.region, named.name)


def named(request: Document) -> FunctionName:
    """The function of the request, with its Qualifier."""
    found = parse_function_name(request["FunctionName"])
    asked = request.get("Qualifier") or ""
    if asked and found.qualifier and asked != found.qualifier:
        raise invalid("The derived qualifier from the function name does not match the specified qualifier.")
    return FunctionName(found.name, found.account, found.region, asked or found.qualifier)


async def fetch(ctx: Context, request: Document) -> Resource:
    """The function that a request names; raises ResourceNotFoundException."""
    name = named(request)
    key = key_of(ctx, name)
    found = await ctx.platform.resources.get(key)
    if found is None or name.qualifier not in ("", LATEST):
        raise no_function(key, name.qualifier)
    return found


def arn_of(key: Key, qualifier: str = "") -> str:
    return function_arn(key.account, key.region, key.name, qualifier)


def no_function(key: Key, qualifier: str = "") -> ApiError:
    return error("ResourceNotFoundException", f"Function not found: {arn_of(key, qualifier)}", 404)


def invalid(message: str) -> ApiError:
    return error("InvalidParameterValueException", message, 400)


def conflict(message: str) -> ApiError:
    return error("ResourceConflictException", message, 409)


def error(code: str, message: str, status: int) -> ApiError:
    """As the service's error shapes have it, whose members say whose fault it was."""
    return ApiError(code, message, status, {"Type": "User"})


def unsupported(member: str, words: str) -> Unsupported:
    return Unsupported(f"{member} is not supported by Wildsage: {words}")
