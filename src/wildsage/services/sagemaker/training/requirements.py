"""A job's requirements.txt, installed before its containers start."""

from __future__ import annotations

from wildsage.images.building import Progress
from wildsage.services.sagemaker.instance.images import Images, Software
from wildsage.services.sagemaker.training.launch import Job


async def with_requirements(images: Images, software: Software, job: Job, report: Progress) -> Software:
    """The job's software, and what its source asks for beyond; a job without a network has no way to get more.

    The toolkit in an engine's image installs it by itself.
    """
    if software.image or job.document.get("EnableNetworkIsolation"):
        return software
    folder, own = job.folder(job.hosts[0]) / "ml", job.document.get("Environment") or {}
    for place in ("code", "input/data/code"):
        software = await images.with_requirements(software, folder / place / "requirements.txt", own, report)
    return software
