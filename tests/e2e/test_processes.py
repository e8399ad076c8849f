"""The server as processes: starting, stopping, being killed, and starting again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Server, clean_environment, start_server, wildsage
from tests.e2e.killing import gone
from tests.waiting import wait_until


@pytest.fixture
def data(short_directory: Path, request: pytest.FixtureRequest) -> Path:
    name: str = request.node.name
    return short_directory / name[5:25]


@pytest.fixture
def started(data: Path) -> Iterator[Server]:
    found = start_server(data)
    yield found
    found.stop()


def health(server: Server) -> int:
    try:
        with urllib.request.urlopen(f"{server.url}/_wildsage/health", timeout=30) as answer:
            assert json.load(answer)["status"] == "ready"
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_what_was_stored_is_there_after_a_restart(data: Path) -> None:
    first = start_server(data)
    first.client("s3").create_bucket(Bucket="kept")
    first.client("s3").put_object(Bucket="kept", Key="a", Body=b"text")
    arn = first.role
    first.stop()
    assert not (data / "run" / "server.json").exists()
    second = start_server(data)
    try:
        assert second.role == arn
        assert second.client("s3").get_object(Bucket="kept", Key="a")["Body"].read() == b"text"
    finally:
        second.stop()


def test_a_second_server_on_the_same_data_is_refused_in_words(started: Server) -> None:
    second = wildsage("up", "--port", "0", "--data", str(started.data))
    assert second.returncode == 2
    assert "a server is already running" in second.stderr
    assert f"wildsage down --data {started.data}" in second.stderr


def test_a_taken_port_is_refused_in_words(started: Server, short_directory: Path) -> None:
    port = started.url.rpartition(":")[2]
    other = wildsage("up", "--port", port, "--data", str(short_directory / "other"))
    assert other.returncode == 2
    assert "--port 0" in other.stderr


def test_killed_control_comes_back(started: Server) -> None:
    before = started.status["processes"]
    os.kill(before["control"], signal.SIGKILL)
    assert wait_until(lambda: health(started) == 200)
    after = wait_until(lambda: started.status["processes"])
    assert after["control"] != before["control"]
    assert after["router"] == before["router"]
    assert started.client("sts").get_caller_identity()["Account"] == "000000000000"


def test_killed_router_comes_back_on_the_same_port(started: Server) -> None:
    before = started.status["processes"]
    os.kill(before["router"], signal.SIGKILL)
    assert wait_until(lambda: gone(before["router"]))
    assert started.client("sts").get_caller_identity()["Account"] == "000000000000"
    assert started.status["processes"]["router"] != before["router"]


def test_everything_killed_starts_again_and_has_lost_nothing(data: Path) -> None:
    first = start_server(data)
    try:
        s3 = first.client("s3")
        s3.create_bucket(Bucket="kept")
        for number in range(20):
            s3.put_object(Bucket="kept", Key=f"{number}", Body=b"x" * number)
        pids = [first.process.pid, *first.status["processes"].values()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    finally:
        first.stop()
    second = start_server(data)
    try:
        listed = second.client("s3").list_objects_v2(Bucket="kept")["Contents"]
        assert {item["Key"]: item["Size"] for item in listed} == {f"{number}": number for number in range(20)}
    finally:
        second.stop()


def test_a_killed_supervisor_takes_its_processes_along(data: Path) -> None:
    first = start_server(data)
    pids = list(first.status["processes"].values())
    os.kill(first.process.pid, signal.SIGKILL)
    first.stop()
    for pid in pids:
        wait_until(partial(gone, pid))
    second = start_server(data)
    second.stop()


def test_detach_down_and_status(data: Path) -> None:
    up = wildsage("up", "--detach", "--port", "0", "--data", str(data))
    assert up.returncode == 0, up.stderr
    assert "is ready at http://127.0.0.1:" in up.stdout
    assert f"Try: wildsage run --data {data} -- aws s3 ls" in up.stdout
    status = json.loads(wildsage("status", "--json", "--data", str(data)).stdout)
    assert status["control"] == "ready"
    assert status["role"].endswith(":role/WildsageExecutionRole")
    down = wildsage("down", "--data", str(data))
    assert down.returncode == 0, down.stderr
    for pid in [status["pid"], *status["processes"].values()]:
        assert gone(pid)
    again = wildsage("down", "--data", str(data))
    assert again.returncode == 2
    assert "no server is running" in again.stderr
    assert "wildsage up" in again.stderr


def test_down_never_ends_a_process_that_is_not_the_server(data: Path) -> None:
    """The server was killed and another process has its number now."""
    server = start_server(data)
    server_file = data / "run" / "server.json"
    written = json.loads(server_file.read_text())
    server.process.kill()
    server.stop()
    with subprocess.Popen(["sleep", "600"]) as innocent:
        server_file.write_text(json.dumps({**written, "pid": innocent.pid}))
        for command in ("down", "status", "env"):
            answer = wildsage(command, "--data", str(data))
            assert answer.returncode == 2, answer.stdout
            assert "no server is running" in answer.stderr
        assert innocent.poll() is None
        innocent.kill()
    wait_until(lambda: all(gone(pid) for pid in written["children"].values()))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "99999"], "a port is a number up to 65535"),
        (["--port", "0", "--host", "no-such-host.invalid"], "no-such-host.invalid:0 cannot be used"),
        (["--port", "0", "--data", "/proc/wildsage"], "the data directory /proc/wildsage cannot be used"),
        (["--port", "0", "--data", "/tmp/" + "x" * 90], "choose a shorter one"),
        (["--port", "0", "--data", "/tmp/" + "x" * 300], "choose a shorter one"),
    ],
)
def test_a_start_that_cannot_be_is_refused_in_words(data: Path, options: list[str], words: str) -> None:
    answer = wildsage("up", *(["--data", str(data)] if "--data" not in options else []), *options)
    assert answer.returncode == 2
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_path_that_is_too_long_is_said_to_be(short_directory: Path) -> None:
    answer = wildsage("status", "--data", f"{short_directory}/{'x' * 300}")
    assert answer.returncode == 2
    assert answer.stderr.endswith("cannot be used: File name too long\n")


def test_a_name_with_spaces_quotes_and_letters_of_all_kinds(short_directory: Path) -> None:
    data = short_directory / "dà ta ✓ \"q'$x"
    server = start_server(data)
    try:
        answer = server.run("sh", "-c", 'test -r "$AWS_CA_BUNDLE" && echo "$WILDSAGE_DATA"')
        assert answer.stdout == f"{data}\n", answer.stderr
        assert server.client("sts").get_caller_identity()["Account"] == "000000000000"
    finally:
        server.stop()


def test_run_without_a_server_says_what_to_do(data: Path) -> None:
    answer = wildsage("run", "--data", str(data), "--", "true")
    assert answer.returncode == 2
    assert answer.stderr.startswith("wildsage: no server is running on")
    assert "wildsage up" in answer.stderr


def test_reset_empties_an_ephemeral_server(short_directory: Path) -> None:
    server = start_server(short_directory / "reset", "--ephemeral")
    try:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="gone")
        s3.put_object(Bucket="gone", Key="a", Body=b"text")
        request = urllib.request.Request(f"{server.url}/_wildsage/reset", method="POST")
        of_a_page = urllib.request.Request(request.full_url, headers={"Origin": "https://example.com"}, method="POST")
        with pytest.raises(urllib.error.HTTPError, match="403") as caught:
            urllib.request.urlopen(of_a_page, timeout=30)
        caught.value.close()
        assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["gone"]
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        assert s3.list_buckets()["Buckets"] == []
        assert server.client("iam").get_role(RoleName="WildsageExecutionRole")["Role"]["Arn"] == server.role
        assert [path for path in (server.data / "objects").rglob("*") if path.is_file()] == []
    finally:
        server.stop()
    assert not server.data.exists()


def test_only_ephemeral_servers_can_be_reset(started: Server) -> None:
    request = urllib.request.Request(f"{started.url}/_wildsage/reset", method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    with caught.value as answer:
        assert answer.code == 403


def test_the_status_route_is_not_for_the_port(started: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{started.url}/_wildsage/status", timeout=30)
    with caught.value as answer:
        assert answer.code == 404


def test_run_wins_over_the_users_own_configuration(started: Server, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text("[default]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:1\n")
    (home / ".aws" / "credentials").write_text("[default]\naws_access_key_id = AKIAX\naws_secret_access_key = x\n")
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'], boto3.Session().region_name)"
    environment = {**os.environ, "HOME": str(home), "AWS_PROFILE": "nonsense", "AWS_ENDPOINT_URL_STS": "http://x"}
    answer = run_in(environment, started, script)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == [
        "arn:aws:sts::000000000000:assumed-role/WildsageExecutionRole/wildsage",
        "us-east-1",
    ]
    assert sorted(path.name for path in (home / ".aws").iterdir()) == ["config", "credentials"]


def test_a_newer_wildsage_s_data_is_refused_in_words(data: Path) -> None:
    start_server(data).stop()
    with contextlib.closing(sqlite3.connect(data / "wildsage.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    tried = wildsage("up", "--data", str(data), "--port", "0")
    assert tried.returncode == 2
    assert "wildsage.db was written by a newer Wildsage (its layout is 99" in tried.stderr
    assert "Traceback" not in tried.stderr


def run_in(environment: dict[str, str], server: Server, script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wildsage.cli", "run", "--data", str(server.data), "--", sys.executable, "-c"]
    environment = {**environment, "PYTHONPATH": clean_environment()["PYTHONPATH"]}
    return subprocess.run([*command, script], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_https_to_amazon_is_answered_here(started: Server) -> None:
    """SageMaker's SDKs write this host into their code."""
    script = (
        "import boto3; sts = boto3.client('sts', endpoint_url='https://sts.eu-central-1.amazonaws.com'); "
        "print(sts.get_caller_identity()['Arn'])"
    )
    answer = started.run(sys.executable, "-c", script)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().endswith(":assumed-role/WildsageExecutionRole/wildsage")
