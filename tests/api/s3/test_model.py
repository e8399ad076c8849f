"""S3 against a dictionary: any sequence of writes, deletes, copies, versioning and restarts."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.api.s3.harness import S3, close_platform, open_platform

from wildsage.core.errors import ApiError

KEYS = st.sampled_from(["a", "a/b", "é"])
DATA = st.binary(max_size=8)


class Buckets(RuleBasedStateMachine):
    """``versions``: key → (version id, bytes or None for a delete marker), newest first."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.versions: dict[str, list[tuple[str, bytes | None]]] = {}
        self.versioning = ""

    def call(self, name: str, **params: Any) -> dict[str, Any]:
        return self.runner.run(self.s3(name, Bucket="bucket", **params))

    @initialize(versioned=st.booleans())
    def begin(self, versioned: bool) -> None:
        self.s3 = S3(self.runner.run(open_platform(self.root)))
        self.call("CreateBucket")
        if versioned:
            self.enable()

    def teardown(self) -> None:
        self.runner.run(close_platform(self.s3.platform))
        self.runner.close()
        shutil.rmtree(self.root)

    def made(self, key: str, version: str | None, data: bytes | None) -> None:
        """A write happened in the model."""
        there = self.versions.setdefault(key, [])
        if self.versioning != "Enabled":
            there[:] = [each for each in there if each[0] != "null"]
        # Only delete markers name the version "null" where versioning is suspended.
        assert (version in (None, "null")) == (self.versioning != "Enabled")
        there.insert(0, (version or "null", data))

    def current(self, key: str) -> bytes | None:
        there = self.versions.get(key)
        return there[0][1] if there else None

    @rule(key=KEYS, data=DATA)
    def put(self, key: str, data: bytes) -> None:
        told = self.call("PutObject", Key=key, Body=data)
        self.made(key, told.get("VersionId"), data)

    @rule(key=KEYS, data=DATA)
    def put_if_absent(self, key: str, data: bytes) -> None:
        there = self.current(key) is not None
        try:
            told = self.call("PutObject", Key=key, Body=data, IfNoneMatch="*")
        except ApiError as error:
            assert (error.status, there) == (412, True)
        else:
            assert not there
            self.made(key, told.get("VersionId"), data)

    @rule(key=KEYS, data=DATA)
    def upload(self, key: str, data: bytes) -> None:
        identity = self.call("CreateMultipartUpload", Key=key)["UploadId"]
        part = self.call("UploadPart", Key=key, UploadId=identity, PartNumber=3, Body=data)
        listed = {"Parts": [{"PartNumber": 3, "ETag": part["ETag"]}]}
        told = self.call("CompleteMultipartUpload", Key=key, UploadId=identity, MultipartUpload=listed)
        self.made(key, told.get("VersionId"), data)

    @rule(source=KEYS, key=KEYS)
    def copy(self, source: str, key: str) -> None:
        data = self.current(source)
        try:
            told = self.call("CopyObject", Key=key, CopySource=f"bucket/{source}", MetadataDirective="REPLACE")
        except ApiError as error:
            assert (error.code, data) == ("NoSuchKey", None)
        else:
            self.made(key, told.get("VersionId"), data)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        told = self.call("DeleteObject", Key=key)
        if self.versioning:
            self.made(key, told["VersionId"], None)
        else:
            self.versions.pop(key, None)

    @rule(key=KEYS, index=st.integers(0, 4))
    def delete_version(self, key: str, index: int) -> None:
        there = self.versions.get(key, [])
        if there:
            self.call("DeleteObject", Key=key, VersionId=there.pop(index % len(there))[0])

    @precondition(lambda self: self.versioning != "Enabled")
    @rule()
    def enable(self) -> None:
        self.versioning = "Enabled"
        self.call("PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"})

    @precondition(lambda self: self.versioning == "Enabled")
    @rule()
    def suspend(self) -> None:
        self.versioning = "Suspended"
        self.call("PutBucketVersioning", VersioningConfiguration={"Status": "Suspended"})

    @rule()
    def restart(self) -> None:
        self.runner.run(close_platform(self.s3.platform))
        self.s3 = S3(self.runner.run(open_platform(self.root)))
        self.exactly_the_files()

    @rule()
    def sweep(self) -> None:
        self.runner.run(self.s3.sweep())
        self.exactly_the_files()

    def exactly_the_files(self) -> None:
        wanted = [data for there in self.versions.values() for _, data in there if data is not None]
        assert sorted(path.read_bytes() for path in self.s3.files()) == sorted(wanted)

    @invariant()
    def listings_agree(self) -> None:
        wanted = sorted((key for key in self.versions if self.current(key) is not None), key=str.encode)
        assert [each["Key"] for each in self.call("ListObjectsV2").get("Contents", [])] == wanted
        listed = self.call("ListObjectVersions")
        told = {
            (each["Key"], each["VersionId"], each["IsLatest"]) for each in listed["Versions"] + listed["DeleteMarkers"]
        }
        assert told == {
            (key, version, index == 0)
            for key, there in self.versions.items()
            for index, (version, _) in enumerate(there)
        }

    @invariant()
    def bytes_agree(self) -> None:
        for key, there in self.versions.items():
            for version, data in there:
                if data is not None:
                    assert self.runner.run(self.s3.bytes(Bucket="bucket", Key=key, VersionId=version)) == data
            data = self.current(key)
            if data is not None:
                assert self.runner.run(self.s3.bytes(Bucket="bucket", Key=key)) == data


TestBuckets = Buckets.TestCase
TestBuckets.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    derandomize=True,
    phases=[Phase.generate],  # shrinking would take minutes
)
