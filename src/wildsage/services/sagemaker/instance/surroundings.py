"""What a container is told about where it runs: variables and mounts common to training and hosting."""

from __future__ import annotations

import os

from wildsage.core.settings import Settings
from wildsage.images.native import toolkit_mounts
from wildsage.runtimes.base import LaunchSpec, Mount
from wildsage.services.sagemaker.instance.images import Software
from wildsage.services.sagemaker.instance.threads import Stopped, check

CA_BUNDLE = "/opt/wildsage/ca-bundle.pem"


def variables(software: Software, settings: Settings, region: str, credentials_uri: str) -> dict[str, str]:
    """The environment of an instance. ``credentials_uri`` empty: isolated, so there is nobody to talk to."""
    found = {
        **software.variables,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if credentials_uri:
        found["AWS_ENDPOINT_URL"] = settings.url
        found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = credentials_uri
        found["AWS_CA_BUNDLE"] = CA_BUNDLE
    return found


def mounts(software: Software, settings: Settings) -> tuple[Mount, ...]:
    """The certificates that AWS_CA_BUNDLE names; of a native image, the toolkit and the algorithms too."""
    bundle = Mount(settings.data.tls / "bundle.pem", CA_BUNDLE, read_only=True)
    return (bundle,) if software.image else (*toolkit_mounts(), bundle)


def open_folders(spec: LaunchSpec, stopped: Stopped) -> None:
    """Whoever an engine's image runs as may write to the folders that SageMaker gives it. Blocks."""
    for name in spec.folders:
        for folder, _, _ in os.walk(spec.directory / "ml" / name):
            check(stopped)
            os.chmod(folder, 0o777)  # noqa: PTH101
