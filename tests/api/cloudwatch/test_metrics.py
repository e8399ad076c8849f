"""PutMetricData, GetMetricStatistics, GetMetricData, ListMetrics through stock clients."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server

MINUTE = 60


@pytest.fixture
def namespace() -> str:
    return f"tests/{uuid.uuid4().hex[:8]}"


@pytest.fixture
def cloudwatch(server: Server) -> Any:
    return server.client("cloudwatch")


@pytest.fixture
def start() -> float:
    """Twenty minutes ago, at a full minute."""
    return time.time() // MINUTE * MINUTE - 20 * MINUTE


def refused(call: Any, **params: Any) -> Mapping[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    found: Mapping[str, str] = caught.value.response["Error"]
    return found


def put(cloudwatch: Any, namespace: str, name: str, values: Mapping[float, float], **more: Any) -> None:
    data = [{"MetricName": name, "Timestamp": at, "Value": value, **more} for at, value in values.items()]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def test_statistics_of_values(cloudwatch: Any, namespace: str, start: float) -> None:
    put(cloudwatch, namespace, "Load", {start + 5: 1.0, start + 50: 3.0, start + 65: 10.0}, Unit="Seconds")
    span = {"Namespace": namespace, "MetricName": "Load", "StartTime": start, "EndTime": start + 600}
    every = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
    answer = cloudwatch.get_metric_statistics(**span, Period=60, Statistics=every)
    assert answer["Label"] == "Load"
    first, second = sorted(answer["Datapoints"], key=lambda each: each["Timestamp"])
    assert first == {
        "Timestamp": datetime.fromtimestamp(start, UTC),
        "Unit": "Seconds",
        **{"SampleCount": 2, "Average": 2, "Sum": 4, "Minimum": 1, "Maximum": 3},
    }
    assert second["Sum"] == 10
    whole = cloudwatch.get_metric_statistics(**span, Period=600, ExtendedStatistics=["p50", "p100", "tm90"])
    (datapoint,) = whole["Datapoints"]
    assert datapoint["ExtendedStatistics"] == {"p50": 3, "p100": 10, "tm90": 2}


def test_values_counts_and_statistic_sets(cloudwatch: Any, namespace: str, start: float) -> None:
    data = [
        {"MetricName": "A", "Timestamp": start, "Values": [1, 2.5], "Counts": [3, 2]},
        {
            "MetricName": "B",
            "Timestamp": start,
            "StatisticValues": {"SampleCount": 4, "Sum": 20, "Minimum": 2, "Maximum": 9},
        },
    ]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    span = {"Namespace": namespace, "StartTime": start, "EndTime": start + 60, "Period": 60}
    (a,) = cloudwatch.get_metric_statistics(MetricName="A", Statistics=["Sum", "SampleCount"], **span)["Datapoints"]
    assert (a["Sum"], a["SampleCount"]) == (8, 5)
    (b,) = cloudwatch.get_metric_statistics(MetricName="B", Statistics=["Average", "Maximum"], **span)["Datapoints"]
    assert (b["Average"], b["Maximum"]) == (5, 9)
    nothing = cloudwatch.get_metric_statistics(MetricName="B", ExtendedStatistics=["p90"], **span)
    assert nothing["Datapoints"] == []


def test_high_resolution(cloudwatch: Any, namespace: str, start: float) -> None:
    values = {start + second: float(second) for second in range(30)}
    put(cloudwatch, namespace, "Fast", values, StorageResolution=1)
    span = {"Namespace": namespace, "MetricName": "Fast", "StartTime": start, "EndTime": start + 60}
    assert len(cloudwatch.get_metric_statistics(**span, Period=1, Statistics=["Sum"])["Datapoints"]) == 30
    tens = cloudwatch.get_metric_statistics(**span, Period=10, Statistics=["Sum"])["Datapoints"]
    assert sorted(each["Sum"] for each in tens) == [45, 145, 245]
    (minute,) = cloudwatch.get_metric_statistics(**span, Period=60, Statistics=["SampleCount"])["Datapoints"]
    assert minute["SampleCount"] == 30


def test_a_thousand_at_once_come_compressed(cloudwatch: Any, namespace: str, start: float) -> None:
    data = [{"MetricName": f"m{number % 10}", "Timestamp": start, "Value": float(number)} for number in range(1000)]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    span = {"Namespace": namespace, "StartTime": start, "EndTime": start + 60, "Period": 60}
    (found,) = cloudwatch.get_metric_statistics(MetricName="m3", Statistics=["Sum", "SampleCount"], **span)[
        "Datapoints"
    ]
    assert (found["SampleCount"], found["Sum"]) == (100, sum(range(3, 1000, 10)))
    error = refused(cloudwatch.put_metric_data, Namespace=namespace, MetricData=[*data, data[0]])
    assert error["Code"] == "InvalidParameterValue"


def stat(name: str, namespace: str, metric: str, statistic: str = "Sum", **more: Any) -> dict[str, Any]:
    what = {"Metric": {"Namespace": namespace, "MetricName": metric}, "Period": 60, "Stat": statistic}
    return {"Id": name, "MetricStat": what, **more}


def test_metric_math(cloudwatch: Any, namespace: str, start: float) -> None:
    put(cloudwatch, namespace, "Errors", {start: 1.0, start + 60: 4.0, start + 180: 1.0})
    put(cloudwatch, namespace, "Calls", {start: 10.0, start + 60: 8.0, start + 120: 7.0, start + 180: 0.0})
    expressions = {
        "ratio": "100 * e / c",
        "filled": "FILL(e, 0)",
        "rate": "RATE(c)",
        "total": "SUM(METRICS())",
        "share": "c / SUM(c)",
        "chosen": "IF(c > 7 AND c < 10, c, -1)",
        "biggest": "MAX([e, c]) ^ 2",
    }
    queries = [
        stat("e", namespace, "Errors", ReturnData=False),
        stat("c", namespace, "Calls", ReturnData=False),
        *({"Id": name, "Expression": text} for name, text in expressions.items()),
    ]
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=queries, StartTime=start, EndTime=start + 240, ScanBy="TimestampAscending"
    )
    found = {each["Id"]: each for each in answer["MetricDataResults"]}
    assert list(found) == list(expressions)
    assert {each["StatusCode"] for each in found.values()} == {"Complete"}
    assert found["ratio"]["Values"] == [10, 50]  # nothing where a call is missing, nor of a division by zero
    assert found["filled"]["Values"] == [1, 4, 0, 1]
    assert found["rate"]["Values"] == pytest.approx([-2 / 60, -1 / 60, -7 / 60])
    assert found["total"]["Values"] == [11, 12, 7, 1]
    assert found["share"]["Values"] == pytest.approx([0.4, 0.32, 0.28, 0])
    assert found["chosen"]["Values"] == [-1, 8, -1, -1]
    assert found["biggest"]["Values"] == [100, 64, 49, 1]
    assert found["total"]["Timestamps"][0] == datetime.fromtimestamp(start, UTC)


def test_pages_of_data_in_both_orders(cloudwatch: Any, namespace: str, start: float) -> None:
    put(cloudwatch, namespace, "A", {start + 60 * n: float(n) for n in range(5)})
    put(cloudwatch, namespace, "B", {start + 60 * n: float(n) for n in range(4)})
    queries = [stat("a", namespace, "A"), stat("b", namespace, "B")]
    span = {"MetricDataQueries": queries, "StartTime": start, "EndTime": start + 600}
    for order, expected in (("TimestampAscending", [0, 1, 2, 3, 4]), ("TimestampDescending", [4, 3, 2, 1, 0])):
        seen: dict[str, list[float]] = {"a": [], "b": []}
        token: dict[str, str] = {}
        for _ in range(20):
            page = cloudwatch.get_metric_data(**span, ScanBy=order, MaxDatapoints=2, **token)
            assert sum(len(each["Values"]) for each in page["MetricDataResults"]) <= 2
            for each in page["MetricDataResults"]:
                seen[each["Id"]] += each["Values"]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert seen == {"a": expected, "b": [value for value in expected if value < 4]}


def test_what_is_refused(cloudwatch: Any, namespace: str, start: float) -> None:
    queries = [stat("m", namespace, "A", ReturnData=False)]
    span = {"StartTime": start, "EndTime": start + 600}
    for text, words in (
        ("SEARCH('x', 'Sum', 300)", "SEARCH"),
        ("NOTHING(m)", "no function NOTHING"),
        ("m +", "position"),
        ("other * 2", "no query has the id other"),
        ("PERIOD(m)", "must return a time series"),
    ):
        asked = [*queries, {"Id": "x", "Expression": text}]
        error = refused(cloudwatch.get_metric_data, MetricDataQueries=asked, **span)
        assert error["Code"] == "ValidationError"
        assert words in error["Message"]
    loop = [{"Id": "x", "Expression": "y + 1"}, {"Id": "y", "Expression": "x + 1"}]
    assert "refer to one another" in refused(cloudwatch.get_metric_data, MetricDataQueries=loop, **span)["Message"]
    statistics = {"Namespace": namespace, "MetricName": "A", "Statistics": ["Sum"], **span}
    assert refused(cloudwatch.get_metric_statistics, Period=45, **statistics)["Code"] == "InvalidParameterValue"
    too_many = {**statistics, "StartTime": start - 86400 * 3}
    assert refused(cloudwatch.get_metric_statistics, Period=60, **too_many)["Code"] == "InvalidParameterCombination"
    datum = {"MetricName": "A", "Value": 1.0}
    for data, code in (
        ({**datum, "Timestamp": start - 15 * 86400}, "InvalidParameterValue"),
        ({**datum, "Value": float("nan")}, "InvalidParameterValue"),
        ({**datum, "Values": [1.0]}, "InvalidParameterCombination"),
        ({"MetricName": "A"}, "MissingParameter"),
    ):
        assert refused(cloudwatch.put_metric_data, Namespace=namespace, MetricData=[data])["Code"] == code
    error = refused(cloudwatch.put_metric_data, Namespace="AWS/Own", MetricData=[datum])
    assert error["Code"] == "InvalidParameterValue"


def test_list_metrics(cloudwatch: Any, namespace: str, start: float) -> None:
    hosts = [f"h{number}" for number in range(3)]
    for host in hosts:
        dimensions = [{"Name": "Zone", "Value": "z"}, {"Name": "Host", "Value": host}]
        put(cloudwatch, namespace, "Load", {start: 1.0}, Dimensions=dimensions)
    put(cloudwatch, namespace, "Other", {start: 1.0})
    put(cloudwatch, namespace, "Old", {start - 5 * 3600: 1.0})
    listed = cloudwatch.list_metrics(Namespace=namespace, Dimensions=[{"Name": "Host"}])["Metrics"]
    assert [each["Dimensions"][0] for each in listed] == [{"Name": "Host", "Value": host} for host in hosts]
    one = cloudwatch.list_metrics(Namespace=namespace, Dimensions=[{"Name": "Host", "Value": "h1"}])["Metrics"]
    assert len(one) == 1
    recent = cloudwatch.list_metrics(Namespace=namespace, RecentlyActive="PT3H")["Metrics"]
    assert {each["MetricName"] for each in recent} == {"Load", "Other"}
    assert len(cloudwatch.list_metrics(Namespace=namespace)["Metrics"]) == 5
    assert refused(cloudwatch.list_metrics, NextToken="x")["Code"] == "InvalidNextToken"


def test_the_command_line_reads_what_was_put(server: Server, namespace: str, start: float) -> None:
    at = datetime.fromtimestamp(start, UTC).isoformat()
    words = ("--namespace", namespace, "--metric-name", "Cli", "--dimensions")
    put_words = (*words, "Job=x,Host=y", "--value", "7", "--unit", "Count", "--timestamp", at)
    done = server.run("aws", "cloudwatch", "put-metric-data", *put_words)
    assert done.returncode == 0, done.stderr
    until = datetime.fromtimestamp(start + 60, UTC).isoformat()
    asked = ("Name=Host,Value=y", "Name=Job,Value=x", "--start-time", at, "--end-time", until, "--period", "60")
    read = server.run("aws", "cloudwatch", "get-metric-statistics", *words, *asked, "--statistics", "Maximum")
    assert read.returncode == 0, read.stderr
    (datapoint,) = json.loads(read.stdout)["Datapoints"]
    assert (datapoint["Maximum"], datapoint["Unit"]) == (7, "Count")


def test_the_namespace_is_a_condition(server: Server, namespace: str) -> None:
    key, secret = server.root_key
    iam = server.client("iam", aws_access_key_id=key, aws_secret_access_key=secret)
    user = f"metrics-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    statement = {
        "Effect": "Allow",
        "Action": "cloudwatch:PutMetricData",
        "Resource": "*",
        "Condition": {"StringEquals": {"cloudwatch:namespace": namespace}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=user, PolicyName="metrics", PolicyDocument=document)
    made = iam.create_access_key(UserName=user)["AccessKey"]
    theirs = server.client(
        "cloudwatch", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"]
    )
    datum = [{"MetricName": "A", "Value": 1.0}]
    theirs.put_metric_data(Namespace=namespace, MetricData=datum)
    error = refused(theirs.put_metric_data, Namespace="elsewhere", MetricData=datum)
    assert error["Code"] in ("AccessDenied", "AccessDeniedException")
    assert "cloudwatch:PutMetricData" in error["Message"]
