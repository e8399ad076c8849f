"""From an image URI to what runs it on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wildsage.images.building import Progress
from wildsage.images.choice import Where
from wildsage.images.environments import Environments
from wildsage.images.native import check_programs, environment_variables, preload, serve_command, train_command
from wildsage.images.recipes import notice, recipe_for
from wildsage.images.requirements import Requirements, shareable
from wildsage.images.seeking import NO_PULL, Pull, Seeker, by_digest
from wildsage.images.uris import Role
from wildsage.runtimes.containers.engine import ImageInfo
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.store.codec import Document


@dataclass(frozen=True, slots=True)
class Software:
    """What an image turned out to be here.

    ``image``: what the container engine knows it by; empty where the machine stands in for it (a native image).
    ``command``: what its ``train`` or ``serve`` runs; of an engine's image ("train",) or ("serve",), arguments of its
    ENTRYPOINT. Empty for processing, where each job names its own.
    ``variables``: what the image itself sets. ``notice``: which version was asked for and which runs, in one sentence
    for the log. ``modules``: what its scripts import, to be kept in memory for them. ``labels``: of an engine's image.
    ``resolved``: its name with the digest that a registry knows it by, if one does.
    """

    command: tuple[str, ...]
    variables: Mapping[str, str]
    notice: str
    modules: tuple[str, ...] = ()
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    resolved: str = ""

    def document(self) -> Document:
        """As it is kept with a job."""
        engine = {"image": self.image} if self.image else {}
        return {"command": list(self.command), "variables": dict(self.variables), "notice": self.notice, **engine}


def kept(document: Document) -> Software:
    """The inverse of ``Software.document``."""
    command, image = tuple(document["command"]), document.get("image", "")
    return Software(command, document["variables"], document["notice"], image=image)


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the server's environment tells pip where packages are (an index, a mirror, a proxy)."""
    found = {name: value for name, value in environ.items() if name.startswith("PIP_")}
    proxy = environ.get("HTTPS_PROXY") or environ.get("https_proxy")
    if proxy:
        found.setdefault("PIP_PROXY", proxy)
    return found


def anywhere(settings: Mapping[str, str]) -> dict[str, str]:
    """Of pip's settings those that mean something in any image: none that names a file of this machine."""
    return {
        name: value
        for name, value in settings.items()
        if not any(each.startswith(("/", "~", ".", "file:")) for each in value.split())
    }


_ARGUMENTS = {Role.TRAINING: ("train",), Role.INFERENCE: ("serve",)}
_COMMANDS = {Role.TRAINING: train_command, Role.INFERENCE: serve_command}


class Images:
    """Finds, builds or fetches what runs an image.

    ``settings``: variables for every container, by which ``pip`` in it finds the packages this machine finds.
    ``seeker``: who knows the container engine.
    """

    def __init__(
        self,
        environments: Environments,
        settings: Mapping[str, str],
        seeker: Seeker,
        requirements: Requirements | None = None,
    ) -> None:
        self._environments = environments
        self._seeker = seeker
        self._settings = settings
        self._requirements = requirements

    async def with_requirements(
        self, software: Software, file: Path, own: Mapping[str, str], progress: Progress
    ) -> Software:
        """``software`` with the packages of a requirements.txt, if it can be shared; ``own``: the job's variables.

        Else as it is: the toolkit then installs them in the container, and says in words what is wrong with them.
        """
        text = await in_thread(lambda _: file.read_text(errors="replace") if file.is_file() else "")
        if self._requirements is None or software.image or not software.command or not shareable(text):
            return software
        python, pip = Path(software.command[0]), {**self._settings, **pip_settings(own)}
        found = await self._requirements.over(python, text, pip, progress)
        if found is None:
            return software
        path = f"{found.parent}:{software.variables['PATH']}"
        return replace(
            software,
            command=(str(found), *software.command[1:]),
            variables={**software.variables, "PATH": path},
            modules=(),  # packages of a user's choice are imported in containers only
        )

    async def prepare(self, image: str, role: Role, progress: Progress, pull: Pull = NO_PULL) -> Software:
        """At once for what is there; ``progress`` gets the lines of a build. Raises ClientFault, InternalFault.

        ``pull``: how ``image`` is to be had of a registry, if it must be (``registries.pull``).
        """
        found = await self._seeker.look(image, pull)
        if found.choice.where is Where.NATIVE:
            return await self._native(image, role, progress)
        info = await self._seeker.have(image, found, progress, pull)
        software = self._of_engine(image, role, info, found.choice.why)
        return replace(software, resolved=by_digest(image, info, pull))

    async def kept(self, image: str, id: str, role: Role) -> Software:
        """As ``prepare`` once found it in the engine: ``id`` is that of its Software's image. Raises as it does."""
        return self._of_engine(image, role, await self._seeker.kept(image, id), "It was deployed with this one.")

    def _of_engine(self, image: str, role: Role, info: ImageInfo, why: str) -> Software:
        words = f"[wildsage] The image {image} runs in the container engine ({info.short_id}). {why}"
        return Software(_ARGUMENTS.get(role, ()), anywhere(self._settings), words, image=info.id, labels=info.labels)

    async def _native(self, image: str, role: Role, progress: Progress) -> Software:
        asked, recipe = recipe_for(image, role)
        check_programs(recipe)
        environment = await self._environments.resolve(recipe, progress)
        command = _COMMANDS[role](environment) if role in _COMMANDS else ()
        variables = {**self._settings, **environment_variables(asked, recipe, environment)}
        return Software(command, variables, notice(asked, recipe, environment.versions), preload(recipe))
