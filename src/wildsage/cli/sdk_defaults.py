"""The SageMaker SDK's defaults file that switches its telemetry off; both SDK versions read it.

SDK v2's telemetry has no time-out, so on a machine without internet it can hang.
"""

from __future__ import annotations

from pathlib import Path

from wildsage.core.settings import DataDir

_CONTENT = """\
# Defaults of the SageMaker Python SDK under `wildsage run` and `wildsage env`.
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


def path_of(data: DataDir) -> Path:
    """What SAGEMAKER_ADMIN_CONFIG_OVERRIDE names."""
    return data.root / "sagemaker-defaults.yaml"


def write(data: DataDir) -> None:
    path_of(data).write_text(_CONTENT)
