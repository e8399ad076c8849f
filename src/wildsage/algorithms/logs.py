"""The log of the built-in algorithms, line for line as their own metric definitions expect it."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any


class Log:
    """Writes to stdout. ``host``: this instance's name; ``algorithm``: the dimension of ``#metrics`` lines."""

    def __init__(self, host: str, algorithm: str) -> None:
        self.host = host
        self.algorithm = algorithm
        self.started = time.time()

    def line(self, message: str, level: str = "INFO") -> None:
        """``[11/21/2026 14:00:00 INFO 140123] message``."""
        stamp = time.strftime("%m/%d/%Y %H:%M:%S")
        sys.stdout.write(f"[{stamp} {level} {threading.get_ident()}] {message}\n")
        sys.stdout.flush()

    def quality(self, data: str, name: str, value: float, kind: str, epoch: int | None = None) -> None:
        """``data``: train, validation or test; ``kind``: loss or score."""
        when = f" epoch={epoch}," if epoch is not None else ""
        self.line(f"#quality_metric: host={self.host},{when} {data} {name} <{kind}>={float(value)!r}")

    def progress(self, percent: float) -> None:
        self.line(f"#progress_metric: host={self.host}, completed {percent} % of epochs")

    def throughput(self, records: int, seconds: float) -> None:
        rate = records / max(seconds, 1e-6)
        self.line(f"#throughput_metric: host={self.host}, train throughput={rate!r} records/second")

    def metrics(self, started: float, values: dict[str, float], **dimensions: Any) -> None:
        """A ``#metrics`` line: values over the time since ``started``, epoch seconds."""
        written = {
            name: {"sum": float(value), "count": 1, "min": value, "max": value} for name, value in values.items()
        }
        where = {"Algorithm": self.algorithm, "Host": self.host, "Operation": "training", **dimensions}
        entry = {"StartTime": started, "EndTime": time.time(), "Dimensions": where, "Metrics": written}
        sys.stdout.write(f"#metrics {json.dumps(entry)}\n\n")
        sys.stdout.flush()

    def finish(self, setup_seconds: float) -> None:
        """The last line of a job."""
        total = (time.time() - self.started) * 1000
        self.metrics(self.started, {"setuptime": setup_seconds * 1000, "totaltime": total})


def entrypoint_called() -> None:
    """The first line of the images' logs."""
    sys.stdout.write("Docker entrypoint called with argument(s): train\n")
    sys.stdout.write("Running default environment configuration script\n")
    sys.stdout.flush()
