"""A training job that prints 100 MB as fast as it can, beside the same program printing into a file by hand.

    python -m benchmarks.logs [--megabytes 100]

Seconds of the program: from its first line to its last. Those of the job include the way of its whole log into
CloudWatch Logs, which goes on after the container has ended. The server's CPU time and peak memory are those of its own
processes; a client asks DescribeTrainingJob all the while. Afterwards every line is read back and compared.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

from benchmarks.jobs import archive
from benchmarks.queue import ended, spent, submit
from benchmarks.s3.client import watched
from benchmarks.server import Clients, Server, result, running_server

GROUP = "/aws/sagemaker/TrainingJobs"
LINE = "{number:09d} epoch=3 batch=17 loss=0.123456 accuracy=0.9876 learning_rate=0.0001 seconds=0.42 words"
SCRIPT = """
import time
begun = time.perf_counter()
for number in range({count}):
    print(f"{line}")
print(f"took={{time.perf_counter() - begun:.3f}}", flush=True)
"""


def line(number: int) -> str:
    return LINE.format(number=number)


def took(text: str) -> float:
    return float(text.partition("took=")[2])


def by_hand(script: str) -> float:
    with tempfile.TemporaryFile() as file:
        subprocess.run([sys.executable, "-c", script], stdout=file, check=True)
        file.seek(-40, 2)
        return took(file.read().decode())


def messages(clients: Clients, job: str) -> Iterator[str]:
    """Every message of the job's first instance."""
    (stream,) = clients.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
    token: dict[str, str] = {}
    while True:
        page = clients.logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True, **token
        )
        yield from (each["message"] for each in page["events"])
        if token == {"nextToken": page["nextForwardToken"]}:
            return
        token = {"nextToken": page["nextForwardToken"]}


@contextlib.contextmanager
def asking(server: Server, job: str) -> Iterator[list[float]]:
    """Seconds of each DescribeTrainingJob, twenty a second."""
    waits: list[float] = []
    over = threading.Event()
    sagemaker = server.clients().sagemaker

    def ask() -> None:
        while not over.wait(0.05):
            begun = time.perf_counter()
            sagemaker.describe_training_job(TrainingJobName=job)
            waits.append(time.perf_counter() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=100)
    options = parser.parse_args()
    count = options.megabytes * 1_000_000 // (len(line(0)) + 1)
    script = SCRIPT.format(count=count, line=LINE)
    hand = statistics.median(by_hand(script) for _ in range(3))
    with running_server() as server:
        clients, bucket = server.clients(), "benchmark-logs"
        clients.s3.create_bucket(Bucket=bucket)
        clients.s3.put_object(Bucket=bucket, Key="code.tar.gz", Body=archive({"train.py": script.encode()}))
        (before, _), begun = spent(server), time.time()
        submit(clients, bucket, "much")
        with watched(server.data) as memory, asking(server, "much") as waits:
            job = ended(clients, "much")
        wall, (after, _) = time.time() - begun, spent(server)
        if job["TrainingJobStatus"] != "Completed":
            raise SystemExit(job["FailureReason"])
        lines = [each for each in messages(clients, "much") if each[:9].isdigit() or each.startswith("took=")]
    if lines[:-1] != [line(number) for number in range(count)]:
        raise SystemExit("the log is not what was printed")
    waits.sort()
    result(
        "logs",
        megabytes=options.megabytes,
        program_by_hand_s=round(hand, 2),
        program_s=took(lines[-1]),
        job_s=round(wall, 2),
        server_cpu_s=round(after - before, 2),
        memory_growth_mb=round(memory.growth),
        memory_peak_mb=round(memory.peak),
        describe_p50_ms=round(1000 * waits[len(waits) // 2], 1),
        describe_max_ms=round(1000 * waits[-1], 1),
    )


if __name__ == "__main__":
    main()
