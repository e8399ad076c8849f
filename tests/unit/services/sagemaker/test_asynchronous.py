"""The pure parts of asynchronous inference: names of answers, who gets a request, when a rush is on, notices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wildsage.core.errors import ApiError, ValidationError
from wildsage.services.sagemaker.asynchronous import notices, rules
from wildsage.services.sagemaker.asynchronous.lines import Hosts, Line, Place, free
from wildsage.services.sagemaker.asynchronous.notices import End
from wildsage.services.sagemaker.asynchronous.rush import PACE_SECONDS, Rush
from wildsage.services.sagemaker.endpoints.routers import Underway
from wildsage.services.sagemaker.instance import places
from wildsage.store.queued import Queued
from wildsage.store.resources import Key

OUTPUT: dict[str, Any] = {"OutputConfig": {"S3OutputPath": "s3://bucket/out/", "S3FailurePath": "s3://bucket/bad"}}


def queued(**request: Any) -> Queued:
    return rules.queued({"InputLocation": "s3://bucket/in", **request}, OUTPUT, "uid", "own", 100.0)


@pytest.mark.parametrize(
    ("request_", "output", "failure"),
    [
        ({}, "s3://bucket/out/own.out", "s3://bucket/bad/own-error.out"),
        ({"S3OutputPathExtension": "a/b/"}, "s3://bucket/out/a/b/own.out", "s3://bucket/bad/a/b/own-error.out"),
        ({"Filename": "x.json"}, "s3://bucket/out/x.json", "s3://bucket/bad/x-error.json"),
        ({"Filename": "x"}, "s3://bucket/out/x", "s3://bucket/bad/x-error"),
    ],
)
def test_where_the_answer_will_be(request_: dict[str, Any], output: str, failure: str) -> None:
    new = queued(**request_)
    assert rules.told(new) == {"InferenceId": "own", "OutputLocation": output, "FailureLocation": failure}
    assert new.document["Own"] is ("Filename" not in request_)


def test_without_a_path_for_failures_none_is_promised() -> None:
    config = {"OutputConfig": {"S3OutputPath": "https://bucket.s3.us-east-1.amazonaws.com/deep/er"}}
    new = rules.queued({"Body": b"x", "InferenceId": "mine", "RequestTTLSeconds": 60}, config, "uid", "own", 100.0)
    assert rules.told(new) == {"InferenceId": "mine", "OutputLocation": "s3://bucket/deep/er/own.out"}
    assert (new.body, new.expires, new.document["Timeout"]) == (b"x", 160.0, 900.0)


@pytest.mark.parametrize("uri", ["https://s3.us-east-1.amazonaws.com/b/k", "https://b.s3.amazonaws.com/k", "s3://b/k"])
def test_uris_of_any_form(uri: str) -> None:
    assert str(places.parse_any(uri, "InputLocation")) == "s3://b/k"


@pytest.mark.parametrize("request_", [{}, {"Body": b"x", "InputLocation": "s3://b/k"}, {"InputLocation": "s3://b"}])
def test_a_request_has_one_input(request_: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as found:
        rules.check(request_)
    assert found.value.code == "ValidationError"


def test_what_is_no_uri() -> None:
    with pytest.raises(ValidationError, match="InputLocation is not an S3 URI"):
        places.parse_any("ftp://b/k", "InputLocation")


def place(instance: str, most: int = 2, variant: str = "all", weight: float = 1.0) -> Place:
    return Place(variant, instance, f"unix:/{instance}", "role", most, ((f"unix:/{instance}", ""),), weight)


def test_the_least_busy_instance_with_room_is_next() -> None:
    busy, there = Underway(), (place("a"), place("b"))
    found = []
    while (chosen := free(there, busy)) is not None:
        busy.begin(chosen.address)
        found.append(chosen.instance)
    assert found == ["a", "b", "a", "b"]
    busy.end("unix:/b")
    assert free(there, busy) == there[1]
    assert free((), busy) is None
    assert free((place("c", weight=0.0),), busy) is None


def test_variants_share_by_weight() -> None:
    there = (place("a", 1000, "one", 3.0), place("b", 1000, "two", 1.0))
    chosen = [free(there, Underway()) for _ in range(2000)]
    assert 0.7 < sum(each is there[0] for each in chosen) / 2000 < 0.8


def test_a_line_keeps_the_order() -> None:
    hosts = Hosts(Key("kind", "account", "region", "name"), "uid", OUTPUT, "role", ("all",), (place("a", 2),))
    line, busy = Line(hosts), Underway()
    line.more = False
    line.put([Queued("uid", 0, 9, {}, number=number) for number in (1, 2, 3)], 3)
    assert (line.reached, line.more) == (3, True), "as many as were asked for: there may be more"
    (first, at), (second, _) = line.begin(busy), line.begin(busy)
    assert [first.number, second.number] == [1, 2]
    assert not line.can_begin(busy), "the instance has no room"
    busy.end(at.address)
    line.underway.discard(1)
    line.put_back(first)
    assert line.begin(busy)[0].number == 1
    assert line.take(3) is not None
    assert line.take(3) is None


def test_what_is_under_way_is_not_read_again() -> None:
    hosts = Hosts(Key("kind", "account", "region", "name"), "uid", OUTPUT, "role", ("all",), ())
    line = Line(hosts, underway={2})
    line.put([Queued("uid", 0, 9, {}, number=number) for number in (1, 2)], 64)
    assert [each.number for each in line.waiting] == [1]


def test_while_many_arrive_answers_are_paced() -> None:
    rush = Rush()
    assert all(rush.begins(at) for at in (0.0, 0.001, 0.002)), "nobody comes"
    for number in range(8):
        rush.arrived(1.0 + number * 0.002)
    assert rush.begins(1.016)
    assert not rush.begins(1.017)
    assert rush.begins(1.016 + PACE_SECONDS)
    assert rush.begins(1.06)
    assert rush.begins(1.061), "the rush is over"


def test_notices() -> None:
    topics = {"SuccessTopic": "arn:good", "ErrorTopic": "arn:bad"}
    config = {"OutputConfig": {"NotificationConfig": topics}}
    assert notices.topic(config, End()) == "arn:good"
    assert notices.topic(config, End("why")) == "arn:bad"
    assert notices.topic({"OutputConfig": {}}, End()) is None
    failed = json.loads(notices.message(queued(ContentType="text/csv"), "name", "us-east-1", config, End("why"), 100.5))
    assert failed == {
        "awsRegion": "us-east-1",
        "eventTime": "1970-01-01T00:01:40.500Z",
        "receivedTime": "1970-01-01T00:01:40.000Z",
        "invocationStatus": "Failed",
        "failureReason": "why",
        "requestParameters": {"contentType": "text/csv", "endpointName": "name", "inputLocation": "s3://bucket/in"},
        "inferenceId": "own",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
