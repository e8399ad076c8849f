"""Batch transform beside a loop in the model's own process: the same file, the same functions, the same batches.

    python -m benchmarks.transform [--lines 1000000] [--rounds 3]

Both sides begin with nothing and end with the whole output: the loop is a process that imports scikit-learn, loads the
model, reads a local file and writes one; the job is what lies between TransformStartTime and TransformEndTime. *plain*
is a script that reads CSV with numpy, *default* one that leaves that to the image. Processor time is compared as well,
since a machine that is busy with other things has other rates.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.jobs import IMAGE, archive
from benchmarks.report import Finding
from benchmarks.server import Clients, Server, running_server

_COLUMNS = 8
_RATE, _MEMORY_MIB = 0.9, 200
_BUCKET = "benchmark-transform"
_TICKS = os.sysconf("SC_CLK_TCK")

FIT = """
import sys, joblib, numpy
from sklearn.linear_model import LogisticRegression
x = numpy.random.default_rng(7).normal(size=(2000, 8)); y = (x.sum(axis=1) > 0).astype(int)
joblib.dump(LogisticRegression().fit(x, y), sys.argv[1])
"""
DEFAULT = """
import joblib
def model_fn(folder):
    return joblib.load(folder + "/model.joblib")
"""
PLAIN = (
    DEFAULT
    + """
import io, numpy
def input_fn(body, content_type):
    return numpy.loadtxt(io.StringIO(body), delimiter=",", ndmin=2)
def output_fn(prediction, accept):
    return "\\n".join(map(str, prediction.tolist())) + "\\n", accept
"""
)
LOOP = """
import sys
from pathlib import Path
from types import ModuleType
from wildsage.toolkit.serving.frameworks import sklearn
from wildsage.toolkit.serving.http import Request
script, model, source, target = sys.argv[1:]
module = ModuleType("inference")
exec(Path(script).read_text(), module.__dict__)
handle = sklearn.load(module, model)
headers = {"content-type": "text/csv", "accept": "text/csv"}
with open(source, "rb") as lines, open(target, "wb") as out:
    while body := lines.read(6 << 20):
        answer = handle(Request("POST", "/invocations", headers, body + lines.readline()))
        assert answer.status == 200
        out.write(answer.body)
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One run. ``seconds``, ``cpu``: wall and processor; ``memory``: MiB, the most of each process, added up."""

    seconds: float
    cpu: float
    memory: float


@dataclass(slots=True)
class _Watched:
    """What processes of an instance have used, looked at while they run."""

    url: str
    cpu: dict[int, float] = field(default_factory=dict)
    memory: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        for pid in _instance_processes(self.url):
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            self.cpu[pid] = (int(stat[11]) + int(stat[12])) / _TICKS
            high = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
            self.memory[pid] = int(high) / 1024

    def run(self, over: threading.Event) -> None:
        while not over.wait(0.1):
            self.look()


def _instance_processes(url: str) -> Iterator[int]:
    """The model server and what carries its data: those that are told where this server's credentials are."""
    told = f"AWS_CONTAINER_CREDENTIALS_FULL_URI={url}/".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if told in path.read_bytes():
                yield int(path.parent.name)
        except OSError:
            continue


def loop(folder: Path, script: str, lines: Path) -> Side:
    """The loop, as a process of its own."""
    (folder / "script.py").write_text(script)
    words = (str(folder / "script.py"), str(folder), str(lines), str(folder / "loop.out"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    code = f"{LOOP}\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    done = subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Side(seconds, cpu, float(done.stdout))


def job(server: Server, clients: Clients, name: str, model: str, **changes: Any) -> Side:
    """The job, whose output must be that of the loop."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{_BUCKET}/lines.csv"}
    watched, over = _Watched(server.url), threading.Event()
    watcher = threading.Thread(target=watched.run, args=(over,))
    watcher.start()
    try:
        clients.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=model,
            BatchStrategy="MultiRecord",
            TransformInput={
                "DataSource": {"S3DataSource": source},
                "ContentType": "text/csv",
                "SplitType": "Line",
            },
            TransformOutput={
                "S3OutputPath": f"s3://{_BUCKET}/{name}",
                "Accept": "text/csv",
                "AssembleWith": "Line",
            },
            TransformResources={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
            **changes,
        )
        while True:
            found = clients.sagemaker.describe_transform_job(TransformJobName=name)
            if found["TransformJobStatus"] != "InProgress":
                break
            time.sleep(0.2)
    finally:
        over.set()
        watcher.join()
    if found["TransformJobStatus"] != "Completed":
        raise SystemExit(f"the job is {found['TransformJobStatus']}: {found.get('FailureReason')}")
    body = clients.s3.get_object(Bucket=_BUCKET, Key=f"{name}/lines.csv.out")["Body"].read()
    if body != (server.folder / "loop.out").read_bytes():
        raise SystemExit("the job's output is not the loop's")
    seconds = (found["TransformEndTime"] - found["TransformStartTime"]).total_seconds()
    return Side(seconds, sum(watched.cpu.values()), sum(watched.memory.values()))


def _compare(what: str, lines: int, loops: list[Side], jobs: list[Side], barred: bool) -> Iterator[Finding]:
    """Medians of pairs that were taken one after the other."""
    rate = statistics.median(one.seconds / other.seconds for one, other in zip(loops, jobs, strict=True))
    cpu = statistics.median(one.cpu / other.cpu for one, other in zip(loops, jobs, strict=True))
    ours, theirs = (lines / statistics.median(side.seconds for side in sides) for sides in (jobs, loops))
    bar = f">= {_RATE:.0%} of the loop" if barred else ""
    yield Finding(f"{what}: lines a second", f"{ours:,.0f}, loop {theirs:,.0f}: {rate:.0%}", bar, rate >= _RATE)
    yield Finding(f"{what}: processor time, loop / job", f"{cpu:.0%}")
    if barred:
        above = statistics.median(one.memory for one in jobs) - statistics.median(one.memory for one in loops)
        yield Finding(
            f"{what}: memory above the model's", f"{above:,.0f} MiB", f"< {_MEMORY_MIB} MiB", above < _MEMORY_MIB
        )


def _models(clients: Clients, model: bytes) -> None:
    for name, script in (("plain", PLAIN), ("default", DEFAULT)):
        packed = archive({"model.joblib": model, "code/inference.py": script.encode()})
        clients.s3.put_object(Bucket=_BUCKET, Key=f"{name}.tar.gz", Body=packed)
        for workers in (1, 2):
            clients.sagemaker.create_model(
                ModelName=f"{name}-{workers}",
                ExecutionRoleArn=clients.role,
                PrimaryContainer={
                    "Image": IMAGE,
                    "ModelDataUrl": f"s3://{_BUCKET}/{name}.tar.gz",
                    "Environment": {
                        "SAGEMAKER_PROGRAM": "inference.py",
                        "SAGEMAKER_MODEL_SERVER_WORKERS": str(workers),
                    },
                },
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with running_server() as server:
        clients = server.clients()
        clients.s3.create_bucket(Bucket=_BUCKET)
        subprocess.run([sys.executable, "-c", FIT, str(server.folder / "model.joblib")], check=True)
        _models(clients, (server.folder / "model.joblib").read_bytes())
        chance, lines = random.Random(7), server.folder / "lines.csv"
        known = [",".join(f"{chance.gauss(0, 1):.4f}" for _ in range(_COLUMNS)) for _ in range(10_000)]
        with lines.open("w") as file:
            file.writelines(f"{known[number % len(known)]}\n" for number in range(options.lines))
        clients.s3.upload_file(str(lines), _BUCKET, "lines.csv")
        findings: list[Finding] = []
        for name, script in (("plain", PLAIN), ("default", DEFAULT)):
            loops, jobs, two = [], [], []
            for number in range(options.rounds):
                loops.append(loop(server.folder, script, lines))
                jobs.append(job(server, clients, f"{name}-{number}", f"{name}-1"))
                two.append(job(server, clients, f"{name}-two-{number}", f"{name}-2", MaxConcurrentTransforms=2))
            findings += _compare(name, options.lines, loops, jobs, barred=True)
            findings += _compare(f"{name}, two at once", options.lines, loops, two, barred=False)
        print(*findings, sep="\n")
        print(json.dumps({"lines": options.lines, "bytes": lines.stat().st_size}))
    if not all(finding.met for finding in findings):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
