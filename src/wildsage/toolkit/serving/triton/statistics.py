"""What was counted of one version of a model, as Triton's statistics extension shows it. Times are nanoseconds."""

from __future__ import annotations

import time
from typing import Any


class Counter:
    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, count: int, ns: int) -> None:
        self.count += count
        self.ns += ns

    def shown(self) -> dict[str, int]:
        return {"count": self.count, "ns": self.ns}


_STEPS = ("compute_input", "compute_infer", "compute_output")


class Statistics:
    """Written by the threads of instances, each under the lock of its scheduler."""

    def __init__(self) -> None:
        self.inferences = 0
        self.executions = 0
        self.last = 0
        self.success, self.fail, self.queue = Counter(), Counter(), Counter()
        self.steps = {name: Counter() for name in _STEPS}
        self.batches: dict[int, dict[str, Counter]] = {}

    def ran(self, rows: int, requests: int, took: tuple[int, int, int]) -> None:
        """One execution; ``took``: joining, running, splitting."""
        self.executions += 1
        self.inferences += rows
        self.last = time.time_ns() // 1_000_000
        batch = self.batches.get(rows)
        if batch is None:
            batch = self.batches[rows] = {name: Counter() for name in _STEPS}
        for name, ns in zip(_STEPS, took):  # noqa: B905 - Python 3.9
            batch[name].add(1, ns)
            self.steps[name].add(requests, ns * requests)

    def shown(self, name: str, version: str) -> dict[str, Any]:
        nothing = Counter().shown()
        return {
            "name": name,
            "version": version,
            "last_inference": self.last,
            "inference_count": self.inferences,
            "execution_count": self.executions,
            "inference_stats": {
                "success": self.success.shown(),
                "fail": self.fail.shown(),
                "queue": self.queue.shown(),
                **{step: counter.shown() for step, counter in self.steps.items()},
                "cache_hit": nothing,
                "cache_miss": nothing,
            },
            "batch_stats": [
                {"batch_size": rows, **{step: counter.shown() for step, counter in counters.items()}}
                for rows, counters in sorted(self.batches.items())
            ],
        }
