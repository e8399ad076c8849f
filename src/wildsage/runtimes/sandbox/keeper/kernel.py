"""Linux system calls that the standard library lacks. Each raises OSError and names what it was applied to."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000

MNT_DETACH = 0x2

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_SYS_MOUNT_SETATTR = 442  # one number on every architecture; since Linux 5.12
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}

_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, subject: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), subject)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def unshare(flags: int) -> None:
    """Moves this process (for CLONE_NEWPID: its children) into new namespaces."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter(namespace: int, kind: int) -> None:
    """Moves this process (for CLONE_NEWPID: its children) into a namespace of that kind, given as a descriptor."""
    _check(_libc.setns(ctypes.c_int(namespace), ctypes.c_int(kind)), "setns")


def separate_user() -> None:
    """A new user namespace, in which this process keeps its own user and group and may do everything."""
    user, group = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    """mount(2)."""
    arguments = (_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(options))
    _check(_libc.mount(*arguments), target)


def unmount(target: str) -> None:
    """Takes a mount and all below it out of sight at once; it ends when nothing uses it any more."""
    _check(_libc.umount2(_bytes(target), MNT_DETACH), target)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


def restrict(target: str, flags: int) -> None:
    """Adds MS_RDONLY, MS_NOSUID, MS_NODEV or MS_NOEXEC to a mount and to every mount below it."""
    attributes = _MountAttributes(flags, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    arguments = (_AT_FDCWD, _bytes(target), _AT_RECURSIVE, ctypes.byref(attributes), size)
    _check(_libc.syscall(ctypes.c_long(_SYS_MOUNT_SETATTR), *arguments), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Makes ``new_root`` the root of this mount namespace; the old one appears at ``put_old``."""
    number = _SYS_PIVOT_ROOT[os.uname().machine]
    _check(_libc.syscall(ctypes.c_long(number), _bytes(new_root), _bytes(put_old)), new_root)


def set_hostname(name: str) -> None:
    raw = name.encode()
    _check(_libc.sethostname(raw, ctypes.c_size_t(len(raw))), name)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep_only(capabilities: frozenset[int], last: int) -> None:
    """Gives up every capability but those named, now and for whatever is executed later.

    ``last``: the highest capability this kernel knows (/proc/sys/kernel/cap_last_cap).
    """
    for capability in range(last + 1):
        if capability not in capabilities:
            _check(_libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0), "capability bounding set")
    mask = 0
    for capability in capabilities:
        mask |= 1 << capability
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)()
    data[0] = _CapabilityData(mask & 0xFFFFFFFF, mask & 0xFFFFFFFF, 0)
    data[1] = _CapabilityData(mask >> 32, mask >> 32, 0)
    _check(_libc.capset(ctypes.byref(header), data), "capset")


def forbid_new_privileges() -> None:
    """From here on no set-user-id program gains anything."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "no_new_privs")


def loopback_up() -> None:
    """Brings up ``lo`` of a new network namespace."""
    request = ctypes.create_string_buffer(b"lo", 40)  # struct ifreq: 16 bytes of name, then the flags
    family, kind = 2, 1  # AF_INET, SOCK_STREAM
    descriptor = _libc.socket(family, kind, 0)
    _check(descriptor, "socket")
    try:
        _check(_libc.ioctl(descriptor, ctypes.c_ulong(_SIOCGIFFLAGS), request), "lo")
        request[16] = bytes([request.raw[16] | _IFF_UP])
        _check(_libc.ioctl(descriptor, ctypes.c_ulong(_SIOCSIFFLAGS), request), "lo")
    finally:
        os.close(descriptor)
