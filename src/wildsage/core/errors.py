"""Every error Wildsage raises on purpose.

    WildsageError
    ├── SettingsError            a setting, option or data directory that cannot be used
    ├── RuntimeRefused           a runtime was asked for something it declares it cannot do
    ├── JobFault                 user work that failed; its text becomes the FailureReason
    │   ├── ClientFault            the caller's doing ("ClientError: …", "AlgorithmError: …")
    │   │   ├── RegistryGone         an image's registry cannot be reached
    │   │   └── CannotStart          an image's program that does not exist or cannot be executed
    │   └── InternalFault          ours ("InternalServerError: …")
    └── ApiError                 an answer in AWS's form: code, HTTP status, message
        ├── ValidationError        ValidationException, 400
        ├── AccessDenied           AccessDeniedException, 403
        ├── Unsupported            a known operation that does nothing here yet
        └── InternalFailure        500

Services raise ApiError with the code their API reference lists; the wire layer puts it into the
protocol's form.  Whatever else escapes an operation is a bug and becomes InternalFailure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class WildsageError(Exception):
    """Base of the tree."""


class SettingsError(WildsageError):
    """A setting, command-line option or data directory cannot be used; the message says what to change."""


class RuntimeRefused(WildsageError):
    """A runtime was asked for a capability that it does not have; the message names both."""


class JobFault(WildsageError):
    """User work failed. ``str(error)`` is the FailureReason, in AWS's form ``Kind: words``."""


class ClientFault(JobFault):
    """The caller's input, script or image is at fault."""


class RegistryGone(ClientFault):
    """The registry that an image is to be had of cannot be reached."""


class CannotStart(ClientFault):
    """The program of an image does not exist, may not be executed, or is for another architecture.

    ``str(error)``: the engine's own words, without a kind before them; whoever launched knows what was to be run.
    """


class InternalFault(JobFault):
    """Wildsage or the machine is at fault."""


class ApiError(WildsageError):
    """An AWS error answer.

    ``code`` is the error code as clients see it (``ResourceNotFound``), ``status`` the HTTP status, ``fields`` further
    members of the modelled error shape.
    """

    def __init__(self, code: str, message: str, status: int = 400, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields: Mapping[str, Any] = fields or {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.message!r}, {self.status})"


class ValidationError(ApiError):
    """``ValidationException``: the request's members break the model or a rule."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message, 400)


class AccessDenied(ApiError):
    """``AccessDeniedException``: known caller, not allowed."""

    def __init__(self, message: str) -> None:
        super().__init__("AccessDeniedException", message, 403)


class Unsupported(ApiError):
    """A modelled operation or feature that Wildsage does not run yet. Clients do not retry it."""

    def __init__(self, message: str) -> None:
        super().__init__("UnsupportedOperationException", message, 400)


class InternalFailure(ApiError):
    """``InternalFailure``: a bug of ours."""

    def __init__(self, message: str = "An internal error occurred; the server's log has the details.") -> None:
        super().__init__("InternalFailure", message, 500)
