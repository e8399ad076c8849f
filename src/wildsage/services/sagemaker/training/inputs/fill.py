"""Fills the folder of one of a job's instances: /opt/ml as the container finds it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wildsage.core import trees
from wildsage.core.errors import ApiError, ClientFault
from wildsage.services.sagemaker.instance import archives
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.inputs import files, pipes
from wildsage.services.sagemaker.instance.inputs.channel import Channel, Mode, Origin
from wildsage.services.sagemaker.instance.inputs.listing import Reader
from wildsage.services.sagemaker.instance.places import code
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training import layout
from wildsage.services.sagemaker.training.inputs.channels import channels
from wildsage.services.sagemaker.training.launch import Job

_SOURCE = "sourcedir.tar.gz"


async def fill(job: Job, host: Host, transfers: Transfers, *, native: bool = True) -> None:
    """Begins anew each time it is called. Raises JobFault for what makes the job fail, OSError for the disk's doing.

    ``native``: the source of script mode, too, which the toolkit in an engine's image fetches by itself.
    """
    instance = job.folder(host)
    found = channels(job.document, host)
    reader = Reader(transfers, job.document["RoleArn"], job.region)
    await in_thread(lambda _: _prepare(job, host, found))
    for channel in found:
        if channel.mode is not Mode.PIPE and channel.origin is not Origin.FILE_SYSTEM:
            await files.place(channel, instance / files.FOLDER / channel.name, reader)
    await pipes.stage(found, instance, reader)
    if native:
        await _stage_code(job, transfers, instance / "ml" / "code")


def _prepare(job: Job, host: Host, found: list[Channel]) -> None:
    instance = job.folder(host)
    trees.remove(instance)
    for folder in layout.FOLDERS:
        (instance / "ml" / folder).mkdir(parents=True)
    job.checkpoints(host).mkdir(exist_ok=True)
    if (cache := job.cache(host)) is not None:
        cache.mkdir(parents=True, exist_ok=True)
        (instance / "ml" / "sagemaker" / "warmpoolcache").mkdir(parents=True)
    for channel in found:
        if channel.mode is Mode.PIPE:
            continue
        (instance / "ml" / "input" / "data" / channel.name).mkdir()
        if channel.origin is not Origin.FILE_SYSTEM:
            (instance / files.FOLDER / channel.name).mkdir(parents=True)
    if any(channel.mode is Mode.PIPE for channel in found):
        (instance / pipes.FEEDER).mkdir()
    for name, text in layout.files(job.document, host).items():
        (instance / "ml" / "input" / "config" / name).write_text(text)


async def _stage_code(job: Job, transfers: Transfers, folder: Path) -> None:
    """Script mode: the source is unpacked where AWS's training toolkit would unpack it."""
    uri = layout.submit_directory(job.document)
    if not uri:
        return
    archive = folder.parent.with_name(_SOURCE)
    source = code(uri, "the hyperparameter sagemaker_submit_directory")
    try:
        await transfers.download(source, archive)
    except ApiError as error:
        raise ClientFault(
            f"ClientError: The source code at {uri} (hyperparameter sagemaker_submit_directory) cannot be downloaded: "
            f"{error.message} ({error.code})"
        ) from error
    await in_thread(partial(archives.unpack, archive, folder, uri, archives.MOST_BYTES))
    archive.unlink()
