"""Where NVIDIA's own tritonserver can be had."""

from __future__ import annotations

import sys

import pytest

needed = pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="nvidia-pytriton wants NumPy 1, which has no packages for this Python"
)
