"""A disk that is full while an upload is completed or an object copied: an error in words, and all that was there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.small_disk import fill, played, small_disk
from tests.e2e.test_s3_crash import in_index, on_disk
from tests.waiting import wait_until

MIB = 1024 * 1024
MEGABYTES = 96
PIECE = os.urandom(8 * MIB)
BUCKET = "bucket"
UPLOAD = {"Bucket": BUCKET, "Key": "whole"}


def refused(call: Any, **params: Any) -> list[object]:
    """Status and code of the error that the call must be answered with."""
    try:
        call(**params)
    except ClientError as error:
        return [error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]]
    return ["not refused"]


def play(data: Path) -> dict[str, object]:
    """What happens on a small disk mounted at ``data``."""
    with small_disk(data, MEGABYTES) as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        begun = s3.create_multipart_upload(Bucket=BUCKET, Key="source")["UploadId"]
        source = {"Bucket": BUCKET, "Key": "source", "UploadId": begun}
        etag = s3.upload_part(**source, PartNumber=1, Body=PIECE)["ETag"]
        s3.complete_multipart_upload(**source, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
        upload = {**UPLOAD, "UploadId": s3.create_multipart_upload(**UPLOAD)["UploadId"]}
        parts = [
            {"PartNumber": n, "ETag": s3.upload_part(**upload, PartNumber=n, Body=PIECE)["ETag"]} for n in (1, 2, 3)
        ]
        s3.put_object(**UPLOAD, Body=b"before")
        fill(data / "filler", 5 * MIB)
        copy = {"Bucket": BUCKET, "Key": "whole", "CopySource": {"Bucket": BUCKET, "Key": "source"}}
        found: dict[str, object] = {
            "complete": refused(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts}),
            "copy": refused(s3.copy_object, **copy),
            "part copy": refused(s3.upload_part_copy, **{**copy, **upload}, PartNumber=4),
            "put": refused(s3.put_object, **UPLOAD, Body=PIECE),
            "kept": s3.get_object(**UPLOAD)["Body"].read().decode(),
            "parts": len(s3.list_parts(**upload)["Parts"]),
            "stray": sorted(on_disk(server.data) - in_index(server.data)),
        }
        (data / "filler").unlink()
        completed = wait_until(
            lambda: refused(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
        )
        found["completed"] = completed == ["not refused"] and s3.get_object(**UPLOAD)["Body"].read() == PIECE * 3
        s3.copy_object(**copy)
        found["copied"] = s3.get_object(**UPLOAD)["Body"].read() == PIECE
        return found


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    found = played("tests.e2e.test_s3_full_disk", tmp_path)
    full = [507, "InsufficientStorage"]
    assert found == {
        "complete": full,
        "copy": full,
        "part copy": full,
        "put": full,
        "kept": "before",
        "parts": 3,
        "stray": [],
        "completed": True,
        "copied": True,
    }


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1]))))
