"""How a training job of a built-in algorithm fails."""

from __future__ import annotations

CUSTOMER = 2
"""Exit status for what the caller can cure."""

ALGORITHM = 1
"""Exit status for everything else."""


class CustomerError(Exception):
    """What the caller can cure: a hyperparameter, a channel, the data.

    ``message`` is what FailureReason shows after ``ClientError:``; ``cause`` is appended in the images' way.
    """

    def __init__(self, message: str, cause: str = "", caused_by: str = "ValidationError") -> None:
        self.message = f"{message} (caused by {caused_by})\n\nCaused by: {cause}" if cause else message
        super().__init__(self.message)


class UnsupportedContent(Exception):
    """A request whose content type cannot be read (415) or an Accept that cannot be written (406)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BadRequest(Exception):
    """A request whose body is not what its content type says, or does not fit the model (400)."""
