"""Event streams: frames against botocore's reader, and whole answers in both directions."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from botocore.eventstream import EventStreamBuffer

from wildsage.core.errors import ApiError
from wildsage.wire.eventstream import BadFrame, Decoder, Message, Value, encode
from wildsage.wire.http.client import gathered
from wildsage.wire.http.messages import Response
from wildsage.wire.model import Operation, load
from wildsage.wire.protocols import protocol_named

HEADERS: dict[str, Value] = {
    "true": True,
    "false": False,
    "int": -5,
    "long": 1 << 40,
    "bytes": b"\0\1",
    "string": "größe",
    "time": datetime(2024, 1, 2, 3, 4, 5, 678000, UTC),
    "uuid": UUID(int=7),
}


def test_botocore_reads_our_frames() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(encode(Message(HEADERS, b"payload")))
    (message,) = list(buffer)
    assert message.payload == b"payload"
    expected = {**HEADERS, "time": 1704164645678, "uuid": UUID(int=7).bytes}
    assert message.headers == expected


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_frames_are_read_as_they_arrive(size: int) -> None:
    messages = [Message(HEADERS, b"x" * 50), Message(), Message({"a": ""}, b"")]
    data = b"".join(encode(message) for message in messages)
    decoder = Decoder()
    read = [m for at in range(0, len(data), size) for m in decoder.feed(data[at : at + size])]
    decoder.close()
    assert read == messages


def test_small_integers_are_read() -> None:
    """Types that we never write: byte and short."""
    headers = b"\1b\2\xfe" + b"\1s\3\xff\x00"
    lengths = struct.pack(">II", 16 + len(headers), len(headers))
    frame = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers
    (message,) = Decoder().feed(frame + struct.pack(">I", zlib.crc32(frame)))
    assert message.headers == {"b": -2, "s": -256}


def test_damage_is_seen_wherever_it_is() -> None:
    frame = encode(Message({"name": "value"}, b"payload"))
    for at in range(len(frame)):
        damaged = frame[:at] + bytes((frame[at] ^ 0x10,)) + frame[at + 1 :]
        with pytest.raises(BadFrame):
            list(Decoder().feed(damaged))
    decoder = Decoder()
    list(decoder.feed(frame[:-1]))
    with pytest.raises(BadFrame):
        decoder.close()


async def _events(*events: dict[str, Any], error: ApiError | None = None) -> AsyncIterator[dict[str, Any]]:
    for event in events:
        yield event
    if error is not None:
        raise error


async def _bytes(response: Response) -> bytes:
    return await gathered(response, 1 << 30)


CASES = [
    ("sagemaker-runtime", "InvokeEndpointWithResponseStream", "Body", [{"PayloadPart": {"Bytes": b"a"}}] * 2),
    (
        "s3",
        "SelectObjectContent",
        "Payload",
        [{"Records": {"Payload": b"1"}}, {"Stats": {"Details": {"BytesScanned": 5}}}, {"End": {}}],
    ),
    (
        "logs",
        "StartLiveTail",
        "responseStream",
        [
            {"sessionStart": {"requestId": "r"}},
            {"sessionUpdate": {"sessionResults": [{"message": "m", "timestamp": 5}]}},
        ],
    ),
    (
        "lambda",
        "InvokeWithResponseStream",
        "EventStream",
        [{"PayloadChunk": {"Payload": b"p"}}, {"InvokeComplete": {"LogResult": "x"}}],
    ),
]


def _operation(service: str, name: str) -> tuple[Operation, Any]:
    return load(service).operations[name], protocol_named(load(service).protocol)


@pytest.mark.parametrize(("service", "name", "member", "events"), CASES)
async def test_streaming_answers(service: str, name: str, member: str, events: list[dict[str, Any]]) -> None:
    operation, protocol = _operation(service, name)
    response = protocol.serialize_response(operation, {member: _events(*events)}, "id")
    assert response.header("content-type") == "application/vnd.amazon.eventstream"
    parsed = await protocol.parse_response(operation, response)
    assert [event async for event in parsed[member]] == events


async def test_failures_in_mid_stream() -> None:
    operation, protocol = _operation("sagemaker-runtime", "InvokeEndpointWithResponseStream")
    modelled = ApiError("ModelStreamError", "it broke", 400, {"ErrorCode": "E1"})
    for error in (modelled, ApiError("Odd", "unexpected", 500)):
        stream = _events({"PayloadPart": {"Bytes": b"a"}}, error=error)
        response = protocol.serialize_response(operation, {"Body": stream}, "id")
        parsed = await protocol.parse_response(operation, response)
        with pytest.raises(ApiError) as caught:
            assert [event async for event in parsed["Body"]] == []
        assert (caught.value.code, caught.value.message) == (error.code, error.message)


async def test_botocore_sees_a_modelled_exception() -> None:
    operation, protocol = _operation("sagemaker-runtime", "InvokeEndpointWithResponseStream")
    error = ApiError("ModelStreamError", "it broke")
    data = await _bytes(protocol.serialize_response(operation, {"Body": _events(error=error)}, "id"))
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    (message,) = list(buffer)
    assert message.headers[":exception-type"] == "ModelStreamError"
    assert message.headers[":message-type"] == "exception"
    assert message.payload == b'{"Message":"it broke"}'


async def test_a_damaged_stream_is_an_api_error() -> None:
    operation, protocol = _operation("logs", "StartLiveTail")
    with pytest.raises(ApiError):
        await protocol.parse_response(operation, Response(200, [], b"no event stream at all"))
