"""``environment.Environment()``: what the running job's variables say, as attributes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any


class Environment:
    """Read-only; the names are those of SM_TRAINING_ENV: ``hosts``, ``channel_input_dirs``, ``num_gpus`` and so on.

    Raises RuntimeError outside of a training job.
    """

    def __init__(self) -> None:
        text = os.environ.get("SM_TRAINING_ENV")
        if not text:
            raise RuntimeError("There is no SM_TRAINING_ENV: this is not a training job in script mode.")
        self._values: dict[str, Any] = json.loads(text)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"A training job's environment has no {name!r}.") from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def keys(self) -> Iterator[str]:
        """For ``dict(environment)``."""
        return iter(self)

    def to_env_vars(self) -> dict[str, str]:
        """The job's SM_* variables."""
        return {name: value for name, value in os.environ.items() if name.startswith("SM_")}

    def to_cmd_args(self) -> list[str]:
        """The script's command line."""
        line: list[str] = json.loads(os.environ["SM_USER_ARGS"])
        return line
