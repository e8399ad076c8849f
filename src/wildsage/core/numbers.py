"""Numbers that people set in the environment."""

from __future__ import annotations

from collections.abc import Mapping

from wildsage.core.errors import SettingsError


def number(environ: Mapping[str, str], name: str, default: float, most: float, *, zero: bool = False) -> float:
    """The variable's value, or ``default`` without it; ``zero``: it may be 0. Raises SettingsError."""
    text = environ.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (0 < value <= most or (zero and value == 0)):
        words = "from 0 to" if zero else "above 0 and up to"
        raise SettingsError(f"{name} must be a number {words} {most:g}, not {text!r}")
    return value
