"""``aws s3``: the commands people type."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

from tests.conftest import Server

AWS = str(Path(sys.executable).with_name("aws"))


def aws(server: Server, *words: str) -> str:
    done = server.run(AWS, "s3", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_folder_is_synchronised_copied_listed_and_removed(server: Server, tmp_path: Path) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    for number in range(20):
        path = here / f"folder {number % 3}" / f"ü{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}")
    (here / "big.bin").write_bytes(bytes(9 * 1024 * 1024))
    url = f"s3://cli-{uuid.uuid4()}"
    aws(server, "mb", url)
    assert aws(server, "sync", str(here), f"{url}/data").count("upload: ") == 21
    assert aws(server, "sync", str(here), f"{url}/data") == ""
    assert aws(server, "ls", f"{url}/data/").count("PRE folder") == 3
    assert aws(server, "cp", "--recursive", f"{url}/data", str(back)).count("download: ") == 21
    for path in here.rglob("*.*"):
        assert (back / path.relative_to(here)).read_bytes() == path.read_bytes()
    (here / "big.bin").unlink()
    assert aws(server, "sync", "--delete", str(here), f"{url}/data").count("delete: ") == 1
    assert aws(server, "presign", f"{url}/data/x").startswith(server.url)
    assert aws(server, "rm", "--recursive", url).count("delete: ") == 20
    aws(server, "rb", url)
