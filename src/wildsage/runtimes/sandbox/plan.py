"""What a container's root is made of: pure planning over the host's directories; the keeper carries it out.

The host's system directories appear read-only; homes, /tmp, /run and whatever ``hidden`` names do not appear at all,
except for the Python environment that the container runs, which gets a private writable layer, so that ``pip install``
works as it does in an image and leaves no trace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from wildsage.runtimes.base import Inside, LaunchSpec, Mount
from wildsage.runtimes.sandbox.keeper.order import Step

_OWN = frozenset({"dev", "home", "lost+found", "opt", "proc", "root", "run", "tmp"})
_EMPTIABLE = frozenset({"data", "media", "mnt", "srv"})
_NOT_A_HOME = ("/bin", "/dev", "/etc", "/lib", "/proc", "/sbin", "/sys", "/usr", "/var/run")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_ACCELERATORS = ("nvidia*", "dri", "kfd", "infiniband", "neuron*", "fuse")
_SCRATCH = "scratch"
# What the machine keeps from everybody but root, whom a container's root would be taken for: passwords and keys, and
# what a container engine knows of other containers (their variables name their credentials).
_SECRET_FOLDERS = (
    *("/etc/kubernetes", "/etc/ssl/private", "/etc/sudoers.d", "/var/backups", "/var/spool/cron"),
    *("/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/kubelet"),
)
_SECRET_FILES = ("shadow", "shadow-", "gshadow", "gshadow-", "krb5.keytab", "sudoers", "ssh/ssh_host_*_key")  # of /etc
_RESOLVER = Path("/etc/resolv.conf")
_RESOLVER_OPTIONS = (["search"], ["domain"], ["options"])


def scratch(directory: Path) -> Path:
    """Where a container's private files are while it exists: /tmp, the home, the layer over its environment."""
    return directory / _SCRATCH


def root_of(spec: LaunchSpec, sockets: Path, hidden: Iterable[Path]) -> list[Step]:
    """The steps, in order. ``sockets``: host folder of the container's sockets; ``hidden``: what must not be seen."""
    private = scratch(spec.directory)
    folders = (*map(str, hidden), *_homes(os.environ), *_SECRET_FOLDERS)
    concealed = sorted({os.path.realpath(path) for path in folders})
    steps: list[Step] = [*_top_level(spec.mounts), *_own_places(private, sockets), *_devices(), ("processes",)]
    steps += _mounts((mount for mount in spec.mounts if _is_of_the_system(mount)), private, "system")
    steps += [("empty", path, "mode=755") for path in concealed if Path(path).is_dir() and _visible(path)]
    steps += [("device", "/dev/null", path) for path in _secret_files()]
    steps += _environments(spec, private, concealed)
    steps += _names(private, "resolv.conf" if _names_inside(spec) else "")
    steps.append(("writable", os.path.realpath(spec.directory / "ml"), Inside.ML))
    steps += _mounts((mount for mount in spec.mounts if not _is_of_the_system(mount)), private, "layers")
    return steps


def _is_of_the_system(mount: Mount) -> bool:
    """A place of the machine's under a private layer: the container's own files in it, as /etc/hosts, come after it."""
    return mount.layered and str(mount.source) == mount.target


def write_private_files(spec: LaunchSpec) -> None:
    """Makes what ``root_of`` takes from the scratch folder."""
    private = scratch(spec.directory)
    for name, mode in (("tmp", 0o1777), ("home", 0o700)):
        (private / name).mkdir(parents=True, exist_ok=True)
        (private / name).chmod(mode)
    (private / "hostname").write_text(spec.hostname + "\n")
    try:
        known = Path("/etc/hosts").read_text()
    except FileNotFoundError:
        known = "127.0.0.1 localhost\n"
    addresses = spec.joins["addresses"] if spec.joins else {spec.hostname: "127.0.0.1"}
    own = "".join(f"{address} {name}\n" for name, address in addresses.items())
    (private / "hosts").write_text(own + known)
    if _names_inside(spec):
        options = [line for line in _RESOLVER.read_text().splitlines() if line.split()[:1] in _RESOLVER_OPTIONS]
        (private / "resolv.conf").write_text("\n".join(["nameserver 127.0.0.1", *options]) + "\n")


def _names_inside(spec: LaunchSpec) -> bool:
    """Whether the network has a name server of its own, which asks the machine's."""
    return bool(spec.joins and spec.joins["outside"]) and _RESOLVER.is_file()


def _top_level(mounts: Iterable[Mount]) -> Iterator[Step]:
    # What is mounted below a folder of the machine that lacks such a place needs that folder empty: /mnt, say.
    missing = [mount.target.split("/") for mount in mounts if not Path(mount.target).exists()]
    places = {parts[1] for parts in missing} & _EMPTIABLE
    # A place right below a folder that the machine needs (/var/task) is made beside what that folder has.
    opened = {parts[1] for parts in missing if len(parts) == 3} - _EMPTIABLE - _OWN
    for entry in _entries("/"):
        if entry.name in _OWN or entry.name in places:
            continue
        if entry.name in opened and entry.is_dir(follow_symlinks=False):
            yield ("directory", entry.path, "755")
            for within in _entries(entry.path):
                yield from _shown(within)
        else:
            yield from _shown(entry)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    return sorted(os.scandir(folder), key=lambda each: each.name)


def _shown(entry: os.DirEntry[str]) -> Iterator[Step]:
    """As the machine has it; what is neither folder nor link is left out."""
    if entry.is_symlink():
        yield ("link", entry.path, str(Path(entry.path).readlink()))
    elif entry.is_dir():
        yield ("read-only", entry.path, entry.path)


def _own_places(private: Path, sockets: Path) -> Iterator[Step]:
    yield ("directory", "/opt", "755")
    if Path("/opt").is_dir():
        for entry in sorted(os.scandir("/opt"), key=lambda each: each.name):
            if entry.name not in ("ml", "wildsage"):
                yield ("read-only", os.path.realpath(entry.path), entry.path)
    yield ("directory", "/home", "755")
    yield ("writable", str(private / "home"), Inside.HOME)
    yield ("writable", str(private / "tmp"), "/tmp")
    if Path("/var/tmp").is_dir():
        yield ("writable", str(private / "tmp"), "/var/tmp")
    yield ("directory", "/run/lock", "1777")
    yield ("writable", str(sockets), Inside.SOCKETS)


def _devices() -> Iterator[Step]:
    yield ("directory", "/dev", "755")
    for name in _DEVICES:
        yield ("device", f"/dev/{name}", f"/dev/{name}")
    for pattern in _ACCELERATORS:
        for path in sorted(Path("/dev").glob(pattern)):
            yield ("device", str(path), str(path))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        yield ("link", f"/dev/{name}", f"/proc/self/fd/{number}")
    yield ("link", "/dev/fd", "/proc/self/fd")
    yield ("directory", "/dev/shm", "1777")
    yield ("empty", "/dev/shm", "mode=1777")
    yield ("directory", "/dev/pts", "755")
    yield ("terminals",)
    yield ("link", "/dev/ptmx", "pts/ptmx")


def _homes(environ: Mapping[str, str]) -> Iterator[str]:
    home = environ.get("HOME", "")
    if home.startswith("/") and home != "/" and not f"{home}/".startswith(tuple(f"{path}/" for path in _NOT_A_HOME)):
        yield home


def _secret_files() -> list[str]:
    found = {os.path.realpath(path) for pattern in _SECRET_FILES for path in Path("/etc").glob(pattern)}
    return sorted(path for path in found if Path(path).is_file() and _visible(path))


def _visible(path: str) -> bool:
    """Whether the host's ``path`` shows in the new root before anything is concealed."""
    parts = Path(path).parts
    return len(parts) > 1 and (parts[1] not in _OWN or parts[1] == "opt")


def _environments(spec: LaunchSpec, private: Path, concealed: list[str]) -> Iterator[Step]:
    """The Python environments that argv and PATH name: the first gets a writable layer, the rest are read-only."""
    done: set[str] = set()
    for program in _programs(spec):
        for prefix in _prefixes(program):
            source = os.path.realpath(prefix)
            if prefix in done or not _may_show(source, concealed):
                continue
            reachable = _visible(source) and not _within(source, concealed)
            if not done and _can_be_layered(source):
                yield ("layered", source, prefix, str(private / "layer"))
            elif not reachable or source != prefix:
                yield ("read-only", source, prefix)
            done.add(prefix)


def _programs(spec: LaunchSpec) -> Iterator[Path]:
    if spec.argv[0].startswith("/"):
        yield Path(spec.argv[0])
    for folder in spec.environment.get("PATH", "").split(":"):
        if folder.startswith("/"):
            yield Path(folder) / "python3"


def _prefixes(program: Path) -> Iterator[str]:
    """The prefix of the environment that ``program`` is the interpreter of, then what that one rests on."""
    if not program.name.startswith("python") or not program.exists() or program.parent.name != "bin":
        return
    prefix = program.parent.parent
    if (prefix / "pyvenv.cfg").is_file():
        yield str(prefix)
        for line in (prefix / "pyvenv.cfg").read_text().splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "home":
                yield str(Path(value.strip()).parent)
    elif not program.is_symlink() or Path(os.path.realpath(program)).parent == program.parent:
        yield str(prefix)
    yield str(Path(os.path.realpath(program)).parent.parent)


def _may_show(prefix: str, concealed: list[str]) -> bool:
    """An environment, not the whole system and not a folder that has concealed ones inside."""
    if prefix in ("/", "/usr", "/home", "/root", "/tmp", "/run"):
        return False
    return not any(f"{path}/".startswith(f"{prefix}/") for path in concealed)


def _within(path: str, folders: list[str]) -> bool:
    return any(f"{path}/".startswith(f"{folder}/") for folder in folders)


def _can_be_layered(path: str) -> bool:
    return not set(path) & set(",:\\")  # these have a meaning in the options of overlayfs


def _names(private: Path, resolver: str) -> Iterator[Step]:
    for name in ("hosts", "hostname"):
        if Path(f"/etc/{name}").is_file():
            yield ("read-only", str(private / name), os.path.realpath(f"/etc/{name}"))
    place = os.path.realpath(_RESOLVER)
    if resolver:
        yield ("read-only", str(private / resolver), place)
    elif place.startswith("/run/") and Path(place).is_file():
        yield ("read-only", place, place)


def _mounts(mounts: Iterable[Mount], private: Path, layers: str) -> Iterator[Step]:
    for number, mount in enumerate(sorted(mounts, key=lambda each: each.target.count("/"))):
        source = os.path.realpath(mount.source)
        if mount.layered and _can_be_layered(source) and _can_be_layered(str(private)):
            yield ("layered", source, mount.target, str(private / layers / str(number)))
        else:
            yield ("read-only" if mount.read_only or mount.layered else "writable", source, mount.target)
