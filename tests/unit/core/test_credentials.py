"""The server's own credentials."""

from pathlib import Path

import pytest

from wildsage.core.credentials import create, load
from wildsage.core.errors import SettingsError


def test_credentials_are_read_back_as_they_were_made(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    made = create(path, "123456789012")
    assert load(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.role_arn == "arn:aws:iam::123456789012:role/WildsageExecutionRole"
    assert made.root.is_root
    assert len(made.master) == 32


def test_a_damaged_file_is_answered_in_words(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text("{}")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(path)
