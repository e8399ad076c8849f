"""The process that carries an instance's data: its folder, its launch, and how it ended.

It is a container of its own beside the model's, so that control moves no data and may die meanwhile. It sees the
sockets of the model's containers and the server's port, and acts as the model's role.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import wildsage
from wildsage.core import trees
from wildsage.core.transforms import FAILED, OBJECTS, ORDER, Item, Order
from wildsage.runtimes.base import Inside, Inspection, LaunchSpec, Mount, Phase

MODULE = "wildsage.dataplane.transform"
_PACKAGES = "/opt/wildsage/server"
_SOCKETS = "/opt/wildsage/model"
_UNIX = "unix:"


def write_objects(folder: Path, items: Iterable[Item]) -> None:
    """Begins the folder anew."""
    trees.remove(folder)
    (folder / "ml").mkdir(parents=True)
    with (folder / "ml" / OBJECTS).open("w") as file:
        file.writelines(f"{json.dumps(list(item))}\n" for item in items)


def write_order(folder: Path, order: Order) -> None:
    """What the next launch works by."""
    (folder / "ml" / ORDER).write_text(order.dump())


def seen(addresses: Sequence[str]) -> list[str]:
    """The addresses of containers as the carrier knows them."""
    return [
        f"{_UNIX}{_SOCKETS}/{number}/{Path(address).name}" if address.startswith(_UNIX) else address
        for number, address in enumerate(addresses, 1)
    ]


def spec(name: str, folder: Path, addresses: Sequence[str], credentials_uri: str) -> LaunchSpec:
    """``addresses``: of the containers, on this machine."""
    sockets = tuple(
        Mount(Path(address.removeprefix(_UNIX)).parent, f"{_SOCKETS}/{number}")
        for number, address in enumerate(addresses, 1)
        if address.startswith(_UNIX)
    )
    package = Path(wildsage.__file__).parent
    return LaunchSpec(
        name=name,
        directory=folder,
        argv=(sys.executable, "-m", MODULE, Inside.ML),
        environment={
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials_uri,
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": _PACKAGES,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        mounts=(Mount(package, f"{_PACKAGES}/{package.name}", read_only=True), *sockets),
    )


def finished(found: Inspection) -> bool:
    """Whether it did all it could; what became of the objects is in its folder. Else it was killed."""
    return found.phase is Phase.EXITED and found.exit_code in (0, FAILED)
