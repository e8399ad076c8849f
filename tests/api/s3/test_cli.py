"""``aws s3``: the commands people type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.conftest import Server, clean_environment

AWS = str(Path(sys.executable).with_name("aws"))
BIG = os.urandom(20 * 1024 * 1024)  # goes and comes in parts
KEYS = (
    "../up",
    "a//b/",
    "//",
    "trailing/",
    "?q=1&r",
    "#anchor",
    "%41%2F",
    "a+b c",
    "ü/日本",
    "\u0001\ud7ff",
    "k" * 1024,
)


class Shell:
    """The AWS CLI in a folder, with the environment of ``wildsage run``. ``url``: of a bucket of its own."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._environment = {**clean_environment(), **server.environment}
        self.folder = folder
        self.bucket = f"cli-{uuid.uuid4()}"
        self.url = f"s3://{self.bucket}"

    def __call__(self, *words: str, piped: str = "") -> str:
        """``aws words``, its input and output the files of the redirections ``piped``."""
        command = ["bash", "-c", f'"$@" {piped}', "bash", AWS, *words] if piped else [AWS, *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def aws(server: Server, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(server, tmp_path)
    shell("s3", "mb", shell.url)
    yield shell
    shell("s3", "rb", "--force", shell.url)
    with pytest.raises(server.client("s3").exceptions.ClientError):
        server.client("s3").head_bucket(Bucket=shell.bucket)


def grow(folder: Path, count: int = 12) -> dict[str, str]:
    """Files of all kinds of names, some time old; their contents by path."""
    made = {f"folder {number % 3}/ü{number} #%41+.txt": f"file {number}" for number in range(count)}
    for name, content in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
        # S3 tells whole seconds: a file of this second would count as newer than its object.
        os.utime(folder / name, (time.time() - 10,) * 2)
    return made


def read(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_folders_are_synchronised_both_ways(aws: Shell) -> None:
    here, back = aws.folder / "here", aws.folder / "back"
    made = grow(here)
    up, down = ("s3", "sync", "here", f"{aws.url}/data"), ("s3", "sync", f"{aws.url}/data", "back")
    assert aws(*up).count("upload: ") == len(made)
    assert aws(*up) == ""
    assert aws(*down).count("download: ") == len(made)
    assert read(back) == made
    assert aws(*down) == ""
    gone = next(iter(made))
    (here / gone).unlink()
    (here / "new").write_text("new")
    assert aws(*up, "--delete").count("delete: ") == 1
    (back / "only here").write_text("x")
    assert aws(*down, "--delete").count("delete: ") == 2
    assert read(back) == read(here)
    copied = aws("s3", "sync", f"{aws.url}/data", f"{aws.url}/copy")
    assert copied.count("copy: ") == len(made)


def test_folders_are_copied_moved_listed_and_removed(aws: Shell) -> None:
    made = grow(aws.folder / "here")
    assert aws("s3", "cp", "--recursive", "here", f"{aws.url}/a").count("upload: ") == len(made)
    assert aws("s3", "mv", "--recursive", f"{aws.url}/a", f"{aws.url}/b/c").count("move: ") == len(made)
    listed = aws("s3", "ls", "--recursive", "--summarize", aws.url)
    size = sum(len(content) for content in made.values())
    assert f"Total Objects: {len(made)}" in listed
    assert f"Total Size: {size}" in listed
    assert all(f"b/c/{name}" in listed for name in made)
    assert aws("s3", "ls", f"{aws.url}/b/c/").count("PRE folder ") == 3
    aws("s3", "mv", f"{aws.url}/b/c/{next(iter(made))}", "moved")
    assert (aws.folder / "moved").read_text() == "file 0"
    assert aws("s3", "rm", "--recursive", f"{aws.url}/b", "--exclude", "*ü1 *").count("delete: ") == len(made) - 2
    assert aws("s3", "ls", "--recursive", aws.url).count("b/c/") == 1


def test_large_files_streams_ranges_and_links(aws: Shell) -> None:
    (aws.folder / "big").write_bytes(BIG)
    aws("s3", "cp", "big", f"{aws.url}/big")
    aws("s3", "cp", "-", f"{aws.url}/streamed", piped="< big")
    aws("s3", "cp", f"{aws.url}/streamed", "-", piped="> back")
    assert (aws.folder / "back").read_bytes() == BIG
    aws("s3", "cp", f"{aws.url}/streamed", f"{aws.url}/copied")
    where = ("--bucket", aws.bucket, "--key", "copied")
    told = json.loads(aws("s3api", "head-object", *where))
    assert (told["ContentLength"], told["ETag"][-3:]) == (len(BIG), '-3"')
    told = json.loads(aws("s3api", "get-object", *where, "--range", "bytes=8388600-8388700", "piece"))
    assert told["ContentRange"] == f"bytes 8388600-8388700/{len(BIG)}"
    assert (aws.folder / "piece").read_bytes() == BIG[8388600:8388701]
    link = aws("s3", "presign", f"{aws.url}/big", "--expires-in", "60").strip()
    assert httpx.get(link).content == BIG


def test_keys_of_every_kind(aws: Shell) -> None:
    (aws.folder / "file").write_text("data")
    for key in KEYS:
        aws("s3api", "put-object", "--bucket", aws.bucket, "--key", key, "--body", "file")
    found = json.loads(aws("s3api", "list-objects-v2", "--bucket", aws.bucket))["Contents"]
    assert {each["Key"] for each in found} == set(KEYS)
