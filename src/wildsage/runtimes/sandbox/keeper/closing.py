"""Keeps a container that shares the machine's network from the addresses where a cloud hands out the machine's role.

A route would bind the whole machine, and a filter of system calls cannot see addresses. But a control group of
version 2 may have programs that the kernel asks before a socket connects, or sends without being connected; such
programs, a few dozen instructions long, are written out here. It takes root (CAP_BPF and CAP_NET_ADMIN). It needs no
controllers, so the group may lie where version 1 has those. Numbers: linux/bpf.h, linux/bpf_common.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

from wildsage.core.metadata import IPV4, IPV6, NAMES_PORT
from wildsage.runtimes.sandbox.keeper.limits import Limits, own_groups

_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_LOAD, _ATTACH = 5, 8
_TYPE = 18  # BPF_PROG_TYPE_CGROUP_SOCK_ADDR
_HOOKS_4, _HOOKS_6 = (10, 14), (11, 15)  # connect, sendmsg
_BESIDE_OTHERS = 2  # BPF_F_ALLOW_MULTI: those of the groups above are asked, too
_ADDRESS_4, _ADDRESS_6, _PORT = 4, 8, 24  # where they are in struct bpf_sock_addr
_LOAD_WORD, _SET, _UNLESS, _EXIT = 0x61, 0xB7, 0x56, 0x95
_MAPPED = bytes(10) + b"\xff\xff"  # goes before an IPv4 address that a socket of IPv6 is told
_LITTLE = sys.byteorder == "little"
_libc = ctypes.CDLL(None, use_errno=True)

Words = tuple[tuple[int, bytes], ...]
"""Places in the structure and what stands there."""


def close(limits: Limits, name: str) -> str:
    """Shuts the container of ``limits`` out; or says in words why that is impossible, and changes nothing."""
    try:
        programs = _programs()
    except (OSError, KeyError) as error:
        return f"the kernel takes no such programs from this user ({error})"
    try:
        group = limits.unified or _make(limits, name)
        _attach(group, programs)
    except OSError as error:
        return f"no control group of version 2 can be had ({error})"
    finally:
        for program, _ in programs:
            os.close(program)
    return ""


def _make(limits: Limits, name: str) -> str:
    for controllers, directory in own_groups():
        if not controllers:
            limits.make(f"{directory}/{name}")
            limits.add(f"{directory}/{name}")
            return f"{directory}/{name}"
    raise FileNotFoundError(2, "none is mounted")


def _programs() -> list[tuple[int, int]]:
    """(descriptor, hook)."""
    addresses_4 = [_packed(each) for each in IPV4]
    words_4: list[Words] = [((_ADDRESS_4, each),) for each in addresses_4]
    words_6 = [_words(each) for each in (*map(_packed, IPV6), *(_MAPPED + each for each in addresses_4))]
    found: list[tuple[int, int]] = []
    for hooks, refused in ((_HOOKS_4, words_4), (_HOOKS_6, words_6)):
        code = _refusing(refused)
        found += [(_load(code, hook), hook) for hook in hooks]
    return found


def _packed(address: str) -> bytes:
    """As it goes over the wire; without ``socket``, for a keeper must stay small."""
    if ":" not in address:
        return bytes(map(int, address.split(".")))
    left, _, right = address.partition("::")
    head, tail = ([int(each, 16) for each in half.split(":") if each] for half in (left, right))
    return struct.pack(">8H", *head, *[0] * (8 - len(head) - len(tail)), *tail)


def _words(address: bytes) -> Words:
    return tuple((_ADDRESS_6 + at, address[at : at + 4]) for at in range(0, 16, 4))


def _refusing(addresses: list[Words]) -> bytes:
    """A program that says no (0) to any of these, but for the port of names, and yes (1) to everything else."""
    yes = _instruction(_SET, 0, value=1) + _instruction(_EXIT)
    no = _instruction(_SET, 0) + _instruction(_EXIT)
    names = struct.pack(">H", NAMES_PORT) + bytes(2) if _LITTLE else struct.pack(">I", NAMES_PORT)
    code = _instruction(_LOAD_WORD, 2, 1, _PORT) + _unless(names, len(yes)) + yes
    for words in addresses:
        # Each word that differs leads past the rest of this address, and past its "no".
        rest = no
        for place, value in reversed(words):
            rest = _instruction(_LOAD_WORD, 2, 1, place) + _unless(value, len(rest)) + rest
        code += rest
    return code + yes


def _unless(value: bytes, bytes_on: int) -> bytes:
    """Goes on that many bytes further unless register 2 has this value."""
    return _instruction(_UNLESS, 2, offset=bytes_on // 8, value=struct.unpack("=i", value)[0])


def _instruction(code: int, to: int = 0, of: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", code, to | of << 4 if _LITTLE else to << 4 | of, offset, value)


def _load(code: bytes, hook: int) -> int:
    instructions, license = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    places = ctypes.addressof(instructions), ctypes.addressof(license)
    return _bpf(_LOAD, struct.pack("=IIQQIIQII16sII", _TYPE, len(code) // 8, *places, 0, 0, 0, 0, 0, b"", 0, hook))


def _attach(group: str, programs: list[tuple[int, int]]) -> None:
    directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for program, hook in programs:
            _bpf(_ATTACH, struct.pack("=IIII", directory, program, hook, _BESIDE_OTHERS))
    finally:
        os.close(directory)


def _bpf(command: int, attributes: bytes) -> int:
    block = ctypes.create_string_buffer(attributes, len(attributes))
    number = ctypes.c_long(_BPF[os.uname().machine])
    result: int = _libc.syscall(number, command, block, len(attributes))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "bpf")
    return result
