"""AWS's managed policies that come with the server, as data in ``managed/``."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "managed"


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """``path``: ``/``, ``/service-role/`` or ``/job-function/``. ``document``: JSON text."""

    name: str
    path: str
    description: str
    document: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::aws:policy{self.path}{self.name}"


@functools.cache
def managed_policies() -> Mapping[str, ManagedPolicy]:
    """By ARN."""
    found = {}
    for file in sorted(_FOLDER.glob("*.json")):
        data = json.loads(file.read_text())
        policy = ManagedPolicy(file.stem, data["Path"], data["Description"], json.dumps(data["Document"]))
        found[policy.arn] = policy
    return found
