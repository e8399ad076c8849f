"""What SageMaker tells a training container (Developer Guide, "How Amazon SageMaker Provides Training Information")."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple


class Channel(NamedTuple):
    """One input channel. ``content_type`` is empty where the request gave none.

    ``mode``: File, FastFile or Pipe; ``distribution``: FullyReplicated or ShardedByS3Key. ``path``: its folder, or
    in Pipe mode what the names of its pipes begin with (``path_0`` is the first epoch's).
    """

    name: str
    content_type: str
    mode: str
    distribution: str
    path: str


class Job(NamedTuple):
    """A training job as seen from inside. ``base``: /opt/ml; ``checkpoints``: a folder, or empty for none."""

    base: str
    hyperparameters: dict[str, str]
    channels: dict[str, Channel]
    hosts: list[str]
    host: str
    checkpoints: str

    @property
    def model_dir(self) -> str:
        return os.path.join(self.base, "model")

    @property
    def output_data_dir(self) -> str:
        return os.path.join(self.base, "output", "data")

    @property
    def model_file(self) -> str:
        """Where the algorithms that have one file leave it; the name is that of the images (``model_algo-1``)."""
        return os.path.join(self.model_dir, f"model_{self.host}")


def read(base: str) -> Job:
    """From the files below ``base``/input/config."""
    config = os.path.join(base, "input", "config")
    resources = _file(config, "resourceconfig.json")
    channels = {}
    for name, entry in _file(config, "inputdataconfig.json").items():
        channels[name] = Channel(
            name,
            entry.get("ContentType") or "",
            entry.get("TrainingInputMode") or "File",
            entry.get("S3DistributionType") or "FullyReplicated",
            os.path.join(base, "input", "data", name),
        )
    hosts = resources.get("hosts") or ["algo-1"]
    host = resources.get("current_host") or hosts[0]
    checkpoints = _file(config, "checkpointconfig.json").get("LocalPath", "")
    return Job(base, _file(config, "hyperparameters.json"), channels, hosts, host, checkpoints)


def _file(folder: str, name: str) -> dict[str, Any]:
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found
    except FileNotFoundError:
        return {}
