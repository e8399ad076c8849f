"""Many short training jobs in a queue, beside the same work back to back by hand.

    python -m benchmarks.queue [--jobs 200] [--seconds 1]

Each job is one script that counts, for about a second of a free core. By hand: as many interpreters at a time as the
server runs jobs, each started when one before it has ended. The server's own CPU time is that of its processes, without
what it starts for a job (the launcher and the keeper of a container, which are reported beside it).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from benchmarks.server import Clients, Server, result, running_server

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
COUNT = "n = {steps}\nwhile n:\n    n -= 1\n"
_TICK = os.sysconf("SC_CLK_TCK")
_ENDED = ("Completed", "Failed", "Stopped")


def calibrate(seconds: float) -> str:
    """A script that takes about so long alone: interpreter and all."""
    few, many = 1, 10_000_000
    start = min(alone(few) for _ in range(3))
    rate = many / (min(alone(many) for _ in range(3)) - start)
    return COUNT.format(steps=round(rate * (seconds - start)))


def alone(steps: int) -> float:
    """Seconds."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", COUNT.format(steps=steps)], check=True)
    return time.perf_counter() - begun


def by_hand(script: str, jobs: int, at_once: int) -> float:
    """Seconds for all of them."""
    begun = time.perf_counter()
    running: list[subprocess.Popen[bytes]] = []
    for _ in range(jobs):
        while len(running) == at_once:
            running = [each for each in running if each.poll() is None]
            time.sleep(0.002)
        running.append(subprocess.Popen([sys.executable, "-c", script]))
    for each in running:
        each.wait()
    return time.perf_counter() - begun


def cpu(pid: int) -> tuple[float, float]:
    """Seconds of CPU time of a process, and of those children of it that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(each) / _TICK for each in fields[11:15])
    return user + system, children_user + children_system


def spent(server: Server) -> tuple[float, float]:
    """CPU seconds of all of the server's processes, and of what they started for jobs."""
    children: dict[str, int] = json.loads((server.data / "run" / "server.json").read_text())["children"]
    found = [cpu(pid) for pid in children.values()]
    return sum(own for own, _ in found), sum(other for _, other in found)


def submit(clients: Clients, bucket: str, name: str) -> None:
    clients.sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=clients.role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{bucket}/code.tar.gz",
        },
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )


def ended(clients: Clients, last: str) -> dict[str, Any]:
    """The last job, once it is over; asked rarely, for the question costs CPU, too."""
    while True:
        found: dict[str, Any] = clients.sagemaker.describe_training_job(TrainingJobName=last)
        if found["TrainingJobStatus"] in _ENDED:
            return found
        time.sleep(0.5)


def through(script: str, jobs: int) -> dict[str, float]:
    """The same through a server."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        member.size = len(script.encode())
        tar.addfile(member, io.BytesIO(script.encode()))
    with running_server() as server:
        clients, bucket = server.clients(), "benchmark-queue"
        clients.s3.create_bucket(Bucket=bucket)
        clients.s3.put_object(Bucket=bucket, Key="code.tar.gz", Body=packed.getvalue())
        submit(clients, bucket, "warm-up")
        ended(clients, "warm-up")
        before, begun = spent(server), time.time()
        for number in range(jobs):
            submit(clients, bucket, f"queued-{number}")
        submitted = time.time() - begun
        for number in range(max(jobs - 4, 0), jobs):
            ended(clients, f"queued-{number}")
        after = spent(server)
        pages = clients.sagemaker.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 100})
        jobs_found = [each for page in pages for each in page["TrainingJobSummaries"]]
        failed = [each for each in jobs_found if each["TrainingJobStatus"] != "Completed"]
        if failed:
            raise SystemExit(f"{len(failed)} jobs did not complete: {failed[0]}")
        wall = max(each["TrainingEndTime"].timestamp() for each in jobs_found) - begun
    return {
        "wall_s": round(wall, 2),
        "submitting_s": round(submitted, 2),
        "server_cpu_of_a_core": round((after[0] - before[0]) / wall, 3),
        "launchers_cpu_of_a_core": round((after[1] - before[1]) / wall, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    script = calibrate(options.seconds)
    hand = by_hand(script, options.jobs, max(2, os.cpu_count() or 1))
    found = through(script, options.jobs)
    result("queue", jobs=options.jobs, by_hand_s=round(hand, 2), **found, ratio=round(found["wall_s"] / hand, 3))


if __name__ == "__main__":
    main()
