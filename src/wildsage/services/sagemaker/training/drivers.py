"""The launchers that SDK v3 sends in a channel of their own, as far as they need more than a Python environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import wildsage
from wildsage.runtimes.base import Inside, Mount

CHANNEL = "sm_drivers"
_SCRIPT = "sm_train.sh"
_MPI = b"mpi_driver.py"
_FOLDER = "drivers"
_LONGEST = 64 * 1024  # bytes of a script that are looked at; the SDK's is 3 KB, but anything may lie there


def uses_mpi(channels: Path) -> bool:
    """Whether a job with these channels starts the MPI driver, which expects an SSH daemon and writes to /etc."""
    script = channels / CHANNEL / _SCRIPT
    if not script.is_file():
        return False
    with script.open("rb") as file:
        return _MPI in file.read(_LONGEST)


def mounts() -> tuple[Mount, ...]:
    """What the MPI driver finds at the places where AWS's images have an SSH daemon, and /etc/environment."""
    daemon = Path(wildsage.__file__).parent / "toolkit" / _FOLDER / "sshd"
    return (
        Mount(Path("/etc"), "/etc", layered=True),
        Mount(Path("/usr/sbin"), "/usr/sbin", layered=True),
        Mount(daemon, "/usr/sbin/sshd", read_only=True),
    )


def variables(given: Mapping[str, str]) -> dict[str, str]:
    """The environment with the driver's programs and modules before all others."""
    folder = f"{Inside.TOOLKIT}/{_FOLDER}"
    before = {"PATH": folder, "PYTHONPATH": f"{folder}/python"}
    return {**given, **{name: ":".join(filter(None, (place, given.get(name)))) for name, place in before.items()}}
