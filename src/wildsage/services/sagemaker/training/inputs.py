"""Fills the folder of one of a job's instances: /opt/ml as the container finds it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wildsage.core import trees
from wildsage.core.errors import ApiError, ClientFault
from wildsage.services.sagemaker.instance import archives, faults
from wildsage.services.sagemaker.instance.places import code, parse
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training import layout
from wildsage.services.sagemaker.training.cluster import Host
from wildsage.services.sagemaker.training.launch import Job
from wildsage.store.codec import Document

_SOURCE = "sourcedir.tar.gz"


async def fill(job: Job, host: Host, transfers: Transfers) -> None:
    """Begins anew each time it is called. Raises JobFault for what makes the job fail, OSError for the disk's doing."""
    ml = job.folder(host) / "ml"
    await in_thread(lambda _: _prepare(job, host, ml))
    for channel in job.document.get("InputDataConfig") or []:
        await _download(job, channel, transfers, ml / "input" / "data" / channel["ChannelName"])
    await _stage_code(job, transfers, ml / "code")


def _prepare(job: Job, host: Host, ml: Path) -> None:
    trees.remove(ml.parent)
    for folder in layout.FOLDERS:
        (ml / folder).mkdir(parents=True)
    for channel in job.document.get("InputDataConfig") or []:
        (ml / "input" / "data" / channel["ChannelName"]).mkdir()
    for name, text in layout.files(job.document, host).items():
        (ml / "input" / "config" / name).write_text(text)


async def _download(job: Job, channel: Document, transfers: Transfers, folder: Path) -> None:
    uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
    role = job.document["RoleArn"]
    try:
        count = await transfers.download_prefix(parse(uri), folder)
    except ApiError as error:
        raise faults.of_download(error, uri, role, job.region) from error
    if not count:
        raise faults.no_objects(uri, role, job.region)


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
    await in_thread(partial(archives.unpack, archive, folder, uri))
    archive.unlink()
