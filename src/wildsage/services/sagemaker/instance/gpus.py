"""How busy the machine's GPUs are, as nvidia-smi tells."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass

_QUERY = ("--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """One GPU; both from 0 to 100."""

    busy_percent: float
    memory_percent: float


async def loads() -> tuple[Load, ...]:
    """Every GPU of the machine in its order; none without nvidia-smi, or if it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    process = await asyncio.create_subprocess_exec(
        program, *_QUERY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _PATIENCE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ()
    return parse(output.decode()) if process.returncode == 0 else ()


def parse(text: str) -> tuple[Load, ...]:
    """Lines of ``busy, used, total``; a GPU that does not tell one of them (``[N/A]``) counts as idle there."""
    found = []
    for line in text.splitlines():
        busy, used, total = (_number(each) for each in line.split(","))
        found.append(Load(busy, 100 * used / total if total else 0.0))
    return tuple(found)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
