"""Which layout a database has, so that no Wildsage writes into one it does not know.

The number is SQLite's ``user_version``. Tables and indexes that are new change nothing (``Database.open`` makes what is
missing) unless an older Wildsage would do wrong without them; whoever changes a table that there was, or makes one like
that, raises ``LAYOUT`` and brings older databases there.  ``tests/unit/store/layout.sql`` holds the tables; a database
with no number has those of layout 1, or none yet.

Layout 2 has bytes of small objects in ``s3_packs``, where layout 1 has a row for each in ``s3_unsynced``; what is left
there is filed at the start (``services/s3/sweep``).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from wildsage.core.errors import SettingsError

LAYOUT = 2


def check(path: Path) -> None:
    """Raises SettingsError for the database of a newer Wildsage, and for a file that is no database."""
    if not path.exists():
        return
    connection = sqlite3.connect(path)
    try:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise SettingsError(f"{path} cannot be read as the database of a data directory: {error}") from error
    finally:
        connection.close()
    if found > LAYOUT:
        raise SettingsError(
            f"{path} was written by a newer Wildsage (its layout is {found}, this one knows {LAYOUT}). Nothing was "
            "changed. Start it with the newer version, or choose another data directory."
        )
