"""The SDKs are run as a person would run them: each in a virtual environment of its own, under ``wildsage run``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def interpreter(name: str) -> Path:
    """The interpreter of the SDK's environment: WILDSAGE_SDK2_PYTHON or ``.venv-sdk2`` (made by ``make``)."""
    chosen = os.environ.get(f"WILDSAGE_{name.upper()}_PYTHON")
    path = Path(chosen) if chosen else ROOT / f".venv-{name}" / "bin" / "python"
    if not path.exists():
        pytest.fail(f"{path} is missing: run `make {name}` first, or set WILDSAGE_{name.upper()}_PYTHON")
    return path
