"""``wildsage images explain URI``: what would run an image here, and why. And what this server's registry has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from wildsage.cli.client import AwsClient
from wildsage.cli.server_file import alive, read
from wildsage.core import credentials as server_credentials
from wildsage.core.addresses import reached_at
from wildsage.core.errors import ApiError, ClientFault
from wildsage.core.settings import DataDir, account_id
from wildsage.images import recipes, uris
from wildsage.images.choice import Where
from wildsage.images.environments import Environments
from wildsage.images.seeking import Pull, seeker
from wildsage.images.survey import Entry, look
from wildsage.kit.registryimages import loopback_hosts
from wildsage.wire.sigv4 import Credentials

_AT_ONCE = 100
_RUNS = {
    Where.NATIVE: "runs natively",
    Where.ENGINE: "runs in the container engine",
    Where.REGISTRY: "runs in the container engine",
    Where.ELSEWHERE: "runs in the container engine",
    Where.NOWHERE: "does not run here",
}
REGISTERED = "in the registry"


async def explain(uri: str, data: DataDir, environments: Environments, environ: Mapping[str, str]) -> tuple[bool, str]:
    """Whether ``uri`` runs here, and why or why not, for people to read. Nothing is fetched or built."""
    pull, doubt = await _registered(uri, data, environ)
    try:
        found = await seeker(environ).look(uri, pull)
    except ClientFault as fault:
        return False, str(fault).removeprefix("ClientError: ")
    lines = [f"{uri} {_RUNS[found.choice.where]}. {found.choice.why}", *doubt]
    image = uris.framework_image(uri)
    if found.choice.where is Where.NATIVE and image is not None:
        entry = await look(environments, recipes.named(image.framework))
        what = (
            f"{entry.runs} on Python {entry.python}" if entry.python else f"{entry.runs}, built when it is first used"
        )
        lines.append(f"It gets {entry.trouble or what} ({entry.state}: {entry.where}).")
    if found.info is not None and found.choice.where is not Where.NATIVE:
        lines.append(f"It is {found.info.short_id}, for {found.info.architecture}, {found.info.size / 1e6:.0f} MB.")
        if not found.info.runs_here:
            return False, "\n".join([*lines, "That is another architecture than this machine's."])
    return found.choice.where is not Where.NOWHERE, "\n".join(lines)


async def registered(data: DataDir) -> list[Entry]:
    """The images in the registry of the server of ``data``; none if it does not run."""
    found: list[Entry] = []
    async with running(data) as client:
        if client is None:
            return []
        async for repository in _pages(client, "DescribeRepositories", {}, "repositories"):
            name = {"registryId": repository["registryId"], "repositoryName": repository["repositoryName"]}
            async for image in _pages(client, "DescribeImages", name, "imageDetails"):
                found += _entries(repository["repositoryUri"], image)
    return found


def _entries(uri: str, image: Mapping[str, Any]) -> list[Entry]:
    digest, size = image["imageDigest"], int(image.get("imageSizeInBytes") or 0)
    names = [f"{uri}:{tag}" for tag in image.get("imageTags") or ()] or [f"{uri}@{digest}"]
    return [Entry(name, "", (), "", "", REGISTERED, digest, size) for name in names]


async def _registered(uri: str, data: DataDir, environ: Mapping[str, str]) -> tuple[Pull, list[str]]:
    """Whether this server's registry has the image; and what could not be found out."""
    where = uris.locate(_in_ecr(uri, data, environ))
    if where.account != account_id(environ):
        return Pull(), []
    async with running(data, where.region) as client:
        if client is None:
            return Pull(own=True), ["No server runs, so its registry could not be asked: wildsage up"]
        identity = {"imageDigest": where.digest} if where.digest else {"imageTag": where.tag}
        params = {"registryId": where.account, "repositoryName": where.repository, "imageIds": [identity]}
        try:
            answer = await client.call("ecr", "DescribeImages", params)
        except ApiError as error:
            if error.code in ("RepositoryNotFoundException", "ImageNotFoundException"):
                return Pull(own=True), []
            raise
    return Pull(own=True, reference=f"{where.repository}@{answer['imageDetails'][0]['imageDigest']}"), []


def _in_ecr(uri: str, data: DataDir, environ: Mapping[str, str]) -> str:
    """``127.0.0.1:PORT/NAME`` of the server of ``data`` by its name in ECR; any other as it is."""
    found, (host, slash, path) = read(data), uri.partition("/")
    if found is None or not slash or host not in loopback_hosts(found.host, found.port):
        return uri
    return f"{account_id(environ)}.dkr.ecr.{found.region}.amazonaws.com/{path}"


async def _pages(
    client: AwsClient, operation: str, params: Mapping[str, Any], member: str
) -> AsyncIterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        answer = await client.call("ecr", operation, {**params, **token, "maxResults": _AT_ONCE})
        for each in answer.get(member) or ():
            yield each
        if not answer.get("nextToken"):
            return
        token = {"nextToken": answer["nextToken"]}


@asynccontextmanager
async def running(data: DataDir, region: str = "") -> AsyncIterator[AwsClient | None]:
    """A client of the server of ``data``; None if none runs."""
    found = read(data)
    if found is None or not alive(found.pid):
        yield None
        return
    root = server_credentials.load(data.credentials)
    credentials = Credentials(root.access_key, root.secret)
    client = AwsClient(reached_at(found.host), found.port, region or found.region, credentials)
    try:
        yield client
    finally:
        client.close()
