"""What Lambda checks beyond its model, and what of it is not run here. Pure.

Source: API reference, CreateFunction and UpdateFunctionConfiguration; Developer Guide, "Lambda quotas" and "Using
Lambda environment variables".
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from typing import Any, Final

from wildsage.core.errors import ValidationError
from wildsage.core.functions import parse_function_name
from wildsage.services.lambda_.names import invalid, unsupported
from wildsage.store.codec import Document

EVENT_BYTES: Final = 6 * 1024 * 1024
"""Of a synchronous event."""
RESULT_BYTES: Final = EVENT_BYTES + 100
"""Of an answer: "Response payload size exceeded maximum allowed payload size (6291556 bytes)."."""
QUEUED_BYTES: Final = 1024 * 1024
"""Of an asynchronous event."""
ZIP_BYTES: Final = 50 * 1024 * 1024
UNPACKED_BYTES: Final = 262_144_000
ENTRIES: Final = 65_535
"""Of a zip; AWS names no number. It is what a zip of the usual form can have, and each costs an inode."""
CONFIGURATION: Final = (
    *("Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "VpcConfig", "Environment"),
    *("TracingConfig", "EphemeralStorage", "LoggingConfig", "ImageConfig", "SnapStart"),
)
"""The members that CreateFunction and UpdateFunctionConfiguration share and that are kept."""

_PYTHON: Final = re.compile(r"python3\.(\d+)")
_OLDEST, _NEWEST = 8, 14
_MOST = {"Timeout": 900, "MemorySize": 10_240}
_VARIABLES_BYTES: Final = 4096
_LONGEST_NAME: Final = 64
# Source: "Defined runtime environment variables", those marked as reserved.
_RESERVED: Final = frozenset(
    {
        *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV"),
        *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION"),
        *("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"),
        *("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
    }
)
_NOT_RUN: Final[Mapping[str, str]] = {
    "Layers": "put what the layers hold into the function's own zip.",
    "FileSystemConfigs": "there is no EFS; read from S3.",
    "DeadLetterConfig": "events that fail for good are named in the function's log alone.",
    "KMSKeyArn": "variables are kept as the rest of the data directory is.",
    "CodeSigningConfigArn": "signatures are not checked.",
    "Publish": "there is $LATEST alone; leave it out.",
    "PublishTo": "there is $LATEST alone; leave it out.",
    "TenancyConfig": "one worker serves every tenant.",
    "CapacityProviderConfig": "workers run on this machine.",
    "DurableConfig": "functions run from one event to its answer.",
    "RuntimeConfig": "functions have one event at a time.",
    "AcceleratorConfig": "workers see what the machine has.",
    "SourceKMSKeyArn": "code is kept as the rest of the data directory is.",
}


def architecture() -> str:
    """This machine's, as Lambda calls it."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def check_new(request: Document) -> None:
    """CreateFunction. Raises what Lambda raises, and Unsupported for what is not run here."""
    name = parse_function_name(request["FunctionName"]).name
    if len(name) > _LONGEST_NAME:
        raise ValidationError(
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must "
            f"have length less than or equal to {_LONGEST_NAME}"
        )
    if is_image(request):
        if request.get("Runtime") or request.get("Handler") or request.get("Layers"):
            raise invalid(
                "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
            )
        if not (request.get("Code") or {}).get("ImageUri"):
            raise invalid("Please provide ImageUri when creating a function with packageType Image.")
    elif not request.get("Runtime") or not request.get("Handler"):
        raise invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    elif request.get("ImageConfig"):
        raise invalid("ImageConfig is not supported for functions created with deployment packages.")
    check(request)


def is_image(document: Document) -> bool:
    """Whether a function, or a request for one, is of a container image."""
    return document.get("PackageType") == "Image"


def check(request: Document) -> None:
    """What CreateFunction, UpdateFunctionConfiguration and UpdateFunctionCode have in common."""
    for member, words in _NOT_RUN.items():
        if request.get(member):
            raise unsupported(member, words)
    for member, most in _MOST.items():
        if (request.get(member) or 0) > most:
            place = member[:1].lower() + member[1:]
            raise ValidationError(
                f"1 validation error detected: Value '{request[member]}' at '{place}' failed to satisfy constraint: "
                f"Member must have value less than or equal to {most}"
            )
    if request.get("Runtime"):
        _check_runtime(request["Runtime"])
    _check_members(request)
    check_variables((request.get("Environment") or {}).get("Variables") or {})


def _check_members(request: Document) -> None:
    for wanted in request.get("Architectures") or ():
        if wanted != architecture():
            raise unsupported(f"Architectures={wanted}", f"this machine is {architecture()}.")
    if (request.get("TracingConfig") or {}).get("Mode") == "Active":
        raise unsupported("TracingConfig.Mode=Active", "there is no X-Ray; use PassThrough.")
    if (request.get("SnapStart") or {}).get("ApplyOn") == "PublishedVersions":
        raise unsupported("SnapStart.ApplyOn=PublishedVersions", "there are no published versions; use None.")
    logging = request.get("LoggingConfig") or {}
    if logging.get("LogFormat") == "JSON":
        raise unsupported("LoggingConfig.LogFormat=JSON", "logs are text.")


def _check_runtime(runtime: str) -> None:
    found = _PYTHON.fullmatch(runtime)
    if found is None:
        raise unsupported(f"Runtime={runtime}", "functions run in Python (python3.8 to python3.14).")
    minor = int(found[1])
    if minor < _OLDEST:
        raise invalid(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions."
        )
    if minor > _NEWEST:
        raise unsupported(f"Runtime={runtime}", "functions run in Python (python3.8 to python3.14).")


def check_variables(variables: Mapping[str, str]) -> None:
    words = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided"
    )
    reserved = sorted(_RESERVED & variables.keys())
    if reserved:
        raise invalid(
            f"{words} contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(reserved)}"
        )
    text = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode("utf-8", "surrogatepass")) > _VARIABLES_BYTES:
        raise invalid(f"{words} exceeded the 4KB limit. String measured: {text}")


def configuration(request: Document, role: str) -> dict[str, Any]:
    """A new function's configuration, with what Lambda fills in."""
    name = parse_function_name(request["FunctionName"]).name
    asked = {member: request[member] for member in CONFIGURATION if request.get(member) is not None}
    return {
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "PackageType": request.get("PackageType") or "Zip",
        "Architectures": [architecture()],
        "TracingConfig": {"Mode": "PassThrough"},
        "EphemeralStorage": {"Size": 512},
        **asked,
        "Role": role,
        "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": f"/aws/lambda/{name}",
            **(request.get("LoggingConfig") or {}),
        },
    }
