"""What a worker runs, and the container that it runs in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wildsage.core.functions import LATEST, function_arn
from wildsage.core.sessions import Credentials
from wildsage.core.settings import Settings
from wildsage.images.environments import Environment
from wildsage.kit.logstreams import LogStream
from wildsage.runtimes.base import LaunchSpec, Mount
from wildsage.services.lambda_ import code
from wildsage.store.resources import Resource

TASK = "/var/task"
_CA_BUNDLE = "/opt/wildsage/ca-bundle.pem"
_MIB = 1 << 20
_PROCESSES = 1024
"""Developer Guide, "Lambda quotas": execution processes and threads."""
_UNUSED = "function"  # below /opt/ml, of which a function has nothing: an image keeps what it has there
HOSTS = "hosts"
_MIB_FOR_A_CPU = 1769
"""Developer Guide, "Configure Lambda function memory": at 1,769 MB, a function has the equivalent of one vCPU."""


@dataclass(frozen=True, slots=True)
class Program:
    """A function as it was when an event came. ``build`` tells its code and configuration from earlier ones.

    ``task``: its code, unpacked; ``image``: what the engine knows its container image by. One of them is there.
    """

    uid: str
    build: str
    account: str
    region: str
    name: str
    spec: Mapping[str, Any]
    task: Path | None
    image: str = ""
    reserved: int | None = None

    @property
    def arn(self) -> str:
        return function_arn(self.account, self.region, self.name)

    @property
    def timeout(self) -> float:
        """Seconds that an event may take."""
        return float(self.spec["Timeout"])

    @property
    def memory(self) -> int:
        """MemorySize, in MB."""
        return int(self.spec["MemorySize"])

    @property
    def log_group(self) -> str:
        group: str = self.spec["LoggingConfig"]["LogGroup"]
        return group


def program_of(function: Resource, settings: Settings) -> Program:
    state, key = function.state, function.key
    return Program(
        function.uid,
        state["build"],
        key.account,
        key.region,
        key.name,
        function.spec,
        None if "wanted" in state else code.task(settings.data, function.uid, state["sha256"]),
        state.get("image", ""),
        state.get("reserved"),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker is. ``host``: what it calls the machine's loopback, by which the Runtime API knows it."""

    directory: Path
    host: str
    port: int
    stream: LogStream


def launch_spec(
    program: Program, place: Place, software: Environment | None, settings: Settings, credentials: Credentials
) -> LaunchSpec:
    """A container that asks for events until it is ended. ``software``: what runs zips; None for an image."""
    bundle = Mount(settings.data.tls / "bundle.pem", _CA_BUNDLE, read_only=True)
    variables = _environment(program, place, settings, credentials)
    spec = LaunchSpec(
        name=place.directory.name,
        directory=place.directory,
        argv=(),
        environment=variables,
        mounts=(bundle,),
        memory_bytes=program.memory * _MIB,
        # Less than one would make the start of Python take seconds, which AWS gives functions a whole one for.
        cpus=max(1.0, program.memory / _MIB_FOR_A_CPU),
        processes=_PROCESSES,
        labels={"function": program.arn},
    )
    if software is None or program.task is None:
        return _of_image(program, place, spec, settings)
    handler = program.spec["Handler"]
    own = {
        "PATH": software.path,
        "_HANDLER": handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{program.spec['Runtime']}",
        "LAMBDA_TASK_ROOT": TASK,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
    }
    return replace(
        spec,
        argv=(str(software.python), "-m", "awslambdaric", handler),
        environment={**variables, **own},
        working_directory=TASK,
        hostname=place.host,
        mounts=(Mount(program.task, TASK, read_only=True), bundle),
    )


def _of_image(program: Program, place: Place, spec: LaunchSpec, settings: Settings) -> LaunchSpec:
    """The image's own program, which speaks the Runtime API: an engine's container has its own loopback."""
    config = program.spec.get("ImageConfig") or {}
    return replace(
        spec,
        image=program.image,
        argv=tuple(config.get("Command") or ()),
        entrypoint=tuple(config.get("EntryPoint") or ()),
        working_directory=config.get("WorkingDirectory") or "",
        hostname="function",
        folders=(_UNUSED,),
        mounts=(*spec.mounts, Mount(place.directory / HOSTS, "/etc/hosts", read_only=True)),
        loopback=(place.port, settings.port),
    )


def hosts(place: Place) -> str:
    """/etc/hosts of an engine's container; the sandbox makes its own."""
    return f"127.0.0.1 localhost {place.host}\n::1 localhost\n"


def _environment(program: Program, place: Place, settings: Settings, credentials: Credentials) -> dict[str, str]:
    """Source: Developer Guide, "Defined runtime environment variables"."""
    own = (program.spec.get("Environment") or {}).get("Variables") or {}
    return {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_ENDPOINT_URL": settings.url,
        "AWS_CA_BUNDLE": _CA_BUNDLE,
        "AWS_EC2_METADATA_DISABLED": "true",
        **own,
        "AWS_REGION": program.region,
        "AWS_DEFAULT_REGION": program.region,
        "AWS_LAMBDA_FUNCTION_NAME": program.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(program.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": LATEST,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": place.stream.group,
        "AWS_LAMBDA_LOG_STREAM_NAME": place.stream.name,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret,
        "AWS_SESSION_TOKEN": credentials.token,
        "AWS_LAMBDA_RUNTIME_API": f"{place.host}:{place.port}",
    }
