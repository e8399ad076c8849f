"""What a job leaves: the files of its outputs, each put under its S3Uri as the job's role, and its exit message."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from wildsage.core.errors import ApiError, ClientFault
from wildsage.runtimes.base import Inside
from wildsage.services.sagemaker.instance import faults
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.left import Seen, opened, walk
from wildsage.services.sagemaker.instance.places import Location, parse
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers, several
from wildsage.services.sagemaker.processing.launch import Job
from wildsage.services.sagemaker.processing.rules import outputs_of, path_of
from wildsage.store.codec import Document

_MESSAGE = "output/message"
_MESSAGE_BYTES = 1024
_RESTLESS_SECONDS = 10.0
"""A file that never stops changing is uploaded this often while the job runs."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output. ``folder``: below /opt/ml."""

    folder: str
    target: Location
    continuous: bool


def outputs(document: Document) -> list[Output]:
    """Those that SageMaker uploads."""
    found = []
    for each in outputs_of(document):
        if not each.get("AppManaged"):
            given = each["S3Output"]
            folder = path_of(given["LocalPath"]).removeprefix(f"{Inside.ML}/")
            found.append(Output(folder, parse(given["S3Uri"]), given["S3UploadMode"] == "Continuous"))
    return found


def folders(document: Document) -> list[str]:
    """The folders that are there before the container starts (API reference, ProcessingS3Output)."""
    return [each.folder for each in outputs(document)]


@dataclass(slots=True)
class Uploads:
    """The outputs of one job, as far as they are in S3.

    Only remembered, not kept: after a crash of the control process all is uploaded once more.
    """

    job: Job
    _done: dict[tuple[str, str, str], Seen] = field(default_factory=dict)
    _restless: dict[tuple[str, str, str], tuple[Seen, float]] = field(default_factory=dict)

    @property
    def continuous(self) -> bool:
        return any(each.continuous for each in outputs(self.job.document))

    async def go_on(self, transfers: Transfers, now: float) -> None:
        """Uploads what is new in outputs of mode Continuous and has not changed since the last look."""
        for output in outputs(self.job.document):
            for host in self.job.hosts if output.continuous else ():
                found = await in_thread(partial(walk, self.job.folder(host) / "ml", output.folder))
                await self._put(transfers, output, host, self._settled(output, host, found, now))

    def _settled(self, output: Output, host: Host, found: Mapping[str, Seen], now: float) -> dict[str, Seen]:
        ready = {}
        for path, seen in found.items():
            key = (output.folder, host.name, path)
            if self._done.get(key) == seen:
                continue
            before, since = self._restless.setdefault(key, (seen, now))
            if (before == seen and now > since) or now - since >= _RESTLESS_SECONDS:
                ready[path] = seen
                del self._restless[key]
            else:
                self._restless[key] = (seen, since)
        return ready

    async def finish(self, transfers: Transfers) -> tuple[list[str], list[str]]:
        """Uploads all that is not there yet. Raises ClientFault if S3 refuses.

        Returns the names that several instances have, of which the first's is kept, and those of what is no file.
        """
        left_out, odd = [], []
        for output in outputs(self.job.document):
            taken: set[str] = set()
            clashing: set[str] = set()
            for host in self.job.hosts:
                strange: list[str] = []
                found = await in_thread(partial(walk, self.job.folder(host) / "ml", output.folder, odd=strange))
                odd += [f"{Inside.ML}/{output.folder}/{path}" for path in strange]
                clashing |= taken & found.keys()
                new = {path: seen for path, seen in found.items() if path not in taken}
                taken |= found.keys()
                left = {path: seen for path, seen in new.items() if self._left(output, host, path, seen)}
                await self._put(transfers, output, host, left)
            if output.continuous:
                await self._first_again(transfers, output, clashing)
            left_out += [f"{Inside.ML}/{output.folder}/{path}" for path in sorted(clashing)]
        return left_out, odd

    def _left(self, output: Output, host: Host, path: str, seen: Seen) -> bool:
        return self._done.get((output.folder, host.name, path)) != seen

    async def _first_again(self, transfers: Transfers, output: Output, clashing: set[str]) -> None:
        """While the job ran, whoever wrote last was uploaded last."""
        for host in self.job.hosts:
            found = await in_thread(partial(walk, self.job.folder(host) / "ml", output.folder))
            await self._put(transfers, output, host, {path: found[path] for path in clashing & found.keys()})
            clashing = clashing - found.keys()

    async def _put(self, transfers: Transfers, output: Output, host: Host, files: Mapping[str, Seen]) -> None:
        root = self.job.folder(host) / "ml"

        async def put(path: str) -> None:
            file = await in_thread(lambda _: opened(root, f"{output.folder}/{path}"))
            if file is not None:
                with file:
                    await transfers.upload_open(file, output.target.under(path))
                self._done[output.folder, host.name, path] = files[path]

        try:
            await several(files, put)
        except ApiError as error:
            cure = faults.cure(
                error,
                f'Please ensure that the bucket exists and that the role "{self.job.document["RoleArn"]}" has '
                '"s3:PutObject" permissions on it.',
            )
            raise ClientFault(
                f"ClientError: Failed to upload output to {output.target}: {error.message} ({error.code}).{cure}"
            ) from error


def exit_message(job: Job) -> str:
    """ExitMessage: what the containers wrote to /opt/ml/output/message, together at most 1 KB; empty if nothing.

    Raises ClientFault if that is not UTF-8 (Developer Guide, "Save and Access Metadata Information About Your
    Processing Job").
    """
    found = b""
    for host in job.hosts:
        file = opened(job.folder(host) / "ml", _MESSAGE)
        if file is not None:
            with file:
                found += file.read(_MESSAGE_BYTES) or b""
    try:
        # A character that the limit cuts in two is left out.
        return codecs.getincrementaldecoder("utf-8")().decode(found[:_MESSAGE_BYTES])
    except UnicodeDecodeError as error:
        raise ClientFault(
            "ClientError: The exit message is not UTF-8: write text in UTF-8 to /opt/ml/output/message."
        ) from error
