"""A disk that is full while a layer is pushed: an error in words, nothing half written, and all that was there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.api.ecr.pushing import digest, new_repository, registry_of
from tests.e2e.small_disk import fill, played, small_disk
from tests.e2e.test_registry_crash import first_names
from tests.e2e.test_s3_full_disk import MEGABYTES, MIB, PIECE
from tests.waiting import wait_until


def play(data: Path) -> dict[str, object]:
    """What happens on a small disk mounted at ``data``."""
    with small_disk(data, MEGABYTES) as server:
        name, registry = new_repository(server.client("ecr")), registry_of(server)
        registry.push_image(name, "v1", b"before")
        place = registry.begin(name)
        fill(data / "filler", 5 * MIB)
        refused = registry("PATCH", place, PIECE)
        found: dict[str, object] = {
            "refused": [refused.status, refused.code, refused.message],
            "half written": len(first_names(server)),
            "kept": registry("GET", f"/v2/{name}/blobs/{digest(b'before')}").body.decode(),
        }
        (data / "filler").unlink()
        wait_until(lambda: registry("PATCH", place, PIECE).status == 202)
        found["pushed"] = registry("PUT", f"{place}?digest={digest(PIECE)}").status
        return found


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    found = played("tests.e2e.test_registry_full_disk", tmp_path)
    words = "The disk that holds the objects is full. Free some space and try again."
    assert found == {
        "refused": [507, "UNKNOWN", words],
        "half written": 0,
        "kept": "before",
        "pushed": 201,
    }


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1]))))
