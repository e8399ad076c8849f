"""Carries out the plan of a container's root, step by step (``plan.py`` makes it, in control)."""

from __future__ import annotations

import os

from wildsage.runtimes.sandbox.keeper import kernel
from wildsage.runtimes.sandbox.keeper.order import Step

_OLD = "/.old"
_SYSTEM = kernel.MS_NOSUID | kernel.MS_NODEV
# What a process with user id 0 could change about the machine although it has lost its capabilities.
_MACHINE_WIDE = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")


def build(mount_point: str, steps: list[Step], in_user_namespace: bool) -> None:
    """Replaces this process's root by a new one; the mount namespace must be its own.

    ``mount_point``: any directory of the host; it is covered only while the root is being built. In ``steps`` targets
    are absolute paths in the new root, sources absolute paths without symbolic links on the host.
    """
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_SLAVE)
    kernel.mount("wildsage", mount_point, "tmpfs", _SYSTEM, "mode=755")
    os.mkdir(mount_point + _OLD)
    kernel.pivot_root(mount_point, mount_point + _OLD)
    os.chdir("/")
    for step in steps:
        _take(step, in_user_namespace)
    kernel.unmount(_OLD)
    os.rmdir(_OLD)


def _take(step: Step, in_user_namespace: bool) -> None:
    name, *rest = step
    if name == "directory":
        _directory(rest[0], int(rest[1], 8))
    elif name == "link":
        os.symlink(rest[1], rest[0])
    elif name == "read-only":
        _bind(rest[0], rest[1], _SYSTEM | kernel.MS_RDONLY)
    elif name == "writable":
        _bind(rest[0], rest[1], _SYSTEM)
    elif name == "device":
        _bind(rest[0], rest[1], 0)
    elif name == "empty":
        kernel.mount("wildsage", rest[0], "tmpfs", _SYSTEM, rest[1])
    elif name == "layered":
        _layered(rest[0], rest[1], rest[2], in_user_namespace)
    elif name == "processes":
        _processes()
    elif name == "terminals":
        kernel.mount("devpts", "/dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, "newinstance,ptmxmode=0666")
    else:
        raise ValueError(f"unknown step {name!r}")


def _directory(path: str, mode: int) -> None:
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)


def _mount_point(target: str, like: str) -> None:
    if os.path.isdir(like):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def _bind(source: str, target: str, flags: int) -> None:
    _mount_point(target, _OLD + source)
    kernel.mount(_OLD + source, target, None, kernel.MS_BIND | kernel.MS_REC)
    if flags:
        kernel.restrict(target, flags)


def _layered(source: str, target: str, layer: str, in_user_namespace: bool) -> None:
    """``source`` with a private writable layer on top (overlayfs), or read-only where the kernel has none for us."""
    upper, work = f"{_OLD}{layer}/upper", f"{_OLD}{layer}/work"
    os.makedirs(upper, exist_ok=True)
    os.makedirs(work, exist_ok=True)
    options = f"lowerdir={_OLD}{source},upperdir={upper},workdir={work}"
    if in_user_namespace:
        options += ",userxattr"
    _mount_point(target, _OLD + source)
    try:
        kernel.mount("wildsage", target, "overlay", _SYSTEM, options)
    except OSError:
        # The layer's file system cannot carry one (another overlay, NFS), or the kernel is older than 5.11.
        _bind(source, target, _SYSTEM | kernel.MS_RDONLY)
    else:
        os.chmod(f"{work}/work", 0o700)  # made without any permission, so that its owner could not even delete it


def _processes() -> None:
    os.mkdir("/proc", 0o755)
    kernel.mount("proc", "/proc", "proc", _SYSTEM | kernel.MS_NOEXEC)
    for path in _MACHINE_WIDE:
        if os.path.exists(path):
            kernel.mount(path, path, None, kernel.MS_BIND | kernel.MS_REC)
            kernel.restrict(path, kernel.MS_RDONLY)
