"""Fills the folder of a container: its model and its inference code."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wildsage.core import trees
from wildsage.core.errors import ApiError, ClientFault
from wildsage.images.building import Progress
from wildsage.services.sagemaker.instance import archives
from wildsage.services.sagemaker.instance.images import Images, Software
from wildsage.services.sagemaker.instance.places import Location, code, parse, relative
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.models.containers import Shape
from wildsage.services.sagemaker.models.launch import MODELS, Placement

_FOLDERS = ("model", "code")
_ARCHIVE = "download.tar.gz"


async def fill(place: Placement, transfers: Transfers, *, native: bool = True) -> None:
    """Begins anew each time it is called. Raises ClientFault in AWS's words, OSError for the disk's doing.

    ``native``: inference code that is not part of the model, too, which the toolkit in an engine's image fetches.
    """
    ml = place.directory / "ml"
    await in_thread(lambda _: _prepare(place.directory))
    uri, shape = place.container.data
    if place.container.many:
        (place.directory / MODELS).mkdir()
    elif uri and shape is Shape.ARCHIVE:
        await _unpack(place, transfers, parse(uri), ml / "model")
    elif uri:
        await _download(place, transfers, uri, ml / "model")
    if native and place.container.submit_directory:
        source = code(place.container.submit_directory, "the variable SAGEMAKER_SUBMIT_DIRECTORY")
        await _unpack(place, transfers, source, ml / "code")


async def with_requirements(images: Images, software: Software, place: Placement, report: Progress) -> Software:
    """The container's software with what its code asks for beyond, installed once for all that ask for the same.

    A model without a network has no way to get more.
    """
    if place.isolated:
        return software
    folder = place.directory / "ml" / ("code" if place.container.submit_directory else "model/code")
    return await images.with_requirements(software, folder / "requirements.txt", place.container.environment, report)


def _prepare(directory: Path) -> None:
    trees.remove(directory)
    for folder in _FOLDERS:
        (directory / "ml" / folder).mkdir(parents=True)


async def _unpack(place: Placement, transfers: Transfers, source: Location, folder: Path) -> None:
    archive = place.directory / _ARCHIVE
    try:
        await transfers.download(source, archive)
    except ApiError as error:
        raise _failed(place, str(source), error) from error
    await in_thread(partial(archives.unpack, archive, folder, str(source), place.volume_bytes))
    archive.unlink()


async def _download(place: Placement, transfers: Transfers, uri: str, folder: Path) -> None:
    source = parse(uri)
    try:
        if place.container.data.shape is Shape.FILE:
            await transfers.download(source, folder / relative(source.key, source.key))
        elif not await transfers.download_prefix(source, folder):
            raise _failed(place, uri, None)
    except ApiError as error:
        raise _failed(place, uri, error) from error
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise ClientFault(
            f"Two objects under {uri} cannot both be files of the model: one is named as a folder of the other "
            f"({error.filename}). Rename one of them."
        ) from error


def _failed(place: Placement, uri: str, error: ApiError | None) -> ClientFault:
    name = place.container.definition.get("ContainerHostname") or f"container_{place.container.number}"
    words = f" ({error.code}: {error.message})" if error is not None else ""
    return ClientFault(
        f'Failed to download model data for container "{name}" from URL: "{uri}". Please '
        "ensure that there is an object located at the URL and that the role passed to CreateModel has permissions to "
        f"download the object.{words}"
    )
