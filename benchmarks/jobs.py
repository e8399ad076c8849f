"""How long jobs and endpoints take beyond their own work.

    python -m benchmarks.jobs [--rounds 5]

Training: from CreateTrainingJob accepted to the first line of user code, beside starting the same interpreter by hand.
Hosting: from CreateEndpoint accepted to InService, beside loading the same model by hand.  Medians of all rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from benchmarks.server import Clients, running_server

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
FIRST_LINE = "import time\nprint(f'first_line={time.time():.6f};', flush=True)\n"
SERVE = "import joblib\ndef model_fn(d):\n    return joblib.load(d + '/model.joblib')\n"
LOAD = "import sys, joblib; joblib.load(sys.argv[1])"
FIT = (
    "import sys, joblib; from sklearn.datasets import load_iris; from sklearn.linear_model import LogisticRegression;"
    "x, y = load_iris(return_X_y=True); joblib.dump(LogisticRegression(max_iter=500).fit(x, y), sys.argv[1])"
)


def archive(files: dict[str, bytes]) -> bytes:
    """A tar.gz of files by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            made.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


def interpreter_start(rounds: int) -> float:
    """Seconds from starting the interpreter by hand to its first line."""
    taken = []
    for _ in range(rounds):
        began = time.time()
        out = subprocess.run([sys.executable, "-c", FIRST_LINE], capture_output=True, text=True, check=True).stdout
        taken.append(float(out.split("=")[1].split(";")[0]) - began)
    return statistics.median(taken)


def load_by_hand(model: Path, rounds: int) -> float:
    """Seconds to start an interpreter and load the model in it."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", LOAD, str(model)], check=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def said(clients: Clients, name: str) -> list[str]:
    """The lines of a training job's log, once it is over."""
    clients.sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=name, WaiterConfig={"Delay": 1}
    )
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = clients.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    found = clients.logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
    return [each["message"] for each in found["events"]]


def train(clients: Clients, bucket: str, name: str) -> float:
    """Seconds from CreateTrainingJob's answer to the first line of the script."""
    clients.sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=clients.role,
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "first", "Regex": "first_line=(.*?);"}],
        },
        HyperParameters={
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(f"s3://{bucket}/code.tar.gz"),
        },
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    accepted = time.time()
    (line,) = [each for each in said(clients, name) if each.startswith("first_line=")]
    return float(line.split("=")[1].split(";")[0]) - accepted


def deploy(clients: Clients, bucket: str, name: str) -> float:
    """Seconds from CreateEndpoint's answer to InService; everything is deleted afterwards."""
    client: Any = clients.sagemaker
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{bucket}/code.tar.gz"}
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/model.tar.gz", "Environment": environment}
    client.create_model(ModelName=name, ExecutionRoleArn=clients.role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    began = time.perf_counter()
    while (status := client.describe_endpoint(EndpointName=name)["EndpointStatus"]) == "Creating":
        time.sleep(0.01)
    taken = time.perf_counter() - began
    if status != "InService":
        raise SystemExit(f"the endpoint is {status}")
    client.delete_endpoint(EndpointName=name)
    client.delete_endpoint_config(EndpointConfigName=name)
    client.delete_model(ModelName=name)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with running_server() as server:
        clients, bucket = server.clients(), "benchmark-jobs"
        clients.s3.create_bucket(Bucket=bucket)
        model = server.folder / "model.joblib"
        subprocess.run([sys.executable, "-c", FIT, str(model)], check=True)
        code = archive({"train.py": FIRST_LINE.encode(), "serve.py": SERVE.encode()})
        clients.s3.put_object(Bucket=bucket, Key="code.tar.gz", Body=code)
        clients.s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=archive({"model.joblib": model.read_bytes()}))

        by_hand = interpreter_start(rounds)
        trained = statistics.median(train(clients, bucket, f"bench-{number}") for number in range(rounds))
        print(f"training: first line of user code after {trained:.3f} s; interpreter by hand {by_hand:.3f} s")
        print(f"  added {trained - by_hand:.3f} s (bar: 0.5 s)")

        loaded = load_by_hand(model, rounds)
        served = statistics.median(deploy(clients, bucket, f"bench-{number}") for number in range(rounds))
        print(f"hosting: InService after {served:.3f} s; the model's own load {loaded:.3f} s")
        print(f"  added {served - loaded:.3f} s (bar: 1 s)")


if __name__ == "__main__":
    main()
