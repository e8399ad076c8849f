"""How soon a container runs, and what holding it costs.

    python -m benchmarks.launch [--runs N]

For each way the median of N runs: the time from the call to the first line of user code, beside starting the same
interpreter by hand in the same run; and the memory of one keeper.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wildsage.images import native
from wildsage.images.environments import Environment
from wildsage.images.recipes import recipe_for
from wildsage.images.uris import Role
from wildsage.runtimes.base import LaunchSpec
from wildsage.runtimes.sandbox.runtime import Sandbox

_FIRST_LINE = "import time; print('first', time.time())"
_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def by_hand() -> float:
    """Seconds from starting an interpreter to its first line."""
    begun = time.time()
    out = subprocess.run([sys.executable, "-c", _FIRST_LINE], capture_output=True, text=True, check=True).stdout
    return float(out.split()[1]) - begun


async def launched(sandbox: Sandbox, spec: LaunchSpec) -> tuple[float, float]:
    """Seconds from launch to its return, and to the first line of user code."""
    begun = time.time()
    handle = await sandbox.launch(spec)
    returned = time.time() - begun
    lines = [line.text async for line in sandbox.logs(handle, follow=True)]
    await sandbox.remove(handle)
    (first,) = [float(line.split()[1]) for line in lines if line.startswith("first ")]
    return returned, first - begun


def plain(folder: Path) -> LaunchSpec:
    """argv is user code."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return LaunchSpec(
        "bench", folder, (sys.executable, "-c", _FIRST_LINE), {"PATH": path}, memory_bytes=1 << 30, cpus=1.0
    )


def script_mode(folder: Path) -> LaunchSpec:
    """A training script under the toolkit."""
    (folder / "ml" / "code").mkdir(parents=True)
    (folder / "ml" / "code" / "train.py").write_text(_FIRST_LINE)
    (folder / "ml" / "input" / "config").mkdir(parents=True)
    configuration = folder / "ml" / "input" / "config" / "hyperparameters.json"
    configuration.write_text(json.dumps({"sagemaker_program": '"train.py"'}))
    environment = Environment(Path(sys.executable), {})
    image, recipe = recipe_for(_IMAGE, Role.TRAINING)
    variables = native.environment_variables(image, recipe, environment)
    return LaunchSpec("bench", folder, native.train_command(environment), variables, mounts=native.toolkit_mounts())


async def keeper_memory(sandbox: Sandbox, folder: Path) -> tuple[int, int]:
    """KiB resident, and KiB that are its own or its share of what it shares."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    spec = LaunchSpec("bench", folder, ("sh", "-c", "echo ready; sleep 600"), {"PATH": path})
    handle = await sandbox.launch(spec)
    async for _ in sandbox.logs(handle, follow=True):
        break
    rollup = await asyncio.to_thread(Path(f"/proc/{handle['pid']}/smaps_rollup").read_text)
    await sandbox.remove(handle)
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
    return sizes["Rss"], sizes["Pss"]


async def measure(runs: int) -> dict[str, float]:
    sandbox = Sandbox()
    hand: list[float] = []
    bare: list[tuple[float, float]] = []
    scripts: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            hand.append(await asyncio.to_thread(by_hand))
            bare.append(await launched(sandbox, plain(Path(one))))
            scripts.append((await launched(sandbox, script_mode(Path(two))))[1])
    with tempfile.TemporaryDirectory() as folder:
        resident, proportional = await keeper_memory(sandbox, Path(folder))
    return {
        "interpreter by hand to first line, ms": statistics.median(hand) * 1000,
        "launch() returns after, ms": statistics.median(returned for returned, _ in bare) * 1000,
        "launch() to first line of user code, ms": statistics.median(first for _, first in bare) * 1000,
        "the same through the training toolkit, ms": statistics.median(scripts) * 1000,
        "keeper resident, MiB": resident / 1024,
        "keeper proportional, MiB": proportional / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    for name, value in asyncio.run(measure(parser.parse_args().runs)).items():
        print(f"{name:45} {value:8.1f}")


if __name__ == "__main__":
    main()
