"""What a job leaves: model.tar.gz and output.tar.gz, put under S3OutputPath as the job's role."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from wildsage.core import trees
from wildsage.core.errors import ApiError, ClientFault
from wildsage.services.sagemaker.instance import archives
from wildsage.services.sagemaker.instance.places import Location, inside, parse
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training.cluster import Host
from wildsage.services.sagemaker.training.launch import Job

_FAILURE_BYTES = 64 * 1024
_LEAST_FREE = 1 << 20
FULL = (
    "InternalServerError: No space left on the disk of the data directory when the container ended, so what it wrote "
    "cannot be kept. Free some space, or start the server with --data on a larger disk, and try again."
)


def _output(job: Job) -> Location:
    return parse(job.document["OutputDataConfig"]["S3OutputPath"]).under(f"{job.name}/output")


def model_uri(job: Job) -> str:
    """ModelArtifacts.S3ModelArtifacts."""
    return str(_output(job).under("model.tar.gz"))


def give_up_on_full_disk(directory: Path) -> bool:
    """Removes an instance's files if nothing could be stored beside them; whether that was so, now or before."""
    ml = directory / "ml"
    disk = os.statvfs(directory)
    if disk.f_bavail * disk.f_frsize < _LEAST_FREE:
        trees.remove(ml)
    return not ml.exists()


async def upload(job: Job, host: Host, transfers: Transfers, with_model: bool) -> None:
    """Raises ClientFault if S3 refuses. Of an empty folder nothing is uploaded, as in AWS."""
    try:
        if with_model:
            await _upload(job, job.folder(host), transfers, "model", "model.tar.gz")
        await _upload(job, job.folder(host), transfers, "output/data", "output.tar.gz")
    except ApiError as error:
        raise ClientFault(
            f"ClientError: Artifact upload failed:{error.message} ({error.code}). Please ensure that the bucket of "
            f'{_output(job)} exists and that the role "{job.document["RoleArn"]}" has "s3:PutObject" permissions on it.'
        ) from error


async def _upload(job: Job, directory: Path, transfers: Transfers, folder: str, name: str) -> None:
    archive = directory / name
    source = inside(directory / "ml", folder)
    if not source.is_dir() or not any(source.iterdir()):
        return
    await in_thread(partial(archives.pack, source, archive))
    await transfers.upload(archive, _output(job).under(name))
    archive.unlink()


def failure_text(directory: Path) -> str:
    """The beginning of /opt/ml/output/failure; empty where there is none."""
    path = inside(directory / "ml", "output/failure")
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        return file.read(_FAILURE_BYTES).decode(errors="replace")
