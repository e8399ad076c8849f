"""Functions really run: events and answers, logs, failures of every kind, limits, retries."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.api.lambda_.functions import Functions, until
from tests.conftest import Server

TEXT = """
import ctypes, json, os, signal, sys, time

started = time.time()
taken = 0

def handler(event, context):
    global taken
    taken += 1
    print("event", json.dumps(event))
    return globals()["do_" + event.get("do", "tell")](event, context)

def do_tell(event, context):
    return {"taken": taken, "pid": os.getpid(), "event": event, "id": context.aws_request_id,
            "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
            "name": context.function_name, "memory": context.memory_limit_in_mb,
            "client": getattr(context.client_context, "custom", None)}

def do_raise(event, context): raise ValueError("no such luck")
def do_exit(event, context): os._exit(event["code"])
def do_kill(event, context): os.kill(os.getpid(), event["signal"]); time.sleep(60)
def do_sleep(event, context): time.sleep(event["seconds"]); return os.getpid()
def do_fill(event, context): return len(bytearray(os.urandom(1 << 20) * 400))
def do_large(event, context): return "x" * event["size"]
def do_deep(event, context): return do_deep(event, context)
def do_say(event, context): raise ValueError("x" * event["size"])
def do_unfit(event, context): return {1, 2}
def do_variables(event, context): return dict(os.environ)
def do_files(event, context):
    open("/tmp/mine", "w").write("1")
    try: open("/var/task/mine", "w"); return "written"
    except OSError: return sorted(os.listdir("/var/task"))
def do_caller(event, context):
    import boto3
    return boto3.client("sts").get_caller_identity()["Arn"]
def do_log(event, context):
    import logging
    logging.getLogger().warning("careful")
    for number in range(event["lines"]): print(event.get("word", "line"), number)
"""


@pytest.fixture(scope="module")
def name(functions: Functions) -> str:
    return functions.create(TEXT, MemorySize=256, Timeout=60, Environment={"Variables": {"OWN": "yes"}})


def test_an_event_and_its_answer(functions: Functions, name: str) -> None:
    first = functions.invoke(name, {"a": [1, "ü"]})
    assert (first.status, first.error, first.answer["ExecutedVersion"]) == (200, None, "$LATEST")
    told = first.payload
    assert told["event"] == {"a": [1, "ü"]}
    assert told["id"] == first.answer["ResponseMetadata"]["RequestId"]
    assert told["arn"].endswith(f":function:{name}")
    assert (told["name"], told["memory"]) == (name, "256")
    assert all(0 < left <= 60_000 for left in (functions.invoke(name).payload["left"] for _ in range(30)))
    second = functions.invoke(name).payload
    assert (second["pid"], second["taken"]) == (told["pid"], told["taken"] + 31)


def test_the_log_of_an_event(functions: Functions, server: Server, name: str) -> None:
    called = functions.invoke(name, {"do": "log", "lines": 3})
    request = called.answer["ResponseMetadata"]["RequestId"]
    assert called.log[0] == f"START RequestId: {request} Version: $LATEST"
    assert re.fullmatch(rf"\[WARNING\]\t\S+Z\t{request}\tcareful", called.log[2])
    assert called.log[3:6] == ["line 0", "line 1", "line 2"]
    assert called.log[6] == f"END RequestId: {request}"
    fields = called.log[7].split("\t")
    assert fields[0] == f"REPORT RequestId: {request}"
    assert re.fullmatch(r"Duration: \d+\.\d\d ms", fields[1])
    assert re.fullmatch(r"Billed Duration: \d+ ms", fields[2])
    assert fields[3] == "Memory Size: 256 MB"
    assert re.fullmatch(r"Max Memory Used: \d+ MB", fields[4])
    until(lambda: called.log[7] in functions.messages(name))
    streams = server.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", streams[0]["logStreamName"])
    long = functions.invoke(name, {"do": "log", "lines": 2000}).answer["LogResult"]
    assert len(long) == 4096 / 3 * 4 + 2 or len(long) <= 5464
    for padding in range(3):  # the cut falls on each byte of the character in turn
        called = functions.invoke(name, {"do": "log", "lines": 1, "word": "€" * 2000 + "x" * padding})
        assert 4000 < len("\n".join(called.log).encode()) < 4097


def test_variables_files_and_role(functions: Functions, server: Server, name: str) -> None:
    found = functions.invoke(name, {"do": "variables"}).payload
    assert found["OWN"] == "yes"
    assert found["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert found["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11"
    assert found["_HANDLER"] == "main.handler"
    assert found["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert functions.invoke(name, {"do": "files"}).payload == ["main.py"]
    role = server.role.rpartition("/")[2]
    assert functions.invoke(name, {"do": "caller"}).payload.endswith(f":assumed-role/{role}/{name}")


def test_a_function_that_raises(functions: Functions, name: str) -> None:
    called = functions.invoke(name, {"do": "raise"})
    assert (called.status, called.error) == (200, "Unhandled")
    assert called.payload["errorType"] == "ValueError"
    assert called.payload["errorMessage"] == "no such luck"
    assert "do_raise" in called.payload["stackTrace"][-1]
    assert any(line.startswith("[ERROR] ValueError: no such luck") for line in called.log)
    assert functions.invoke(name).error is None


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"do": "exit", "code": 3}, "Runtime exited with error: exit status 3"),
        ({"do": "exit", "code": 0}, "Runtime exited without providing a reason"),
        ({"do": "kill", "signal": 9}, "Runtime exited with error: signal: killed"),
        ({"do": "kill", "signal": 11}, "Runtime exited with error: signal: segmentation fault"),
    ],
    ids=["status", "silent", "killed", "fault"],
)
def test_a_worker_that_dies(functions: Functions, name: str, event: dict[str, Any], words: str) -> None:
    called = functions.invoke(name, event)
    request = called.answer["ResponseMetadata"]["RequestId"]
    assert called.error == "Unhandled"
    assert called.payload == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request} Error: {words}"}
    assert called.log[-1].endswith("Status: error\tError Type: Runtime.ExitError\t")
    assert functions.invoke(name).payload["taken"] == 1


def test_more_memory_than_there_is(functions: Functions, name: str) -> None:
    called = functions.invoke(name, {"do": "fill"})
    assert called.payload["errorType"] == "Runtime.OutOfMemory"
    assert "signal: killed" in called.payload["errorMessage"]


def test_a_time_out(functions: Functions) -> None:
    name = functions.create(TEXT, Timeout=1)
    began = time.monotonic()
    called = functions.invoke(name, {"do": "sleep", "seconds": 50})
    assert time.monotonic() - began < 40
    request = called.answer["ResponseMetadata"]["RequestId"]
    assert called.error == "Unhandled"
    assert called.payload["errorMessage"] == f"RequestId: {request} Error: Task timed out after 1.00 seconds"
    assert any(line.endswith(f"Z {request} Task timed out after 1.00 seconds") for line in called.log)
    assert called.log[-1].endswith("Status: timeout\t")
    assert functions.invoke(name).payload["taken"] == 1


def test_errors_that_are_long(functions: Functions, name: str) -> None:
    """The client tells their trace in a header."""
    deep = functions.invoke(name, {"do": "deep"}).payload
    assert deep["errorType"] == "RecursionError"
    assert "repeated" in deep["stackTrace"][-1]
    said = functions.invoke(name, {"do": "say", "size": 3_000_000}).payload
    assert (said["errorType"], len(said["errorMessage"])) == ("ValueError", 3_000_000)


def test_answers_that_cannot_be(functions: Functions, name: str) -> None:
    called = functions.invoke(name, {"do": "unfit"})
    assert called.payload["errorType"] == "Runtime.MarshalError"
    large = functions.invoke(name, {"do": "large", "size": 6 * 1024 * 1024 + 200})
    assert (large.error, large.payload["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")
    assert (
        large.payload["errorMessage"] == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    )
    assert len(functions.invoke(name, {"do": "large", "size": 6_000_000}).payload) == 6_000_000


def test_events_that_cannot_be(functions: Functions, name: str) -> None:
    invoke = functions.client.invoke
    with pytest.raises(ClientError, match="Could not parse request body into json") as caught:
        invoke(FunctionName=name, Payload=b"{nonsense")
    assert caught.value.response["Error"]["Code"] == "InvalidRequestContentException"
    with pytest.raises(ClientError, match="Could not parse request body into json"):
        invoke(FunctionName=name, Payload=b"[" * 40_000)
    many = functions.invoke(name, {"do": "sleep", "seconds": 0, "with": [[]] * 60_000})  # is not looked at here
    assert (many.status, many.error) == (200, None)
    with pytest.raises(ClientError) as caught:
        invoke(FunctionName=name, Payload=json.dumps("x" * (6 * 1024 * 1024)))
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    with pytest.raises(ClientError) as caught:
        invoke(FunctionName=f"{name}:1")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("import nothing_of_that_name", "Runtime.ImportModuleError", "No module named 'nothing_of_that_name'"),
        ("def handler(", "Runtime.UserCodeSyntaxError", "Syntax error in module 'main'"),
        ("def other(e, c): pass", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'main'"),
        ("raise RuntimeError('at the start')", "RuntimeError", "at the start"),
        ("import os; os._exit(7)", "Runtime.ExitError", "exit status 7"),
    ],
    ids=["import", "syntax", "handler", "raises", "exits"],
)
def test_a_function_that_cannot_start(functions: Functions, text: str, kind: str, words: str) -> None:
    called = functions.invoke(functions.create(text))
    assert called.error == "Unhandled"
    assert called.payload["errorType"] == kind
    assert words in called.payload["errorMessage"]
    assert called.log[-2].startswith("END RequestId")


def test_one_event_a_worker(functions: Functions, server: Server, name: str) -> None:
    found: list[int] = []

    def call() -> None:
        found.append(functions.invoke(name, {"do": "sleep", "seconds": 2}).payload)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workers = list((server.data / "instances").glob("lambda-*"))
    assert len(found) == 3
    assert len(workers) >= 3


def test_reserved_concurrency(functions: Functions, name: str) -> None:
    client = functions.client
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=name)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Error"]["Code"] == "TooManyRequestsException"
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert client.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    client.delete_function_concurrency(FunctionName=name)
    assert functions.invoke(name).error is None


def test_dry_run_and_client_context(functions: Functions, name: str) -> None:
    assert functions.client.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
    context = "eyJjdXN0b20iOiB7ImEiOiAiYiJ9fQ=="  # {"custom": {"a": "b"}}
    assert functions.invoke(name, ClientContext=context).payload["client"] == {"a": "b"}


def test_asynchronous_events(functions: Functions, server: Server, name: str) -> None:
    mark = uuid.uuid4().hex
    answer = functions.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"mark": mark}))
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    until(lambda: any(mark in each for each in functions.messages(name)))


def test_a_long_call_outlives_impatience(functions: Functions, server: Server, name: str) -> None:
    """A client that goes away leaves a worker that works on."""
    mark = uuid.uuid4().hex
    client = server.client("lambda", config=Config(read_timeout=1, retries={"total_max_attempts": 1}))
    event = {"do": "sleep", "seconds": 3, "mark": mark}
    with pytest.raises(Exception, match="Read timeout"):
        client.invoke(FunctionName=name, Payload=json.dumps(event))
    until(lambda: any(mark in each for each in functions.messages(name)))
    assert functions.invoke(name).error is None
