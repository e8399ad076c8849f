"""The ml.* instance types: what a container of each may use.

Most families grow evenly with their size: so many GiB for each vCPU. The rest, mostly those with accelerators, are
listed. Source: the instance tables of the EC2 User Guide and of the SageMaker pricing page.
"""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class InstanceType:
    """``cpus``: vCPUs; ``memory_bytes``; ``gpus``: GPUs (AWS's own accelerators are not counted). 0 means no limit."""

    name: str
    cpus: int
    memory_bytes: int
    gpus: int = 0


LOCAL = InstanceType("local", 0, 0)

_CPUS = {"medium": 1, "large": 2, "xlarge": 4}

# GiB for each vCPU
_EVEN = {
    **dict.fromkeys(("c5d", "c6g", "c6gd", "c6gn", "c6i", "c6in", "c7g", "c7i", "c7i-flex"), 2.0),
    **dict.fromkeys(("c5", "c8g", "c8i", "c8i-flex"), 2.0),
    **dict.fromkeys(("m4", "m5", "m5d", "m6g", "m6gd", "m6i", "m7i", "m7i-flex", "m8g", "m8i", "m8i-flex"), 4.0),
    **dict.fromkeys(("r5", "r5d", "r6g", "r6gd", "r6i", "r7gd", "r7i", "r8g", "r8i", "r8i-flex"), 8.0),
}

# (vCPUs, GiB, GPUs)
_LISTED: dict[str, tuple[int, float, int]] = {
    "c4.large": (2, 3.75, 0),
    "c4.xlarge": (4, 7.5, 0),
    "c4.2xlarge": (8, 15, 0),
    "c4.4xlarge": (16, 30, 0),
    "c4.8xlarge": (36, 60, 0),
    "c5.9xlarge": (36, 72, 0),
    "c5.18xlarge": (72, 144, 0),
    "c5d.9xlarge": (36, 72, 0),
    "c5d.18xlarge": (72, 144, 0),
    "c5n.xlarge": (4, 10.5, 0),
    "c5n.2xlarge": (8, 21, 0),
    "c5n.4xlarge": (16, 42, 0),
    "c5n.9xlarge": (36, 96, 0),
    "c5n.18xlarge": (72, 192, 0),
    "m4.10xlarge": (40, 160, 0),
    "t2.medium": (2, 4, 0),
    "t2.large": (2, 8, 0),
    "t2.xlarge": (4, 16, 0),
    "t2.2xlarge": (8, 32, 0),
    "t3.medium": (2, 4, 0),
    "t3.large": (2, 8, 0),
    "t3.xlarge": (4, 16, 0),
    "t3.2xlarge": (8, 32, 0),
    "dl1.24xlarge": (96, 768, 0),
    "g4dn.xlarge": (4, 16, 1),
    "g4dn.2xlarge": (8, 32, 1),
    "g4dn.4xlarge": (16, 64, 1),
    "g4dn.8xlarge": (32, 128, 1),
    "g4dn.12xlarge": (48, 192, 4),
    "g4dn.16xlarge": (64, 256, 1),
    "g7.2xlarge": (8, 32, 1),
    "g7.4xlarge": (16, 64, 1),
    "g7.8xlarge": (32, 128, 1),
    "g7.12xlarge": (48, 192, 2),
    "g7.24xlarge": (96, 384, 4),
    "g7.48xlarge": (192, 768, 8),
    "g7e.2xlarge": (8, 64, 1),
    "g7e.4xlarge": (16, 128, 1),
    "g7e.8xlarge": (32, 256, 1),
    "g7e.12xlarge": (48, 512, 2),
    "g7e.24xlarge": (96, 1024, 4),
    "g7e.48xlarge": (192, 2048, 8),
    "inf1.xlarge": (4, 8, 0),
    "inf1.2xlarge": (8, 16, 0),
    "inf1.6xlarge": (24, 48, 0),
    "inf1.24xlarge": (96, 192, 0),
    "inf2.xlarge": (4, 16, 0),
    "inf2.8xlarge": (32, 128, 0),
    "inf2.24xlarge": (96, 384, 0),
    "inf2.48xlarge": (192, 768, 0),
    "p2.xlarge": (4, 61, 1),
    "p2.8xlarge": (32, 488, 8),
    "p2.16xlarge": (64, 732, 16),
    "p3.2xlarge": (8, 61, 1),
    "p3.8xlarge": (32, 244, 4),
    "p3.16xlarge": (64, 488, 8),
    "p3dn.24xlarge": (96, 768, 8),
    "p4d.24xlarge": (96, 1152, 8),
    "p4de.24xlarge": (96, 1152, 8),
    "p5.4xlarge": (16, 256, 1),
    "p5.48xlarge": (192, 2048, 8),
    "p5e.48xlarge": (192, 2048, 8),
    "p5en.48xlarge": (192, 2048, 8),
    "p6-b200.48xlarge": (192, 2048, 8),
    "p6-b300.48xlarge": (192, 4096, 8),
    "p6e-gb200.36xlarge": (144, 960, 4),
    "trn1.2xlarge": (8, 32, 0),
    "trn1.32xlarge": (128, 512, 0),
    "trn1n.32xlarge": (128, 512, 0),
    "trn2.48xlarge": (192, 2048, 0),
}

# The g5 and g6 generations share one shape: GPUs by size, GiB for each vCPU.
_G_GPUS = {
    "xlarge": 1,
    "2xlarge": 1,
    "4xlarge": 1,
    "8xlarge": 1,
    "16xlarge": 1,
    "12xlarge": 4,
    "24xlarge": 4,
    "48xlarge": 8,
}
_G_MEMORY = {"g5": 4.0, "g6": 4.0, "g6e": 8.0}


def lookup(name: str) -> InstanceType:
    """``ml.m5.xlarge``, or ``local`` for the whole machine. Raises KeyError for a type that does not exist."""
    if name == LOCAL.name:
        return LOCAL
    prefix, _, kind = name.partition(".")
    family, _, size = kind.partition(".")
    if prefix != "ml" or not size:
        raise KeyError(name)
    if kind in _LISTED:
        cpus, gibibytes, gpus = _LISTED[kind]
        return InstanceType(name, cpus, int(gibibytes * GIB), gpus)
    cpus = _cpus(size)
    if not cpus:
        raise KeyError(name)
    if family in _EVEN:
        return InstanceType(name, cpus, int(cpus * _EVEN[family] * GIB))
    if family in _G_MEMORY and size in _G_GPUS:
        return InstanceType(name, cpus, int(cpus * _G_MEMORY[family] * GIB), _G_GPUS[size])
    raise KeyError(name)


def _cpus(size: str) -> int:
    """vCPUs of a size in an even family: ``2xlarge`` is twice an ``xlarge``; 0 if there is no such size."""
    if size in _CPUS:
        return _CPUS[size]
    factor = size.removesuffix("xlarge")
    return 4 * int(factor) if factor.isdigit() and size.endswith("xlarge") else 0
