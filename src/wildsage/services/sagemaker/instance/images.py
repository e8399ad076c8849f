"""From an image URI to what runs it on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.images.building import Progress
from wildsage.images.environments import Environments
from wildsage.images.native import check_programs, environment_variables, serve_command, train_command
from wildsage.images.recipes import notice, recipe_for
from wildsage.images.uris import Role
from wildsage.store.codec import Document


@dataclass(frozen=True, slots=True)
class Software:
    """What an image turned out to be here.

    ``command``: what its ``train`` or ``serve`` runs; empty for processing, where each job names its own.
    ``variables``: what the image itself sets. ``notice``: which version was asked for and which runs, in one sentence
    for the log.
    """

    command: tuple[str, ...]
    variables: Mapping[str, str]
    notice: str

    def document(self) -> Document:
        """As it is kept with a job."""
        return {"command": list(self.command), "variables": dict(self.variables), "notice": self.notice}


def kept(document: Document) -> Software:
    """The inverse of ``Software.document``."""
    return Software(tuple(document["command"]), document["variables"], document["notice"])


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the server's environment tells pip where packages are (an index, a mirror, a proxy)."""
    found = {name: value for name, value in environ.items() if name.startswith("PIP_")}
    proxy = environ.get("HTTPS_PROXY") or environ.get("https_proxy")
    if proxy:
        found.setdefault("PIP_PROXY", proxy)
    return found


_COMMANDS = {Role.TRAINING: train_command, Role.INFERENCE: serve_command}


class Images:
    """Finds, or builds, what stands in for an image.

    ``settings``: variables for every container, by which ``pip`` in it finds the packages this machine finds.
    """

    def __init__(self, environments: Environments, settings: Mapping[str, str]) -> None:
        self._environments = environments
        self._settings = settings

    async def prepare(self, image: str, role: Role, progress: Progress) -> Software:
        """At once for what is there; ``progress`` gets the lines of a build. Raises ClientFault, InternalFault."""
        asked, recipe = recipe_for(image, role)
        check_programs(recipe)
        environment = await self._environments.resolve(recipe, progress)
        command = _COMMANDS[role](environment) if role in _COMMANDS else ()
        variables = {**self._settings, **environment_variables(asked, recipe, environment)}
        return Software(command, variables, notice(asked, recipe, environment.versions))
