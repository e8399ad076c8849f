"""``wildsage images push URI``: an image of the container engine into this server's registry, by the name AWS gives it.

The engine pushes to 127.0.0.1, which it takes for what it is, so neither a proxy nor an authority has to be set up.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from wildsage.cli.explain import running
from wildsage.core.errors import ApiError, JobFault, SettingsError
from wildsage.core.settings import DataDir
from wildsage.images.seeking import not_here
from wildsage.images.uris import Location, locate
from wildsage.runtimes.containers.engine import Engine


async def push(uri: str, data: DataDir, environ: Mapping[str, str]) -> tuple[bool, str]:
    """Whether the registry has the image now, and what to tell the person. Raises SettingsError."""
    where = locate(uri)
    if not where.account or where.digest:
        raise SettingsError(
            f"push takes an image's name in ECR, as 000000000000.dkr.ecr.us-east-1.amazonaws.com/NAME:TAG, not {uri}"
        )
    engine = Engine(environ)
    if engine.unusable:
        raise SettingsError(not_here(engine))
    if not engine.found:
        raise SettingsError("there is no container engine on this machine to push from: apt-get install docker.io")
    try:
        if await engine.find(uri) is None:
            return False, f"The container engine has no image {uri}. Give yours that name: docker tag IMAGE {uri}"
        place, credentials = await _login(where, data)
        name = f"{place}/{where.repository}"
        await engine.tag(uri, name, where.tag)
        try:
            await engine.push(f"{name}:{where.tag}", credentials)
        finally:
            await engine.forget(f"{name}:{where.tag}")
    except (ApiError, JobFault) as error:
        absent = isinstance(error, ApiError) and error.code == "RepositoryNotFoundException"
        cure = f". Create it: aws ecr create-repository --repository-name {where.repository}" if absent else ""
        return False, f"{error}{cure}"
    return True, f"Pushed {uri}"


async def _login(where: Location, data: DataDir) -> tuple[str, tuple[str, str]]:
    """The server's address, and user and password for the registry of ``where``."""
    async with running(data, where.region) as client:
        if client is None:
            raise SettingsError("no server runs that could take it: wildsage up")
        known = {"registryId": where.account, "repositoryNames": [where.repository]}
        await client.call("ecr", "DescribeRepositories", known)
        answer = await client.call("ecr", "GetAuthorizationToken", {"registryIds": [where.account]})
        token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
        user, _, password = token.partition(":")
        return client.place, (user, password)
