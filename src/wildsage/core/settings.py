"""Settings, read once at the start, and the layout of the data directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wildsage.core.addresses import reached_at
from wildsage.core.errors import SettingsError
from wildsage.core.functions import FunctionSettings
from wildsage.core.jobs import JobSettings
from wildsage.core.scaling import ScalingSettings
from wildsage.core.serverless import ServerlessSettings
from wildsage.core.upstream import S3Upstream

DEFAULT_PORT = 4566
DEFAULT_REGION = "us-east-1"
DEFAULT_ACCOUNT = "000000000000"
MOST_ROUTERS = 64


@dataclass(frozen=True, slots=True)
class DataDir:
    """Names every file the server keeps. All paths are absolute.

    ``run`` is what only a running server needs (sockets, process ids); the rest is durable.
    """

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "wildsage.db"

    @property
    def objects(self) -> Path:
        """Bytes of S3 objects."""
        return self.root / "objects"

    @property
    def instances(self) -> Path:
        """One folder per running instance: its /opt/ml, log file, exit status."""
        return self.root / "instances"

    @property
    def aside(self) -> Path:
        """What containers of an engine that is gone left of folders that went: only an engine can remove it."""
        return self.root / "aside"

    @property
    def environments(self) -> Path:
        """Python environments built for native images."""
        return self.root / "environments"

    @property
    def tls(self) -> Path:
        """ca.pem, bundle.pem (ours and the system's), server.pem, server.key."""
        return self.root / "tls"

    @property
    def credentials(self) -> Path:
        """JSON: root access key, master secret of session keys, execution role ARN (mode 0600)."""
        return self.root / "credentials.json"

    @property
    def routes(self) -> Path:
        """The router's newest snapshot, so that it starts without control."""
        return self.root / "routes.json"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def server_file(self) -> Path:
        """JSON: pid, host, port, start time of the server of this data directory."""
        return self.run / "server.json"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    def router_socket(self, number: int = 0) -> Path:
        """Where control talks to one of the routers: tells it of a new snapshot, reads its counters."""
        return self.run / f"router-{number}.sock"

    def router_sockets(self) -> list[Path]:
        """Those of all routers that run, and perhaps of some that do not any more."""
        return sorted(self.run.glob("router-*.sock"))

    @property
    def models_socket(self) -> Path:
        """Where control is asked for the models of multi-model endpoints (``core.multimodel``)."""
        return self.run / "models.sock"

    @property
    def objects_socket(self) -> Path:
        """Where the router sends S3 requests of connections that it keeps (TLS, mixed ones)."""
        return self.run / "objects.sock"

    @property
    def objects_door(self) -> Path:
        """Where the router hands over the connections of S3 clients."""
        return self.run / "objects-door.sock"

    @property
    def objects_routes(self) -> Path:
        """Where control tells the objects process of a new snapshot."""
        return self.run / "objects-routes.sock"

    @property
    def captured(self) -> Path:
        """Captured requests and answers on their way to S3 (``core.captures``)."""
        return self.root / "captured"

    @property
    def functions(self) -> Path:
        """The code of Lambda functions."""
        return self.root / "functions"

    @property
    def logs(self) -> Path:
        """The server's own logs."""
        return self.root / "logs"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one server was started with. ``accounts``: those beside ``account``, each with a root key of its own.

    ``file_systems``: id → folder of this machine where it is mounted, for channels of training jobs.
    ``legacy_buckets``: a new S3 bucket has ACLs and blocks no public access, as before April 2023.
    ``s3_upstream``: another S3 that keeps buckets of this one. ``jobs``: how training jobs are stopped and interrupted.
    ``serverless``: when workers of serverless endpoints end. ``scaling``: how soon automatic scaling sees a load.
    ``functions``: how Lambda functions are run. ``metadata``: containers may ask for the machine's own role.
    """

    data: DataDir
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    region: str = DEFAULT_REGION
    account: str = DEFAULT_ACCOUNT
    ephemeral: bool = False
    database_url: str = ""
    accounts: tuple[str, ...] = ()
    legacy_buckets: bool = False
    file_systems: Mapping[str, Path] = field(default_factory=dict)
    s3_upstream: S3Upstream | None = None
    jobs: JobSettings = field(default_factory=JobSettings)
    scaling: ScalingSettings = field(default_factory=ScalingSettings)
    serverless: ServerlessSettings = field(default_factory=ServerlessSettings)
    functions: FunctionSettings = field(default_factory=FunctionSettings)
    metadata: bool = False

    @property
    def url(self) -> str:
        """Where clients on this machine reach it."""
        host = reached_at(self.host)
        return f"http://[{host}]:{self.port}" if host == "::1" else f"http://{host}:{self.port}"


def data_dir(environ: Mapping[str, str], option: str | None) -> DataDir:
    """``--data``, else WILDSAGE_DATA, else ``~/.wildsage`` (``HOME`` must then be set)."""
    chosen = option or environ.get("WILDSAGE_DATA")
    if chosen:
        return DataDir(Path(chosen).absolute())
    home = environ.get("HOME")
    if not home:
        raise SettingsError("no data directory: HOME is not set; pass --data DIR or set WILDSAGE_DATA")
    return DataDir(Path(home).absolute() / ".wildsage")


def environments_folder(environ: Mapping[str, str], data: DataDir) -> Path:
    """WILDSAGE_ENVIRONMENTS: where Python environments are built and kept, for several data directories to share."""
    chosen = environ.get("WILDSAGE_ENVIRONMENTS", "")
    if chosen and not chosen.startswith("/"):
        raise SettingsError(f"WILDSAGE_ENVIRONMENTS must be an absolute path, not {chosen!r}")
    return Path(chosen) if chosen else data.environments


def account_id(environ: Mapping[str, str]) -> str:
    """WILDSAGE_ACCOUNT, twelve digits."""
    return _account(environ.get("WILDSAGE_ACCOUNT", DEFAULT_ACCOUNT), "WILDSAGE_ACCOUNT")


def further_accounts(environ: Mapping[str, str]) -> tuple[str, ...]:
    """WILDSAGE_ACCOUNTS: accounts beside the server's own, with commas between them."""
    listed = environ.get("WILDSAGE_ACCOUNTS", "").split(",")
    return tuple(_account(each.strip(), "WILDSAGE_ACCOUNTS") for each in listed if each.strip())


def router_count(environ: Mapping[str, str], option: int | None) -> int:
    """``--routers``, else WILDSAGE_ROUTERS, else 1: how many processes share the port."""
    text = str(option) if option is not None else environ.get("WILDSAGE_ROUTERS", "1")
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ROUTERS:
        raise SettingsError(f"the number of routers must be from 1 to {MOST_ROUTERS}, not {text!r}")
    return int(text)


def _account(text: str, source: str) -> str:
    if len(text) != 12 or not text.isdigit():
        raise SettingsError(f"{source} must be twelve digits, not {text!r}")
    return text


def legacy_buckets(environ: Mapping[str, str]) -> bool:
    """WILDSAGE_S3_DEFAULTS: ``current`` or ``legacy``."""
    chosen = environ.get("WILDSAGE_S3_DEFAULTS", "current")
    if chosen not in ("current", "legacy"):
        raise SettingsError(f"WILDSAGE_S3_DEFAULTS must be current or legacy, not {chosen!r}")
    return chosen == "legacy"


def metadata_allowed(environ: Mapping[str, str]) -> bool:
    """WILDSAGE_INSTANCE_METADATA: ``deny``, or ``allow`` for jobs that rest on the role of the machine."""
    chosen = environ.get("WILDSAGE_INSTANCE_METADATA", "deny")
    if chosen not in ("deny", "allow"):
        raise SettingsError(f"WILDSAGE_INSTANCE_METADATA must be deny or allow, not {chosen!r}")
    return chosen == "allow"


def file_systems(environ: Mapping[str, str]) -> dict[str, Path]:
    """WILDSAGE_FILE_SYSTEMS: ``fs-0123456789abcdef0=/folder``, with commas between them."""
    found = {}
    for each in filter(None, map(str.strip, environ.get("WILDSAGE_FILE_SYSTEMS", "").split(","))):
        name, _, folder = each.partition("=")
        if not name.startswith("fs-") or not folder.startswith("/"):
            raise SettingsError(f"WILDSAGE_FILE_SYSTEMS must have the form fs-ID=/FOLDER,…, not {each!r}")
        found[name] = Path(folder)
    return found


def region_name(environ: Mapping[str, str]) -> str:
    """WILDSAGE_REGION: the region that clients under ``wildsage run`` get."""
    region = environ.get("WILDSAGE_REGION", DEFAULT_REGION)
    words = region.split("-")
    if len(words) < 3 or not words[-1].isdigit() or not all(word.isascii() and word.islower() for word in words[:-1]):
        raise SettingsError(f"WILDSAGE_REGION must be the name of a region such as {DEFAULT_REGION}, not {region!r}")
    return region
