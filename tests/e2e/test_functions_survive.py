"""kill -9 of the control process, and of the whole server, while functions run: nothing is left, no event is lost."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.api.lambda_.functions import Functions
from tests.conftest import Server, start_server
from tests.e2e.killing import gone
from tests.e2e.test_events_survive import kill_control
from tests.waiting import wait_until

TEXT = """
import time
def handler(event, context):
    print("begins", event["mark"], flush=True)
    if event.get("fails"): raise ValueError(event["mark"])
    time.sleep(event["seconds"])
    print("ends", event["mark"], flush=True)
    return event["mark"]
"""
SECONDS = 120.0


def keepers(server: Server) -> set[int]:
    """Process ids of the containers of workers."""
    found = set()
    for path in (server.data / "instances").glob("lambda-*/keeper"):
        try:
            found.add(int(path.read_text().split()[1]))
        except (FileNotFoundError, IndexError):
            continue
    return found


def logged(server: Server, name: str, text: str) -> int:
    """How often the function has said it."""
    try:
        events = server.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except (ClientError, BotoCoreError):
        return 0
    return sum(text in each["message"] for each in events)


def invoke_beside(functions: Functions, name: str, event: dict[str, Any]) -> threading.Thread:
    """An event whose answer nobody will get."""

    def call() -> None:
        try:
            functions.client.invoke(FunctionName=name, Payload=json.dumps(event))
        except (ClientError, BotoCoreError):
            return

    thread = threading.Thread(target=call)
    thread.start()
    return thread


def answered(functions: Functions, name: str, event: dict[str, Any]) -> Any:
    try:
        return functions.invoke(name, event).payload
    except (ClientError, BotoCoreError):
        return None  # control is not there yet


def test_control_is_killed(short_directory: Path) -> None:
    server = start_server(short_directory / "functions", variables={"WILDSAGE_LAMBDA_RETRY": "1"})
    try:
        functions = Functions(server)
        name = functions.create(TEXT, Timeout=60)
        running = invoke_beside(functions, name, {"mark": "waits", "seconds": 50})
        queued = json.dumps({"mark": "queued", "seconds": 3})
        functions.client.invoke(FunctionName=name, InvocationType="Event", Payload=queued)
        before = wait_until(lambda: len(found := keepers(server)) == 2 and found, SECONDS)
        kill_control(server)
        assert wait_until(lambda: answered(functions, name, {"mark": "new", "seconds": 0}), SECONDS) == "new"
        wait_until(lambda: all(gone(each) for each in before), SECONDS)
        wait_until(lambda: logged(server, name, "ends queued"), SECONDS)
        failing = json.dumps({"mark": "thrice", "fails": True})
        functions.client.invoke(FunctionName=name, InvocationType="Event", Payload=failing)
        wait_until(lambda: logged(server, name, "begins thrice") == 3, SECONDS)
        running.join(SECONDS)
        wait_until(lambda: len(list((server.data / "instances").glob("lambda-*"))) <= 2, SECONDS)
    finally:
        left = keepers(server)
        server.stop()
    wait_until(lambda: all(gone(each) for each in left), SECONDS)
    assert list((server.data / "instances").glob("lambda-*")) == []


def test_the_server_is_killed(short_directory: Path) -> None:
    data = short_directory / "functions2"
    server = start_server(data)
    functions = Functions(server)
    name = functions.create(TEXT, Timeout=60)
    assert functions.invoke(name, {"mark": "first", "seconds": 0}).payload == "first"
    left = keepers(server)
    pids = [server.process.pid, *server.status["processes"].values()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.stop()
    assert left
    again = start_server(data)
    try:
        functions = Functions(again)
        assert functions.invoke(name, {"mark": "second", "seconds": 0}).payload == "second"
        wait_until(lambda: all(gone(each) for each in left), SECONDS)
    finally:
        again.stop()
    assert list((data / "instances").glob("lambda-*")) == []
