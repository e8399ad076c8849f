"""Multi-model endpoints: models that come when they are asked for, and go when others need their memory."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.conftest import Server, start_server
from tests.e2e.jobs import BUCKET, IMAGE, archive, await_endpoint, kill_instance, upload
from tests.e2e.killing import end_control
from tests.e2e.load import Load
from tests.waiting import wait_until

# Multiplies by what the model's file says.
SCRIPT = """
import json, os, time
def model_fn(folder):
    return float(open(os.path.join(folder, "factor")).read())
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model):
    if data == "pid":
        return os.getpid()
    if data == "die":
        os._exit(3)
    if isinstance(data, str):
        raise RuntimeError("no numbers")
    return [each * model for each in data]
def output_fn(prediction, accept): return json.dumps(prediction)
"""
CACHE = 4


class Many:
    """Multi-model endpoints of one server, and the objects under their prefixes."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sagemaker = server.client("sagemaker")
        retries = Config(retries={"max_attempts": 0}, max_pool_connections=40, read_timeout=90)
        self.runtime = server.client("sagemaker-runtime", config=retries)
        self._code = upload(server, "code.tar.gz", archive("serve.py", SCRIPT))

    def endpoint(self, count: int = 1, setting: str = "", **variables: str) -> str:
        """In service; its models are under the prefix of its own name."""
        name = f"many-{uuid.uuid4().hex[:8]}"
        self.configure(name, name, count, setting, **variables)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        await_endpoint(self.server, name)
        return name

    def configure(self, name: str, prefix: str, count: int = 1, setting: str = "", **variables: str) -> None:
        container = {
            "Image": IMAGE,
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://{BUCKET}/{prefix}/",
            "Environment": {
                "SAGEMAKER_PROGRAM": "serve.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": self._code,
                "WILDSAGE_MOST_MODELS": str(CACHE),
                **variables,
            },
            **({"MultiModelConfig": {"ModelCacheSetting": setting}} if setting else {}),
        }
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.server.role, PrimaryContainer=container)
        variant = {
            "VariantName": "all",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def put(self, endpoint: str, target: str, factor: object) -> None:
        upload(self.server, f"{endpoint}/{target}", archive("factor", str(factor)))

    def ask(self, endpoint: str, target: str | None, data: object = (1, 2)) -> Any:
        more = {} if target is None else {"TargetModel": target}
        answer = self.runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType="application/json", Body=json.dumps(data), **more
        )
        return json.loads(answer["Body"].read())

    def refused(self, endpoint: str, target: str | None, data: object = (1, 2)) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            self.ask(endpoint, target, data)
        error = caught.value.response["Error"]
        return str(error["Code"]), str(error["Message"])

    def delete(self, endpoint: str) -> None:
        self.sagemaker.delete_endpoint(EndpointName=endpoint)
        wait_until(lambda: not self._there(endpoint), 60)

    def _there(self, endpoint: str) -> bool:
        return endpoint in [each["EndpointName"] for each in self.sagemaker.list_endpoints()["Endpoints"]]

    def update(self, endpoint: str, config: str) -> None:
        """Returns once it is in service with another configuration; control may be away meanwhile."""
        deadline = time.monotonic() + 120
        while True:
            with suppress(ClientError, BotoCoreError):
                found = self.sagemaker.describe_endpoint(EndpointName=endpoint)
                if found["EndpointStatus"] == "InService" and found["EndpointConfigName"] == config:
                    return
                if found["EndpointStatus"] == "InService":
                    self.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def folders_with(self, target: str) -> list[Path]:
        """Those that have a model on their disk."""
        return [each for each in self.folders() if any(file.read_text() == target for file in each.glob("*/target"))]

    def folders(self) -> list[Path]:
        """Where the instances' models are on the disk."""
        return list((self.server.data / "instances").glob("host-*/models"))


@pytest.fixture(scope="module")
def many(short_directory: Path) -> Iterator[Many]:
    server = start_server(short_directory / "many", "--routers", "2")
    try:
        yield Many(server)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def endpoint(many: Many) -> Iterator[str]:
    """Of one instance, whose container loads CACHE models at most."""
    name = many.endpoint()
    yield name
    many.delete(name)


def test_models_appear_with_their_objects(many: Many, endpoint: str) -> None:
    many.put(endpoint, "two.tar.gz", 2)
    assert many.ask(endpoint, "two.tar.gz") == [2, 4]
    many.put(endpoint, "deep/er/three.tar.gz", 3)
    assert many.ask(endpoint, "deep/er/three.tar.gz") == [3, 6]
    assert many.ask(endpoint, "/two.tar.gz", "pid") == many.ask(endpoint, "two.tar.gz", "pid")
    assert many.ask(endpoint, "two.tar.gz", "pid") == many.ask(endpoint, "two.tar.gz", "pid")
    assert many.ask(endpoint, "two.tar.gz", "pid") != many.ask(endpoint, "deep/er/three.tar.gz", "pid")


def test_a_loaded_model_stays_as_it_is(many: Many, endpoint: str) -> None:
    many.put(endpoint, "old.tar.gz", 5)
    assert many.ask(endpoint, "old.tar.gz") == [5, 10]
    many.put(endpoint, "old.tar.gz", 6)
    assert many.ask(endpoint, "old.tar.gz") == [5, 10]
    many.server.client("s3").delete_object(Bucket=BUCKET, Key=f"{endpoint}/old.tar.gz")
    assert many.ask(endpoint, "old.tar.gz") == [5, 10]


def test_what_cannot_be_asked_for(many: Many, endpoint: str) -> None:
    code, words = many.refused(endpoint, None)
    assert code == "ValidationError"
    assert "is missing a target model header" in words
    for target in (
        "../other/two.tar.gz",
        "a/../../two.tar.gz",
        "s3://jobs/x.tar.gz",
        "//two",
        "a//b.tar.gz",
        "./two.tar.gz",
    ):
        code, words = many.refused(endpoint, target)
        assert (code, "TargetModel" in words) == ("ValidationError", True)
    assert many.refused(endpoint, "missing.tar.gz") == (
        "ValidationError",
        f"Failed to download model data(bucket: {BUCKET}, key: {endpoint}/missing.tar.gz). Please ensure that there is "
        "an object located at the URL and that the role passed to CreateModel has permissions to download the model.",
    )
    upload(many.server, f"{endpoint}/text.tar.gz", b"no archive at all")
    code, words = many.refused(endpoint, "text.tar.gz")
    assert (code, "is not a tar.gz archive" in words) == ("ValidationError", True)
    assert not list(many.server.data.glob("instances/*/models/*.half"))


def test_a_model_that_cannot_be_loaded(many: Many, endpoint: str) -> None:
    many.put(endpoint, "broken.tar.gz", "nothing")
    code, words = many.refused(endpoint, "broken.tar.gz")
    assert code == "ModelError"
    assert "Received server error (500) from primary with message" in words
    assert "could not convert string to float: 'nothing'" in words
    many.put(endpoint, "broken.tar.gz", 9)
    assert many.ask(endpoint, "broken.tar.gz") == [9, 18]
    many.put(endpoint, "good.tar.gz", 7)
    assert many.ask(endpoint, "good.tar.gz") == [7, 14]
    code, words = many.refused(endpoint, "good.tar.gz", "text")
    assert code == "ModelError"


def test_many_more_models_than_there_is_memory_for(many: Many, endpoint: str) -> None:
    for number in range(5 * CACHE):
        many.put(endpoint, f"r{number}.tar.gz", number)

    def client(first: int) -> None:
        for step in range(12):
            number = (first + step * (first % 7 + 1)) % (5 * CACHE)
            assert many.ask(endpoint, f"r{number}.tar.gz") == [number, 2 * number]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))


def test_models_that_die_or_fall_out_of_use_come_back(many: Many, endpoint: str) -> None:
    many.put(endpoint, "mortal.tar.gz", 8)
    pid = many.ask(endpoint, "mortal.tar.gz", "pid")
    code, words = many.refused(endpoint, "mortal.tar.gz", "die")
    assert (code, "closed the connection" in words) == ("ModelError", True)
    assert many.ask(endpoint, "mortal.tar.gz") == [8, 16]
    assert many.ask(endpoint, "mortal.tar.gz", "pid") != pid


def test_without_cache_models_go_after_use(many: Many) -> None:
    name = many.endpoint(setting="Disabled")
    try:
        described = many.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]
        assert described["MultiModelConfig"] == {"ModelCacheSetting": "Disabled"}
        many.put(name, "a.tar.gz", 2)
        before = {folder for folder in many.folders() if any(folder.iterdir())}
        for _ in range(3):
            assert many.ask(name, "a.tar.gz") == [2, 4]
        wait_until(lambda: {folder for folder in many.folders() if any(folder.iterdir())} == before, 60)
        many.put(name, "a.tar.gz", 3)
        assert many.ask(name, "a.tar.gz") == [3, 6]
    finally:
        many.delete(name)


def test_loaded_models_answer_without_control_and_others_once_it_is_back(many: Many, endpoint: str) -> None:
    many.put(endpoint, "here.tar.gz", 2)
    many.put(endpoint, "there.tar.gz", 3)
    assert many.ask(endpoint, "here.tar.gz") == [2, 4]
    with ThreadPoolExecutor(2) as pool:
        end_control(many.server)
        waiting = pool.submit(many.ask, endpoint, "there.tar.gz")
        assert many.ask(endpoint, "here.tar.gz") == [2, 4]
        assert waiting.result(timeout=90) == [3, 6]
    for number in range(2 * CACHE):
        many.put(endpoint, f"later{number}.tar.gz", number)
        assert many.ask(endpoint, f"later{number}.tar.gz") == [number, 2 * number]


def test_no_request_fails_but_those_inside_what_dies(many: Many) -> None:
    """Of two instances: a model's process, control, both fleets of an update, an instance."""
    server, name, target = many.server, many.endpoint(count=2), "busy.tar.gz"
    many.put(name, target, 2)
    many.configure(f"{name}-next", name, count=2)
    try:
        with Load(server, name, connections=4, rate=60, target=target) as load:
            load.more(20)
            many.refused(name, target, "die")
            load.more(40)
            _inside_only(load)
            end_control(server)
            load.more(40)
            many.update(name, f"{name}-next")
            load.more(40)
            assert load.failures == []
            one = many.folders_with(target)[0].parent
            kill_instance(one)
            wait_until(lambda: not one.exists(), 90)
            load.more(40)
            _inside_only(load)
        assert set(load.answers) == {"[2.0]"}
    finally:
        many.delete(name)


def _inside_only(load: Load) -> None:
    """What failed so far was inside what died; it is forgotten."""
    failures = list(load.failures)
    assert len(failures) <= load.connections, failures
    assert all("ModelError" in each or "424" in each for each in failures), failures
    del load.failures[: len(failures)]
