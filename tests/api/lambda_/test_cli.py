"""``aws lambda``: the commands people type."""

from __future__ import annotations

import base64
import json
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.api.lambda_.functions import zipped
from tests.conftest import Server

AWS = str(Path(sys.executable).with_name("aws"))


def aws(server: Server, *words: str) -> dict[str, Any]:
    done = server.run(AWS, "lambda", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout or "{}")
    return found


def test_create_wait_invoke_delete(server: Server, tmp_path: Path) -> None:
    name, out = f"cli-{uuid.uuid4().hex[:8]}", tmp_path / "out.json"
    (tmp_path / "code.zip").write_bytes(zipped(main="def handler(event, context): return event['x'] * 2"))
    code = ("--zip-file", f"fileb://{tmp_path}/code.zip")
    made = aws(
        server,
        *("create-function", "--function-name", name, "--runtime", "python3.13", "--role", server.role),
        *("--handler", "main.handler", *code),
    )
    assert made["FunctionName"] == name
    aws(server, "wait", "function-active-v2", "--function-name", name)
    event = ("--payload", '{"x": 21}')
    answer = aws(server, "invoke", "--function-name", name, *event, "--log-type", "Tail", str(out))
    assert answer["StatusCode"] == 200
    assert json.loads(out.read_text()) == 42
    assert base64.b64decode(answer["LogResult"]).startswith(b"START RequestId: ")
    aws(server, "delete-function", "--function-name", name)
