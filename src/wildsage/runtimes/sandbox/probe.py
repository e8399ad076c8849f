"""What the native sandbox can do on this machine, found out by trying it; for ``wildsage doctor``."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.errors import WildsageError
from wildsage.runtimes.base import Inside, LaunchSpec, Mount
from wildsage.runtimes.sandbox.keeper import closing
from wildsage.runtimes.sandbox.keeper.limits import Limits
from wildsage.runtimes.sandbox.runtime import Sandbox

_OLDEST_KERNEL = (5, 12)  # mount_setattr
_LAYERED = f"{Inside.ML}/input"
_TRIAL = "cat /proc/self/mounts; exit 7"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``remedy`` is empty where nothing need be done; ``needed``: without it nothing runs."""

    subject: str
    works: bool
    detail: str
    remedy: str = ""
    needed: bool = False


async def probe(metadata: bool = False) -> list[Finding]:
    """Looks at the machine, then launches a container; findings in the order a person should read them.

    ``metadata``: the machine's metadata addresses are open to containers because somebody wants it so.
    """
    findings = [_system()]
    if findings[0].works:
        findings.append(_namespaces())
        findings += await _trial()
        findings.append(_role(metadata))
    return findings


def _system() -> Finding:
    if not sys.platform.startswith("linux"):
        remedy = "Run Wildsage in a Linux virtual machine."
        return Finding("system", False, f"{platform.system()}, and the sandbox needs Linux", remedy, needed=True)
    release = platform.release()
    numbers = tuple(int(number) for number in re.findall(r"\d+", release)[:2])
    works = numbers >= _OLDEST_KERNEL
    remedy = "" if works else "Use a kernel of 5.12 or later (Debian 12, Ubuntu 22.04, RHEL 9)."
    return Finding("system", works, f"Linux {release}", remedy, needed=True)


def _namespaces() -> Finding:
    """Why an ordinary user may be kept from making namespaces."""
    if os.geteuid() == 0:
        return Finding("user", True, "root")
    for name, forbidding, remedy in (
        ("user.max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"),
        ("kernel.unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
        (
            "kernel.apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile that allows userns",
        ),
    ):
        path = Path("/proc/sys", name.replace(".", "/"))
        if path.exists() and path.read_text().strip() == forbidding:
            return Finding("user", False, f"not root, and {name} is {forbidding}", remedy)
    return Finding("user", True, "not root, with user namespaces")


def _role(metadata: bool) -> Finding:
    """Whether a job can take the role that a cloud gave to the whole machine."""
    subject = "the machine's own role"
    if metadata:
        return Finding(subject, True, "containers may ask a cloud for it, by WILDSAGE_INSTANCE_METADATA")
    limits = Limits(0, 0.0)
    reason = closing.close(limits, f"wildsage-probe-{os.getpid()}")
    limits.remove()
    if not reason:
        return Finding(subject, True, "containers cannot ask a cloud for it")
    remedy = (
        "On a machine of a cloud: run Wildsage as root, or give the machine no role, or have root refuse this user: "
        f"iptables -I OUTPUT -d 169.254.169.254 -m owner --uid-owner {os.geteuid()} -j REJECT"
    )
    return Finding(subject, False, f"jobs that share the machine's network can ask a cloud for it: {reason}", remedy)


async def _trial() -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="wildsage-probe-") as folder:
        (Path(folder) / "input").mkdir()
        spec = LaunchSpec(
            "probe",
            Path(folder),
            ("/bin/sh", "-c", _TRIAL),
            {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
            memory_bytes=64 << 20,
            cpus=0.5,
            mounts=(Mount(Path(folder) / "input", _LAYERED, layered=True),),
        )
        sandbox = Sandbox()
        try:
            handle = await sandbox.launch(spec)
        except WildsageError as error:
            return [Finding("container", False, str(error), _remedy(), needed=True)]
        mounts = [line.text.split() async for line in sandbox.logs(handle, follow=True)]
        end = await sandbox.wait(handle)
        limits = _limits(handle["groups"])
        await sandbox.remove(handle)
    ran = end.exit_code == 7 and any(fields[1] == Inside.ML for fields in mounts)
    findings = [Finding("container", ran, "a container was launched and ended as it should", needed=True)]
    findings += limits
    if any(fields[1] == _LAYERED and fields[2] == "overlay" for fields in mounts):
        findings.append(Finding("layers", True, "jobs may write where their input is, and pip installs, in a layer"))
    else:
        detail = "the input of jobs is read-only to them, and pip cannot install into their environment"
        remedy = "Use kernel 5.11 or later, and a data directory on ext4 or xfs."
        findings.append(Finding("layers", False, detail, remedy))
    return findings


def _limits(groups: list[str]) -> list[Finding]:
    """``groups``: the control groups of a container that has both limits."""
    findings = []
    for subject, names, otherwise in (
        ("memory limit", ("memory.max", "memory.limit_in_bytes"), "measured every 100 ms"),
        ("CPU limit", ("cpu.max", "cpu.cfs_quota_us"), "processes are bound to that many CPUs"),
    ):
        by_kernel = any(Path(group, name).exists() for group in groups for name in names)
        detail = "by control groups" if by_kernel else f"by Wildsage itself: {otherwise}"
        remedy = "" if by_kernel else "Exact limits need root, or a systemd session that delegates memory and cpu."
        findings.append(Finding(subject, True, detail, remedy))
    return findings


def _remedy() -> str:
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return (
            "This machine is itself a container. Start it with --privileged, or with --security-opt seccomp=unconfined "
            "--security-opt systempaths=unconfined."
        )
    return "See the finding on the user above; run as root."
