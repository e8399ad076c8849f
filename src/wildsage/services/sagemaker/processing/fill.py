"""Fills the folder of one of a job's instances: /opt/ml as the container finds it.

Source: Developer Guide, "How Amazon SageMaker Processing Configures Your Processing Container".
"""

from __future__ import annotations

import json
from dataclasses import replace

from wildsage.core import trees
from wildsage.runtimes.base import Inside
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.inputs import files, pipes
from wildsage.services.sagemaker.instance.inputs.listing import Reader
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.processing import inputs
from wildsage.services.sagemaker.processing.launch import Job
from wildsage.services.sagemaker.processing.outputs import folders

# The only instance of a job shares the machine's network or has loopback only, so this one is there in both cases.
_ALONE = "lo"
BELOW = ""
"""Pipes are named from /opt/ml on (see ``pipes.stage``)."""


async def fill(job: Job, host: Host, transfers: Transfers) -> None:
    """Begins anew each time it is called. Raises JobFault for what makes the job fail, OSError for the disk's doing."""
    instance = job.folder(host)
    await in_thread(lambda _: _prepare(job, host))
    found = inputs.placed(job.document)
    roots = inputs.roots(found)
    reader = Reader(transfers, job.document["RoleArn"], job.region)
    for each in found:
        channel = each.channel(host, len(job.hosts))
        await files.place(channel, each.folder(instance, roots), replace(reader, copies=each.copied))
    channels = [each.channel(host, len(job.hosts)) for each in inputs.piped(job.document)]
    await pipes.stage(channels, instance, reader, BELOW)


def _prepare(job: Job, host: Host) -> None:
    instance = job.folder(host)
    trees.remove(instance)
    ml = instance / "ml"
    for folder in ("config", "output", "processing", *folders(job.document)):
        (ml / folder).mkdir(parents=True, exist_ok=True)
    found = inputs.placed(job.document)
    roots = inputs.roots(found)
    for each in found:
        each.folder(instance, roots).mkdir(parents=True, exist_ok=True)
    for path in roots:
        (ml / path.removeprefix(f"{Inside.ML}/")).mkdir(parents=True, exist_ok=True)
    for each in inputs.piped(job.document):
        (ml / each.path.removeprefix(f"{Inside.ML}/")).parent.mkdir(parents=True, exist_ok=True)
        (instance / pipes.FEEDER).mkdir(exist_ok=True)
    (ml / "config" / "processingjobconfig.json").write_text(json.dumps(job_config(job)))
    (ml / "config" / "resourceconfig.json").write_text(json.dumps(resource_config(job, host)))


def job_config(job: Job) -> dict[str, object]:
    """processingjobconfig.json: the request, and the job's ARN."""
    request = {name: value for name, value in job.document.items() if name != "Tags"}
    return {"ProcessingJobArn": job.arn, **request}


def resource_config(job: Job, host: Host) -> dict[str, object]:
    """resourceconfig.json of ``host``."""
    names = [each.name for each in job.hosts]
    group = {"instance_group_name": host.group, "instance_type": host.instance_type, "hosts": names}
    return {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_group_name": host.group,
        "hosts": names,
        "instance_groups": [group],
        "network_interface_name": _ALONE if len(names) == 1 else Inside.INTERFACE,
    }
