"""Takes away what a crash may have left in the engine."""

from __future__ import annotations

import json
import os
from pathlib import Path

from wildsage.runtimes.containers.api import Api
from wildsage.runtimes.containers.attendant.making import quoted, remove_container, remove_network
from wildsage.runtimes.containers.plan import DIRECTORY_LABEL
from wildsage.runtimes.sandbox.keeper import launcher


def sweep(api: Api, root: Path) -> None:
    """Containers and networks of directories below ``root`` that know them no more. Raises EngineGone, EngineError."""
    filters = quoted(json.dumps({"label": [DIRECTORY_LABEL]}))
    below = os.path.realpath(root)
    for found in api.call("GET", f"/containers/json?all=1&filters={filters}"):
        if _is_nobodys(found["Labels"][DIRECTORY_LABEL], below):
            remove_container(api, found["Id"])
    for found in api.call("GET", f"/networks?filters={filters}"):
        if _is_nobodys(found["Labels"][DIRECTORY_LABEL], below):
            remove_network(api, found["Id"])


def _is_nobodys(directory: str, root: str) -> bool:
    return f"{directory}/".startswith(f"{root}/") and not (Path(directory) / launcher.STATE).exists()
