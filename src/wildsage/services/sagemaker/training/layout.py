"""/opt/ml/input/config as SageMaker writes it. Pure.

Source: SageMaker Developer Guide, "How Amazon SageMaker Provides Training Information".
"""

from __future__ import annotations

import json

from wildsage.runtimes.base import Inside
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.training.cluster import hosts
from wildsage.services.sagemaker.training.inputs.channels import channels
from wildsage.store.codec import Document

# The only instance of a job shares the machine's network or has loopback only, so this one is there in both cases.
NETWORK_INTERFACE = "lo"


def hyperparameters(job: Document) -> str:
    """hyperparameters.json: every value is a string."""
    return json.dumps(job.get("HyperParameters") or {})


def input_data_config(job: Document, host: Host) -> str:
    """inputdataconfig.json: one entry for each channel that ``host`` gets."""
    entries = {}
    for channel in channels(job, host):
        kind = channel.document.get("ContentType")
        entry = {"ContentType": kind} if kind else {}
        entry["TrainingInputMode"] = channel.mode
        entry["S3DistributionType"] = channel.source.get("S3DataDistributionType") or "FullyReplicated"
        entry["RecordWrapperType"] = channel.document.get("RecordWrapperType") or "None"
        entries[channel.name] = entry
    return json.dumps(entries)


def resource_config(job: Document, host: Host) -> str:
    """resourceconfig.json of ``host``."""
    every = hosts(job)
    groups: dict[str, Document] = {}
    for each in every:
        group = {"instance_group_name": each.group, "instance_type": each.instance_type, "hosts": []}
        groups.setdefault(each.group, group)["hosts"].append(each.name)
    return json.dumps(
        {
            "current_host": host.name,
            "current_instance_type": host.instance_type,
            "current_group_name": host.group,
            "hosts": [each.name for each in every],
            "instance_groups": list(groups.values()),
            "network_interface_name": NETWORK_INTERFACE if len(every) == 1 else Inside.INTERFACE,
        }
    )


def files(job: Document, host: Host) -> dict[str, str]:
    """Name → content of /opt/ml/input/config of ``host``."""
    return {
        "hyperparameters.json": hyperparameters(job),
        "inputdataconfig.json": input_data_config(job, host),
        "resourceconfig.json": resource_config(job, host),
    }


FOLDERS = ("input/config", "input/data", "model", "output/data", "code", "checkpoints")
"""Below /opt/ml, there before the container starts."""

MOUNTED = ("input", "model", "output")
"""Below /opt/ml of an engine's image; its own toolkit fetches source code to where it likes."""


def submit_directory(job: Document) -> str:
    """The S3 URI of script mode's sourcedir.tar.gz; empty where the job has none or it is a path in the image.

    The SDK writes hyperparameters as JSON text, so the value is quoted.
    """
    text = (job.get("HyperParameters") or {}).get("sagemaker_submit_directory", "")
    try:
        value = json.loads(text) if text else ""
    except (ValueError, RecursionError):
        value = text
    return value if isinstance(value, str) and value.startswith("s3://") else ""
