"""The whole server killed while clients put objects and complete uploads: what it acknowledged is there, and no more.

``tests/api/s3/test_crash.py`` does it to the store alone, closer to the disk; here everything is between.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.killing import gone
from tests.waiting import wait_until

BUCKET = "crash"
CLIENTS = 6
KILLS = 10
PUTS, UPLOADS = 1000, 60
SEED = 20_261_121
PART = 5 * 1024 * 1024
DELETED = ""


@dataclass
class Told:
    """What clients know. ``held``: what each key holds by the last acknowledgement (a digest, or DELETED).

    ``perhaps``: what a key may hold instead, where the answer did not come. ``completing``: uploads whose completion
    was not answered, and the digest of what they become.
    """

    held: dict[str, str] = field(default_factory=dict)
    perhaps: dict[str, str] = field(default_factory=dict)
    completing: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    puts: int = 0
    uploads: int = 0

    @property
    def acknowledged(self) -> int:
        return self.puts + self.uploads


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Client(threading.Thread):
    """Writes, overwrites, uploads and deletes under keys of its own until the server is gone."""

    def __init__(self, server: Server, number: int, seed: int, told: Told) -> None:
        super().__init__()
        self._s3 = server.client("s3")
        self._number = number
        self._dice = random.Random(seed)
        self._told = told

    def run(self) -> None:
        try:
            while True:
                self._write(f"{self._number}/{self._dice.randrange(40)}")
        except (BotoCoreError, ClientError):
            return  # killed: what was under way may have happened or not

    def _write(self, key: str) -> None:
        where, kind = {"Bucket": BUCKET, "Key": key}, self._dice.random()
        body = self._dice.randbytes(self._dice.choice((0, 100, 5000, 200_000)))
        if kind < 0.05:
            self._told.perhaps[key] = DELETED
            self._s3.delete_object(**where)
            self._acknowledged(key)
        elif kind < 0.9:
            self._told.perhaps[key] = digest(body)
            self._s3.put_object(**where, Body=body)
            self._acknowledged(key)
            self._told.puts += 1
        else:
            self._upload(where, [bytes(PART), body] if kind < 0.95 else [body])

    def _upload(self, where: dict[str, Any], pieces: list[bytes]) -> None:
        key, upload = where["Key"], {**where, "UploadId": self._s3.create_multipart_upload(**where)["UploadId"]}
        etags = [self._s3.upload_part(**upload, PartNumber=n, Body=piece)["ETag"] for n, piece in enumerate(pieces, 1)]
        upload["MultipartUpload"] = {"Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]}
        self._told.perhaps[key] = digest(b"".join(pieces))
        try:
            self._s3.complete_multipart_upload(**upload)
        except (BotoCoreError, ClientError):
            self._told.completing.append((upload, self._told.perhaps[key]))
            raise
        self._acknowledged(key)
        self._told.uploads += 1

    def _acknowledged(self, key: str) -> None:
        self._told.held[key] = self._told.perhaps.pop(key)


def kill_all(server: Server) -> None:
    """kill -9 of every process of the server, the one that would start the others again first."""
    pids = [server.process.pid, *server.status["processes"].values()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.process.wait()
    wait_until(lambda: all(gone(pid) for pid in pids))
    server.stop()


def crash(server: Server, told: Told, chance: random.Random) -> None:
    """Lets clients write until the server, killed at a random moment, is gone."""
    clients = [Client(server, number, chance.randrange(2**32), told) for number in range(CLIENTS)]
    enough = told.acknowledged + chance.randrange((PUTS + UPLOADS) // KILLS, (PUTS + UPLOADS) // KILLS + 100)

    def kill() -> None:
        try:
            wait_until(lambda: told.acknowledged >= enough, 120)
        finally:
            kill_all(server)

    killer = threading.Thread(target=kill)
    for thread in (killer, *clients):
        thread.start()
    for thread in (killer, *clients):
        thread.join()


def check(server: Server, told: Told) -> None:
    """Every key holds what was acknowledged, or what was under way, whole; and the disk holds nothing else."""
    s3 = server.client("s3")
    for upload, whole in told.completing:
        s3.complete_multipart_upload(**upload)  # for the first or the second time, which a client cannot know
        told.perhaps[upload["Key"]] = told.held[upload["Key"]] = whole
    told.completing.clear()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    found = {each["Key"]: each for page in pages for each in page.get("Contents", [])}
    for key in {*told.held, *told.perhaps, *found}:
        holds = DELETED
        if key in found:
            answer = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")  # botocore compares the checksum
            body = answer["Body"].read()
            assert (len(body), answer["ETag"]) == (found[key]["Size"], found[key]["ETag"])
            assert any(name.startswith("ChecksumCRC") for name in answer), answer
            holds = digest(body)
        assert holds in (told.held.get(key, DELETED), told.perhaps.get(key)), key
        told.held[key] = holds
    told.perhaps.clear()
    files, named = on_disk(server.data), in_index(server.data)
    assert files == named, (files - named, named - files)


def on_disk(data: Path) -> set[str]:
    root = data / "objects"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def in_index(data: Path) -> set[str]:
    """Every blob that the index knows, also those that are to be removed."""
    statement = "SELECT blob FROM s3_objects UNION SELECT blob FROM s3_parts UNION SELECT name FROM s3_garbage"
    with closing(sqlite3.connect(f"file:{data / 'wildsage.db'}?mode=ro", uri=True)) as database:
        return {name for (name,) in database.execute(statement) if name is not None}


def test_what_was_acknowledged_is_there_and_nothing_else(short_directory: Path) -> None:
    data, told, chance = short_directory / "s3crash", Told(), random.Random(SEED)
    server = start_server(data)
    try:
        server.client("s3").create_bucket(Bucket=BUCKET)
        while told.puts < PUTS or told.uploads < UPLOADS:
            crash(server, told, chance)
            server = start_server(data)
            check(server, told)
    finally:
        server.stop()
