"""Fills the folder of an endpoint's instance: the model and its inference code."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wildsage.core import trees
from wildsage.core.errors import ApiError, ClientFault
from wildsage.images.building import Progress
from wildsage.services.sagemaker.endpoints.launch import Placement, submit_directory
from wildsage.services.sagemaker.instance import archives
from wildsage.services.sagemaker.instance.images import Images, Software
from wildsage.services.sagemaker.instance.places import Location, code, parse
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.models.rules import container_of, model_data

_FOLDERS = ("model", "code")
_ARCHIVE = "download.tar.gz"


async def fill(place: Placement, transfers: Transfers) -> None:
    """Begins anew each time it is called. Raises ClientFault in AWS's words, OSError for the disk's doing."""
    ml = place.directory / "ml"
    await in_thread(lambda _: _prepare(place.directory))
    uri, packed = model_data(place.variant.model)
    if uri and packed:
        await _unpack(place, transfers, parse(uri), ml / "model")
    elif uri:
        await _download(place, transfers, uri, ml / "model")
    submitted = submit_directory(place.variant.model)
    if submitted:
        source = code(submitted, "the variable SAGEMAKER_SUBMIT_DIRECTORY")
        await _unpack(place, transfers, source, ml / "code")


async def with_requirements(images: Images, software: Software, place: Placement, report: Progress) -> Software:
    """The model's software with what its code asks for beyond, installed once for all instances and endpoints.

    A model without a network has no way to get more.
    """
    model = place.variant.model
    if model.get("EnableNetworkIsolation"):
        return software
    folder = place.directory / "ml" / ("code" if submit_directory(model) else "model/code")
    own = container_of(model).get("Environment") or {}
    return await images.with_requirements(software, folder / "requirements.txt", own, report)


def _prepare(directory: Path) -> None:
    trees.remove(directory)
    for folder in _FOLDERS:
        (directory / "ml" / folder).mkdir(parents=True)


async def _unpack(place: Placement, transfers: Transfers, source: Location, folder: Path) -> None:
    archive = place.directory / _ARCHIVE
    try:
        await transfers.download(source, archive)
    except ApiError as error:
        raise _failed(str(source), error) from error
    await in_thread(partial(archives.unpack, archive, folder, str(source)))
    archive.unlink()


async def _download(place: Placement, transfers: Transfers, uri: str, folder: Path) -> None:
    try:
        count = await transfers.download_prefix(parse(uri), folder)
    except ApiError as error:
        raise _failed(uri, error) from error
    if not count:
        raise _failed(uri, None)


def _failed(uri: str, error: ApiError | None) -> ClientFault:
    words = f" ({error.code}: {error.message})" if error is not None else ""
    return ClientFault(
        f'Failed to download model data for container "container_1" from URL: "{uri}". Please ensure that there is an '
        "object located at the URL and that the role passed to CreateModel has permissions to download the "
        f"object.{words}"
    )
