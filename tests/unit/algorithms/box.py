"""What a training container finds under /opt/ml, in a temporary folder, and what it leaves there."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wildsage.algorithms import container, serve
from wildsage.algorithms.formats import recordio, records
from wildsage.algorithms.hosting.model import Response

Array = np.ndarray[Any, Any]


class Channel(NamedTuple):
    """One file's content, and what the request said of it."""

    content: bytes
    content_type: str = ""
    distribution: str = "FullyReplicated"
    mode: str = "File"


def csv(*columns: Array) -> bytes:
    stream = io.StringIO()
    np.savetxt(stream, np.column_stack(columns), delimiter=",", fmt="%.9g")
    return stream.getvalue().encode()


def labelled(x: Array, y: Array) -> Channel:
    """CSV with the label first."""
    return Channel(csv(y, x), "text/csv")


def protobuf(x: Array, y: Array | None = None) -> bytes:
    found = b""
    for number, row in enumerate(x):
        label = {} if y is None else {"values": y[number]}
        found += recordio.frame(records.encode({"values": row}, label))
    return found


class Box:
    """``base`` stands for /opt/ml."""

    def __init__(self, base: Path, algorithm: str) -> None:
        self.base = base
        self.algorithm = algorithm

    def train(self, hyperparameters: Mapping[str, Any], channels: Mapping[str, Channel], **more: str) -> int:
        """Returns the exit status."""
        config = self.base / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (self.base / "output").mkdir(exist_ok=True)
        entries = {}
        for name, channel in channels.items():
            folder = self.base / "input" / "data" / name
            folder.mkdir(parents=True, exist_ok=True)
            if channel.mode == "File":
                (folder / "part-0").write_bytes(channel.content)
            entries[name] = {"TrainingInputMode": channel.mode, "S3DistributionType": channel.distribution}
            if channel.content_type:
                entries[name]["ContentType"] = channel.content_type
        texts = {name: str(value) for name, value in hyperparameters.items()}
        (config / "hyperparameters.json").write_text(json.dumps(texts))
        (config / "inputdataconfig.json").write_text(json.dumps(entries))
        (config / "resourceconfig.json").write_text('{"current_host": "algo-1", "hosts": ["algo-1"]}')
        environ = {"SAGEMAKER_BASE_DIR": str(self.base), "WILDSAGE_ALGORITHM": self.algorithm, **more}
        return container.main(environ)

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()

    def ask(self, body: bytes, content_type: str = "text/csv", accept: str = "application/json") -> Response:
        """Loads the model and asks it once."""
        return serve.load(self.algorithm, str(self.model))(body, {"content-type": content_type, "accept": accept})

    def predictions(self, x: Array, key: str = "predictions") -> list[dict[str, Any]]:
        status, _, body = self.ask(csv(x))
        assert status == 200, body
        found: list[dict[str, Any]] = json.loads(body)[key]
        return found
