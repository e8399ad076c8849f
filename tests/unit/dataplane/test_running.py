"""The processes of the data plane, as processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from wildsage.dataplane.running import raise_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
raise_descriptors()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(256, 512), (512, 512)])
def test_as_many_descriptors_as_there_may_be(soft: int, hard: int) -> None:
    command = (sys.executable, "-c", SCRIPT, str(soft), str(hard))
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "512 512\n"
