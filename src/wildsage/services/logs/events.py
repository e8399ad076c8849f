"""Log events: put, get, filter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from wildsage.core import paging
from wildsage.kit.context import Context
from wildsage.kit.logstreams import topic
from wildsage.kit.operation import operation
from wildsage.services.logs import groups, names, patterns, streams
from wildsage.store.codec import Document
from wildsage.store.facts import Fact, Window

_MOST = 10_000
_DAY_MS = 86_400_000
_OLDEST_MS = 14 * _DAY_MS
_NEWEST_MS = 2 * 3_600_000
_SCAN = 2_000
_BATCH_BYTES = 1_048_576
_EVENT_OVERHEAD = 26
# One answer of GetLogEvents or FilterLogEvents holds at most 1 MB (API reference).
_ANSWER_BYTES = 1_000_000
# Events are read so many at first, then twice as many each time; but no more of long ones than of this size.
_FIRST = 64
_PAGE_BYTES = 8_000_000
# FilterLogEvents answers with what it has once it has looked at this many events.
_SCAN_LIMIT = 100_000
_WORTH_AN_EVENT = 256  # characters that take the time of one more


@operation("PutLogEvents")
async def put_log_events(ctx: Context, request: Document) -> Document:
    group, stream = request["logGroupName"], request["logStreamName"]
    await streams.fetch(ctx, group, stream)
    events = request["logEvents"]
    times = [event["timestamp"] for event in events]
    if times != sorted(times):
        raise names.invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > _DAY_MS:
        raise names.invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    if sum(len(event["message"].encode()) + _EVENT_OVERHEAD for event in events) > _BATCH_BYTES:
        raise names.invalid(f"Upload too large: max size: {_BATCH_BYTES} bytes.")
    now = round(ctx.now * 1000)
    rejected = _rejected(times, now)
    kept = [
        Fact(stream, event["timestamp"], now, event["message"])
        for event in events
        if now - _OLDEST_MS <= event["timestamp"] <= now + _NEWEST_MS
    ]
    await ctx.platform.facts.append(topic(ctx.account, ctx.region, group), kept)
    answer: Document = {"nextSequenceToken": f"{now:056d}"}
    if rejected:
        answer["rejectedLogEventsInfo"] = rejected
    return answer


def _rejected(times: list[int], now: int) -> Document:
    """RejectedLogEventsInfo: too old (14 days) ends before an index, too new (2 hours ahead) starts at one."""
    found: Document = {}
    old = sum(at < now - _OLDEST_MS for at in times)
    new = sum(at > now + _NEWEST_MS for at in times)
    if old:
        found["tooOldLogEventEndIndex"] = old
    if new:
        found["tooNewLogEventStartIndex"] = len(times) - new
    return found


def _event(fact: Fact) -> Document:
    return {"timestamp": fact.at, "message": fact.body, "ingestionTime": fact.ingested}


@operation("GetLogEvents")
async def get_log_events(ctx: Context, request: Document) -> Document:
    """Pages in either direction; at either end the token comes back as it was sent, which is how clients know."""
    group, stream = names.group_of(request), request["logStreamName"]
    await streams.fetch(ctx, group, stream)
    given = request.get("nextToken")
    direction, after = names.position_of(given) if given else ("f" if request.get("startFromHead") else "b", None)
    window = Window(
        topic(ctx.account, ctx.region, group),
        (stream,),
        since=request.get("startTime"),
        until=request.get("endTime"),
        after=after,
        backward=direction == "b",
        limit=request.get("limit", _MOST),
    )
    found = _fitting(await _read(ctx, window))
    if direction == "b":
        found.reverse()
    first, last = _ends(found, after, request)
    return {
        "events": [_event(fact) for fact in found],
        "nextForwardToken": names.token("f", last),
        "nextBackwardToken": names.token("b", first),
    }


async def _read(ctx: Context, window: Window) -> list[Fact]:
    """The facts of a window, no more than an answer can hold and some: one may be as long as all of an answer."""
    found: list[Fact] = []
    size, ahead = 0, _FIRST
    while len(found) < window.limit and size <= _ANSWER_BYTES:
        after = (found[-1].at, found[-1].number) if found else window.after
        asked = min(ahead, window.limit - len(found))
        page = await ctx.platform.facts.read(replace(window, after=after, limit=asked))
        found += page
        size, ahead = size + _size(page), min(2 * ahead, _SCAN)
        if len(page) < asked:
            break
    return found


def _size(facts: Sequence[Fact]) -> int:
    return sum(len(fact.body) for fact in facts) + len(facts) * _EVENT_OVERHEAD


def _fitting(found: list[Fact]) -> list[Fact]:
    size = 0
    for number, fact in enumerate(found):
        size += len(fact.body) + _EVENT_OVERHEAD
        if size > _ANSWER_BYTES and number:
            return found[:number]
    return found


def _ends(found: list[Fact], after: names.Position | None, request: Document) -> tuple[names.Position, names.Position]:
    """Where a page begins and ends; an empty one stays where it was asked for."""
    if found:
        return (found[0].at, found[0].number), (found[-1].at, found[-1].number)
    if after is not None:
        return after, after
    start = (request.get("startTime", 0) - 1, 0)
    return start, start


@operation("FilterLogEvents")
async def filter_log_events(ctx: Context, request: Document) -> Document:
    """Events of several streams in the order of time; a page may be short or empty and still have a nextToken."""
    group = names.group_of(request)
    await groups.fetch(ctx, group)
    matches = patterns.matcher(request.get("filterPattern", ""))
    chosen = await _streams(ctx, group, request)
    after = groups.position(request.get("nextToken"))
    limit = request.get("limit", _MOST)
    found: list[Fact] = []
    looked, size, ahead = 0, 0, _FIRST
    ended = chosen is not None and not chosen
    while not ended and len(found) < limit and looked < _SCAN_LIMIT and size <= _ANSWER_BYTES:
        page = await ctx.platform.facts.read(
            Window(
                topic(ctx.account, ctx.region, group),
                chosen or (),
                since=request.get("startTime"),
                until=None if request.get("endTime") is None else request["endTime"] + 1,
                after=after,
                limit=ahead,
            )
        )
        ended = len(page) < ahead
        ahead = min(2 * ahead, max(_FIRST, len(page) * _PAGE_BYTES // (_size(page) + 1)), _SCAN)
        wanted = await asyncio.to_thread(_matching, page, matches)
        for fact in page:
            looked += 1 + len(fact.body) // _WORTH_AN_EVENT
            if (fact.at, fact.number) in wanted:
                size += len(fact.body) + _EVENT_OVERHEAD
                if len(found) == limit or (found and size > _ANSWER_BYTES):
                    ended = False
                    break
                found.append(fact)
            after = (fact.at, fact.number)
    answer: Document = {"events": [_filtered(fact) for fact in found], "searchedLogStreams": []}
    if not ended and after is not None:
        answer["nextToken"] = paging.encode(after)
    return answer


def _matching(page: Sequence[Fact], matches: Callable[[str], bool]) -> set[tuple[int, int]]:
    """In a thread: a regular expression takes a third of a second for a million characters."""
    return {(fact.at, fact.number) for fact in page if matches(fact.body)}


def _filtered(fact: Fact) -> Document:
    return {**_event(fact), "logStreamName": fact.stream, "eventId": f"{fact.at:028d}{fact.number:028d}"}


async def _streams(ctx: Context, group: str, request: Document) -> list[str] | None:
    """The streams to look at; None: all."""
    if request.get("logStreamNames") and request.get("logStreamNamePrefix"):
        raise names.invalid("logStreamNames and logStreamNamePrefix are mutually exclusive.")
    if request.get("logStreamNames"):
        return list(request["logStreamNames"])
    if request.get("logStreamNamePrefix"):
        return [streams.name_of(each) for each in await streams.all_of(ctx, group, request["logStreamNamePrefix"])]
    return None
