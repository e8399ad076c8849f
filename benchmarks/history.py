"""DescribeTrainingJob and ListTrainingJobs with many finished jobs in the store.

    python -m benchmarks.history [--jobs 100000] [--rounds 200]

One job is really run; the others are its row under other names and times. Medians as a boto3 client sees them, one
request after the other, so a good part of each is the client's own.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.queue import ended, submit
from benchmarks.server import Clients, Server, exports, result, wildsage

_COLUMNS = "kind, account, region, wish, phase, spec, status, state, tags, generation"
_SECONDS_APART = 60.0


def start(folder: Path) -> Server:
    data = folder / "data"
    wildsage("up", "--port", "0", "--detach", data=data)
    return Server(data, folder, exports(wildsage("env", data=data)))


def multiply(database: Path, jobs: int) -> None:
    """Rows like that of job ``model``, one a minute up to now, one in ten Failed."""
    now = time.time()
    with sqlite3.connect(database) as connection:
        of_kind = "SELECT id FROM resources WHERE name = 'model' AND kind = 'sagemaker.training-job'"
        (model,) = connection.execute(of_kind).fetchone()
        connection.executemany(
            f"INSERT INTO resources ({_COLUMNS}, name, uid, created, modified) "
            f"SELECT {_COLUMNS.replace('phase', '?')}, ?, ?, ?, ? FROM resources "
            f"WHERE id = {model}",
            (
                (
                    "Completed" if number % 10 else "Failed",
                    f"finished-{number:06}",
                    f"uid-{number}",
                    now - (jobs - number) * _SECONDS_APART,
                    now - (jobs - number) * _SECONDS_APART,
                )
                for number in range(jobs)
            ),
        )
    connection.close()


def median(call: Callable[[int], Any], rounds: int) -> float:
    """Milliseconds."""
    call(0)
    taken = []
    for number in range(rounds):
        begun = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - begun)
    return round(1000 * statistics.median(taken), 2)


def measure(clients: Clients, jobs: int, rounds: int) -> dict[str, float]:
    sagemaker, dice = clients.sagemaker, random.Random(1)
    names = [f"finished-{dice.randrange(jobs):06}" for _ in range(rounds)]
    middle = datetime.fromtimestamp(time.time() - jobs / 2 * _SECONDS_APART, UTC)
    filters: dict[str, dict[str, Any]] = {
        "newest": {},
        "status": {"StatusEquals": "Failed"},
        "no_such_status": {"StatusEquals": "Stopped"},
        "name": {"NameContains": "finished-0123"},
        "no_such_name": {"NameContains": "absent"},
        "created_before": {"CreationTimeBefore": middle},
        "modified_before": {"LastModifiedTimeBefore": middle},
        "by_name": {"SortBy": "Name", "SortOrder": "Ascending"},
        "by_status": {"SortBy": "Status"},
    }
    found = {
        "describe_ms": median(lambda number: sagemaker.describe_training_job(TrainingJobName=names[number]), rounds)
    }
    for name, given in filters.items():
        found[f"list_{name}_ms"] = median(lambda _, given=given: sagemaker.list_training_jobs(**given), rounds // 10)  # type: ignore[misc]
    token = sagemaker.list_training_jobs(MaxResults=100)["NextToken"]
    found["list_next_page_of_100_ms"] = median(
        lambda _: sagemaker.list_training_jobs(MaxResults=100, NextToken=token), rounds // 10
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wildsage-benchmark-") as name:
        server = start(Path(name))
        clients = server.clients()
        clients.s3.create_bucket(Bucket="benchmark-history")
        submit(clients, "benchmark-history", "model")  # it has no source, so it fails, which is an end like any other
        ended(clients, "model")
        wildsage("down", data=server.data)
        multiply(server.data / "wildsage.db", options.jobs)
        server = start(Path(name))
        try:
            result("history", jobs=options.jobs, **measure(server.clients(), options.jobs, options.rounds))
        finally:
            wildsage("down", data=server.data)


if __name__ == "__main__":
    main()
