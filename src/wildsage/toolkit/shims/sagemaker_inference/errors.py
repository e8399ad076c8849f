"""What inference code may raise; ``status_code`` is that of the answer."""

from __future__ import annotations

from ._serving import module

UnsupportedFormatError = module("formats").UnsupportedFormatError


class BaseInferenceToolkitError(Exception):
    """To be derived from."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        super().__init__(status_code, message, phrase)
        self.status_code = status_code
        self.message = message
        self.phrase = phrase


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """Any failure, with the status to answer with."""

    def __init__(self, status_code: int, message: str | None = None, phrase: str | None = None) -> None:
        message = message or "Invalid Request"
        super().__init__(status_code, message, phrase or message)
