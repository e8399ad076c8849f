"""Log groups and streams, as CloudWatch Logs names them: written by controllers, read through the logs service.

Groups and streams are resources, their events are facts.  Everything about how they are kept is here, so that whoever
writes a container's log and the service that reads it agree without knowing each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wildsage.kit.context import Platform
from wildsage.store.database import Write
from wildsage.store.facts import Fact, Window
from wildsage.store.resources import Key, Resource, unless_there

GROUP_KIND = "logs.group"
STREAM_KIND = "logs.stream"


def topic(account: str, region: str, group: str) -> str:
    """The topic of the facts of one group."""
    return f"logs:{account}:{region}:{group}"


def group_key(account: str, region: str, group: str) -> Key:
    return Key(GROUP_KIND, account, region, group)


def stream_key(account: str, region: str, group: str, stream: str) -> Key:
    """Neither a group's nor a stream's name can hold a colon, so one name holds both."""
    return Key(STREAM_KIND, account, region, f"{group}:{stream}")


@dataclass(frozen=True, slots=True)
class LogStream:
    """One stream of one group."""

    account: str
    region: str
    group: str
    name: str

    @property
    def topic(self) -> str:
        return topic(self.account, self.region, self.group)


async def absent(platform: Platform, stream: LogStream) -> Sequence[Key]:
    """What is not there of a stream: nothing, itself, or its group and itself. A group that goes takes its streams."""
    own = stream_key(stream.account, stream.region, stream.group, stream.name)
    if await platform.resources.get(own) is not None:
        return ()
    group = group_key(stream.account, stream.region, stream.group)
    return (own,) if await platform.resources.get(group) is not None else (group, own)


def making(platform: Platform, keys: Sequence[Key]) -> list[Write]:
    """Makes what was absent, unless someone else was faster."""
    now = platform.clock.now()
    return [unless_there(Resource(key=key, spec={}, created=now, modified=now)) for key in keys]


async def ensure(platform: Platform, stream: LogStream) -> None:
    """Makes the stream, and its group, unless they are there."""
    if keys := await absent(platform, stream):
        await platform.facts.append(stream.topic, (), beside=making(platform, keys))


async def append(
    platform: Platform,
    stream: LogStream,
    lines: Sequence[tuple[int, str]],
    cursor: str | None = None,
    position: int | None = None,
    beside: Sequence[Write] = (),
) -> None:
    """Adds lines, each with its time in milliseconds.

    In the same transaction ``cursor`` moves to ``position`` and what is ``beside`` is written.
    """
    ingested = round(platform.clock.now() * 1000)
    # CloudWatch Logs keeps no empty message (InputLogEvent: at least one character); a blank stands for an empty line.
    new = [Fact(stream.name, at, ingested, text or " ") for at, text in lines]
    await platform.facts.append(stream.topic, new, cursor, position, beside)


async def announce(platform: Platform, stream: LogStream, text: str, once: str, beside: Sequence[Write] = ()) -> None:
    """Writes lines of the server's own into a stream; a second call with the same ``once`` writes nothing.

    What is ``beside`` is written in the same transaction.
    """
    if await platform.facts.cursor(once):
        return
    at = round(platform.clock.now() * 1000)
    await append(platform, stream, [(at, line) for line in text.splitlines()], once, 1, beside)


async def tail(platform: Platform, stream: LogStream, count: int) -> list[str]:
    """The last ``count`` lines, oldest first."""
    newest = await platform.facts.read(Window(stream.topic, (stream.name,), backward=True, limit=count))
    return [fact.body for fact in reversed(newest)]
