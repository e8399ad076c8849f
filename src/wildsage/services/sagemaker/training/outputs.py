"""What a job leaves: model.tar.gz and output.tar.gz, put under S3OutputPath as the job's role."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wildsage.core.errors import ApiError, ClientFault
from wildsage.services.sagemaker.instance import archives, faults
from wildsage.services.sagemaker.instance.archives import Packed
from wildsage.services.sagemaker.instance.places import Location, inside, parse
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training.launch import Job

_FAILURE_BYTES = 64 * 1024


def _output(job: Job) -> Location:
    return parse(job.document["OutputDataConfig"]["S3OutputPath"]).under(f"{job.name}/output")


def model_uri(job: Job) -> str:
    """ModelArtifacts.S3ModelArtifacts."""
    return str(_output(job).under("model.tar.gz"))


async def upload(job: Job, transfers: Transfers, with_model: bool) -> Packed:
    """What all instances left, as one archive (Developer Guide, "How SageMaker Processes Training Output").

    Returns what is missing there, by path below /opt/ml. Of names that several instances have, that of the lowest
    number is kept: nobody says which AWS takes. Raises ClientFault if S3 refuses. Of empty folders nothing is uploaded,
    as in AWS.
    """
    told = Packed()
    try:
        if with_model:
            await _upload(job, transfers, "model", "model.tar.gz", told)
        await _upload(job, transfers, "output/data", "output.tar.gz", told)
        return told
    except ApiError as error:
        cure = faults.cure(
            error,
            f"Please ensure that the bucket of {_output(job)} exists and that the role "
            f'"{job.document["RoleArn"]}" has "s3:PutObject" permissions on it.',
        )
        raise ClientFault(f"ClientError: Artifact upload failed:{error.message} ({error.code}).{cure}") from error


async def _upload(job: Job, transfers: Transfers, folder: str, name: str, told: Packed) -> None:
    archive = job.directory / name
    sources = [inside(job.folder(host) / "ml", folder) for host in job.hosts]
    filled = [source for source in sources if source.is_dir() and any(source.iterdir())]
    if not filled:
        return
    try:
        packed = await in_thread(partial(archives.pack, filled, archive))
        await transfers.upload(archive, _output(job).under(name))
    finally:
        # On a full disk, too: nobody could write down that it is full if half an archive stayed there.
        archive.unlink(missing_ok=True)
    told.clashing += [f"{folder}/{each}" for each in packed.clashing]
    told.odd += [f"{folder}/{each}" for each in packed.odd]
    told.outward += [f"{folder}/{each}" for each in packed.outward]


def failure_text(directory: Path) -> str:
    """The beginning of /opt/ml/output/failure; empty where there is none."""
    path = inside(directory / "ml", "output/failure")
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        return file.read(_FAILURE_BYTES).decode(errors="replace")
