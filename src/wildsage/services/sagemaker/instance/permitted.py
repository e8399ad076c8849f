"""What becomes of a container's output and of what it uses: what its role may make of them.

Logs and metrics are written as the execution role ("write logs to Amazon CloudWatch Logs, and publish metrics to Amazon
CloudWatch. You grant permissions for all of these tasks to an IAM role": API reference, CreateTrainingJob, RoleArn).
A role without the permissions costs a job nothing but these: it runs, and there is no log. It is asked once for each
stream and not for each line, so a change counts from the next container on. ``logs:DescribeLogStreams``, which AWS's
list of permissions has too, changes nothing that anybody can see, so it is not asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from wildsage.core.caller import Caller
from wildsage.core.errors import ClientFault
from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.services.sagemaker.instance import roles
from wildsage.store.codec import Document
from wildsage.store.database import Write

log = logging.getLogger(__name__)


async def opened(platform: Platform, role: str, stream: LogStream) -> bool:
    """Makes the stream, and its group, if they are not there; False if the role of that ARN may not write there."""
    making = await _may_open(platform, role, stream)
    if making:
        await platform.facts.append(stream.topic, (), beside=making)
    return making is not None


async def _may_open(platform: Platform, role: str, stream: LogStream) -> list[Write] | None:
    """What makes the stream and its group, if anything has to; None if the role may not write there."""
    absent = await logstreams.absent(platform, stream)
    actions = ["PutLogEvents"]
    if absent:
        actions.append("CreateLogStream")
    if len(absent) > 1:
        actions.append("CreateLogGroup")
    group: Document = {"logGroupName": stream.group}
    within: Document = {**group, "logStreamName": stream.name}
    calls = [("logs", each, group if each == "CreateLogGroup" else within) for each in actions]
    if missing := await _missing(platform, role, stream.region, calls):
        log.warning("nothing is written to log stream %s: role %s may not %s", stream.name, role, ", ".join(missing))
        return None
    return logstreams.making(platform, absent)


def reporter(platform: Platform, role: str, stream: LogStream) -> Callable[[str], Awaitable[None]]:
    """For lines of the server's own as they come, such as those of an image that is built."""
    allowed: bool | None = None

    async def report(line: str) -> None:
        nonlocal allowed
        if allowed is None:
            allowed = await opened(platform, role, stream)
        if allowed:
            await logstreams.append(platform, stream, [(round(platform.clock.now() * 1000), line)])

    return report


async def announce(platform: Platform, role: str, stream: LogStream, text: str, once: str) -> None:
    """Lines of the server's own that must not be said twice. ``once``: as ``kit.logstreams.announce`` has it."""
    making = await _may_open(platform, role, stream)
    if making is not None:
        await logstreams.announce(platform, stream, text, once, making)


async def may_publish(platform: Platform, role: str, region: str, namespace: str) -> bool:
    """Whether the role of that ARN may put metrics into the namespace."""
    missing = await _missing(platform, role, region, [("cloudwatch", "PutMetricData", {"Namespace": namespace})])
    if missing:
        log.warning("no metrics go to %s: role %s may not %s", namespace, role, ", ".join(missing))
    return not missing


async def _missing(
    platform: Platform, role: str, region: str, calls: Sequence[tuple[str, str, Document]]
) -> Sequence[str]:
    """The actions that the role may not take; all of them if it is not there any more."""
    try:
        caller: Caller | None = await roles.assume(platform, role)
    except ClientFault:
        caller = None
    return [
        f"{service}:{name}"
        for service, name, params in calls
        if caller is None or not await platform.calls.allowed(caller, region, service, name, params)
    ]
