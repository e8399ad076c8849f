"""What is captured of requests, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.dataplane.plant import Plant, echo, endpoint
from tests.waiting import until

from wildsage.core.captures import OPEN, READY, Origin, origin_of, path_of
from wildsage.core.routes import Capture, Variant, endpoint_key
from wildsage.dataplane.capture.records import Encodings, Record, Side, pieces
from wildsage.dataplane.capture.spool import Finished, Spool
from wildsage.dataplane.capture.taking import Captures
from wildsage.dataplane.capture.targets import Target
from wildsage.dataplane.table import Counters
from wildsage.wire.http.messages import BytesBody, Request, Response

CAPTURE = Capture(100, "s3://bucket/captured", "arn:aws:iam::000000000000:role/r", csv=("text/csv",), json=("a/json",))
ORIGIN = Origin("000000000000", "us-east-1", "iris", "A", "s3://bucket/captured", CAPTURE.role)


def lines(folder: Path) -> Iterable[dict[str, Any]]:
    """Every whole record in files of the folder."""
    for path in sorted(folder.glob("*")):
        content, _, _ = path.read_bytes().rpartition(b"\n")
        if content:
            first, *rest = content.splitlines()
            origin_of(first)
            yield from map(json.loads, rest)


async def captured(plant: Plant, count: int) -> list[dict[str, Any]]:
    await until(lambda: len(list(lines(plant.data.captured))) >= count)
    return list(lines(plant.data.captured))


@given(st.binary(), st.text(), st.sampled_from(["text/CSV; charset=utf-8", "a/json", "application/x-npy", ""]))
def test_a_record_says_what_was_asked_and_answered(data: bytes, text: str, kind: str) -> None:
    encodings = Encodings({"text/csv"}, {"a/json"})
    for body in (data, text.encode()):
        record = Record("id", 1.5, encodings, Side(kind, body), Side(kind, body), 'a="1"', "mine")
        found = json.loads(b"".join(pieces(record)))
        for name, mode in (("endpointInput", "INPUT"), ("endpointOutput", "OUTPUT")):
            side = found["captureData"][name]
            again = base64.b64decode(side["data"]) if side["encoding"] == "BASE64" else side["data"].encode()
            assert again == body
            assert (side["mode"], side["observedContentType"]) == (mode, kind)
    known = {"text/CSV; charset=utf-8": "CSV", "a/json": "JSON"}
    assert side["encoding"] == known.get(kind, "BASE64")  # the last body was text
    assert found["eventMetadata"] == {
        "eventId": "id",
        "customAttributes": ['a="1"'],
        "inferenceId": "mine",
        "inferenceTime": "1970-01-01T00:00:01Z",
    }
    assert found["eventVersion"] == "0"


def test_large_data_comes_in_pieces() -> None:
    text = 'é"\n' * 100_000
    for kind in ("text/csv", "other"):
        record = Record("id", 0.0, Encodings({"text/csv"}, set()), Side(kind, text.encode()), None)
        parts = list(pieces(record))
        assert max(map(len, parts)) < 200_000
        data = json.loads(b"".join(parts))["captureData"]["endpointInput"]["data"]
        assert text == (data if kind == "text/csv" else base64.b64decode(data).decode())


def test_where_a_file_goes() -> None:
    found = path_of(ORIGIN, "1763741045678-0a1b")
    assert found == "iris/A/2025/11/21/16/04-05-678-0a1b.jsonl"
    for wrong in ("x-0a1b", ""):
        with pytest.raises(ValueError, match="invalid literal"):
            path_of(ORIGIN, wrong)
    with pytest.raises(ValueError, match="first line"):
        origin_of(b'{"endpoint": "iris"}')


async def test_an_invocation_is_captured(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),), capture=CAPTURE)))
    answer = await plant.invoke(Body=b"5,6", InferenceId="mine", CustomAttributes="trace=1")
    (found,) = await captured(plant, 1)
    assert found["captureData"] == {
        "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "5,6", "encoding": "CSV"},
        "endpointOutput": {
            "observedContentType": "text/csv",
            "mode": "OUTPUT",
            "data": answer["Body"].decode(),
            "encoding": "CSV",
        },
    }
    assert found["eventMetadata"]["inferenceId"] == "mine"
    assert found["eventMetadata"]["customAttributes"] == ["trace=1"]
    (path,) = plant.data.captured.iterdir()
    assert origin_of(path.read_bytes().splitlines()[0]) == ORIGIN
    assert path.stat().st_mode & 0o777 == 0o600
    with open(path, "rb") as file, pytest.raises(BlockingIOError):  # noqa: ASYNC230
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    await until(lambda: list(plant.data.captured.glob(f"*{READY}")))  # a file that nothing is added to


async def test_only_what_is_asked_for_is_kept(plant: Plant) -> None:
    model = await plant.serve("m", echo)
    for number, (input_, output) in enumerate(((True, False), (False, True)), 1):
        capture = replace(CAPTURE, input=input_, output=output, destination=f"s3://bucket/{number}")
        plant.put(endpoint("iris", Variant("A", 1.0, (model,), capture=capture)))
        await plant.invoke()
        found = (await captured(plant, number))[-1]["captureData"]
        assert list(found) == (["endpointInput"] if input_ else ["endpointOutput"])
    plant.put(endpoint("iris", Variant("A", 1.0, (model,), capture=replace(CAPTURE, percent=0))))
    await plant.invoke()
    plant.put(endpoint("iris", Variant("A", 1.0, (model,), capture=CAPTURE)))
    await plant.invoke()
    assert len(await captured(plant, 3)) == 3


async def test_long_answers_streams_and_failures(plant: Plant) -> None:
    large = b"x" * 300_000

    async def model(request: Request) -> Response:
        body = await request.body.read(1 << 20)
        return Response(500, [], b"no") if body == b"fail" else Response(200, [("content-type", "a/json")], large)

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", model),), capture=CAPTURE)))
    await plant.invoke(Body=large)
    with pytest.raises(ClientError, match="ModelError"):
        await plant.invoke(Body=b"fail")

    def stream() -> bytes:
        answer = plant.boto().invoke_endpoint_with_response_stream(
            EndpointName="iris", Body=b"s", ContentType="text/csv"
        )
        return b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])

    assert await asyncio.to_thread(stream) == large
    first, second = await captured(plant, 2)
    assert first["captureData"]["endpointInput"]["data"] == large.decode()
    for each in (first, second):
        assert each["captureData"]["endpointOutput"]["data"] == large.decode()
        assert each["captureData"]["endpointOutput"]["encoding"] == "JSON"
    assert second["captureData"]["endpointInput"]["data"] == "s"


async def test_a_part_is_sampled(plant: Plant) -> None:
    capture = replace(CAPTURE, percent=50)
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),), capture=capture)))
    boto = plant.boto()
    for number in range(200):
        await plant.invoke(boto, Body=f"{number}".encode())
    counters = plant.router.table.counters()[endpoint_key("us-east-1", "iris")]["A"]
    await captured(plant, 61)  # 100 on average, with a standard deviation of 7
    await until(lambda: len(list(lines(plant.data.captured))) == counters.captured)
    assert counters.captured < 140


async def test_a_shadow_and_what_it_shadows_share_the_event(plant: Plant) -> None:
    iris = endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),), capture=CAPTURE))
    shadow = Variant("S", 1.0, (await plant.serve("s", echo),), capture=CAPTURE)
    plant.put(replace(iris, shadows=(shadow,)))
    await plant.invoke()
    one, other = await captured(plant, 2)
    assert one == other
    assert len(list(plant.data.captured.iterdir())) == 2


def request_of(body: bytes) -> Request:
    return Request("POST", "/", [("content-type", "text/csv")], BytesBody(body))


TARGET = Target(1.0, True, True, Encodings({"text/csv"}, set()), ORIGIN.to_line())


async def test_beyond_its_memory_records_are_dropped_and_counted(tmp_path: Path) -> None:
    captures, counters = Captures(tmp_path / "c", most=10_000), Counters()
    assert captures.sample(TARGET, counters, request_of(b"x" * 10_000), b"x" * 10_000) is None
    one = captures.sample(TARGET, counters, request_of(b"1"), b"1")
    assert one is not None
    one.answer(b"x" * 9000)
    one.answer(b"x" * 9000)
    one.answer(b"x")
    one.whole([])
    assert counters.uncaptured == 2
    for _ in range(100):  # what is dropped leaves room for others
        other = captures.sample(TARGET, counters, request_of(b"2"), b"2")
        assert other is not None
        other.gone()
    last = captures.sample(TARGET, counters, request_of(b"3"), b"3")
    assert last is not None
    last.whole([])
    await captures.close()
    (line,) = lines(tmp_path / "c")
    assert line["captureData"]["endpointInput"]["data"] == "3"
    assert (counters.captured, counters.uncaptured) == (1, 2)
    assert [path.suffix for path in (tmp_path / "c").iterdir()] == [READY]


async def test_a_disk_that_cannot_be_written_to_is_nobodys_trouble(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("not a folder")
    captures, counters = Captures(tmp_path / "c"), Counters()
    taken = captures.sample(TARGET, counters, request_of(b"1"), b"1")
    assert taken is not None
    taken.whole([])
    await captures.close()
    assert (counters.captured, counters.uncaptured) == (0, 1)


def finished(text: bytes, at: float = 1.0) -> Finished:
    return Finished(TARGET.origin, at, text)


def test_files_are_by_hour_and_end_when_large(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.write([finished(b"1\n"), finished(b"2\n", 3601), finished(b"3\n")]) == []
    assert [path.read_bytes().splitlines()[1:] for path in sorted(tmp_path.iterdir())] == [[b"1", b"3"], [b"2"]]
    spool.write([finished(b"x" * (9 << 20) + b"\n", 3602)])
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [OPEN, READY]
    spool.close()
    assert not spool.has_open_files()


def test_too_much_that_waits_is_not_added_to(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most=100)
    assert spool.write([finished(b"x" * 200 + b"\n")]) == []
    more = [finished(b"y\n", 3601)]
    assert spool.write(more) == more
    spool.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_trouble_is_told_once_however_long_it_lasts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path, most=100)
    spool.write([finished(b"x" * 200 + b"\n")])
    for _ in range(3):
        assert len(spool.write([finished(b"y\n", 3601), finished(b"z\n")])) == 1
    assert len(caplog.records) == 1
    spool.close()


def test_a_file_that_was_taken_away_is_begun_anew(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write([finished(b"1\n")])
    for path in tmp_path.iterdir():
        path.unlink()
    assert spool.write([finished(b"2\n")]) == []
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().splitlines()[1:] == [b"2"]
    spool.close()


def test_a_file_that_was_taken_away_is_forgotten_even_where_no_other_can_be_begun(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most=100)
    spool.write([finished(b"1\n")])
    for path in tmp_path.iterdir():
        path.unlink()
    full = tmp_path / "full"
    full.write_bytes(bytes(200))
    more = [finished(b"2\n")]
    assert spool.write(more) == more
    assert not spool.has_open_files()
    full.unlink()
    assert spool.write(more) == []
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().splitlines()[1:] == [b"2"]
    spool.close()


def test_a_file_that_cannot_be_given_its_last_name_is_left_to_control(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write([finished(b"1\n")])
    (path,) = tmp_path.iterdir()
    (path.with_suffix(READY) / "in the way").mkdir(parents=True)
    assert spool.write([finished(b"x" * (9 << 20) + b"\n")]) == []
    assert not spool.has_open_files()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
