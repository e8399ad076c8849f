"""Asynchronous endpoints, as both SDKs ask for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Server
from tests.e2e.jobs import IMAGE, archive, upload
from tests.sdk.running import SECONDS, run
from tests.sdk.test_hosting import SCRIPT

pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_invokes_asynchronously(server: Server, tmp_path: Path, sdk: str) -> None:
    code = upload(server, "asynchronous/code.tar.gz", archive("serve.py", SCRIPT))
    data = upload(server, "asynchronous/model.tar.gz", archive("nothing", ""))
    said = run(server, tmp_path, sdk, f"asynchronous_{sdk.replace('sdk', 'v')}.py", IMAGE, data, code)
    assert "asynchronous: all done" in said, said[-8000:]
