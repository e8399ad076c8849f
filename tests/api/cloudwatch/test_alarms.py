"""Alarms that tell a topic, dashboards and tags, through boto3."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server
from tests.waiting import wait_until


@pytest.fixture
def cloudwatch(server: Server) -> Any:
    return server.client("cloudwatch")


@pytest.fixture
def name() -> str:
    return f"alarm-{uuid.uuid4().hex[:8]}"


def alarm(name: str, **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Namespace": name,
        "MetricName": "Heat",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        **more,
    }


def test_an_alarm_tells_a_topic(server: Server, cloudwatch: Any, name: str) -> None:
    sns, sqs = server.client("sns"), server.client("sqs")
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    principal = {"Service": "sns.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", "Resource": queue_arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    cloudwatch.put_metric_alarm(**alarm(name, AlarmActions=[topic], AlarmDescription="too hot"))
    found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    assert (found["StateValue"], found["AlarmDescription"]) == ("INSUFFICIENT_DATA", "too hot")
    assert found["AlarmArn"].endswith(f":alarm:{name}")
    # The minute before this one is over, so the alarm sees it as soon as it is there.
    datum = {"MetricName": "Heat", "Timestamp": time.time() - 60, "Value": 9.0}
    cloudwatch.put_metric_data(Namespace=name, MetricData=[datum])
    wait_until(lambda: cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "ALARM")
    received: list[Any] = []

    def arrived() -> bool:
        received.extend(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", []))
        return bool(received)

    wait_until(arrived)
    envelope = json.loads(received[0]["Body"])
    assert envelope["Subject"] == f'ALARM: "{name}" in us-east-1'
    message = json.loads(envelope["Message"])
    assert (message["AlarmName"], message["NewStateValue"]) == (name, "ALARM")

    def told() -> bool:
        items = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")["AlarmHistoryItems"]
        return [item["HistorySummary"] for item in items] == [f"Successfully executed action {topic}"]

    wait_until(told)
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, PaginationConfig={"PageSize": 1}
    )
    kinds = [item["HistoryItemType"] for page in pages for item in page["AlarmHistoryItems"]]
    assert kinds == ["Action", "StateUpdate", "ConfigurationUpdate"]
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def test_alarms_are_found(cloudwatch: Any, name: str) -> None:
    dimensions = [{"Name": "Host", "Value": "a"}]
    for number in range(3):
        cloudwatch.put_metric_alarm(
            **alarm(f"{name}-{number}", Namespace=name, Dimensions=dimensions, TreatMissingData="ignore")
        )
    rule = f'ALARM("{name}-0") OR ALARM("{name}-1")'
    cloudwatch.put_composite_alarm(AlarmName=f"{name}-all", AlarmRule=rule)
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=name, PaginationConfig={"PageSize": 2}, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = [each["AlarmName"] for page in pages for each in page["MetricAlarms"] + page["CompositeAlarms"]]
    assert sorted(found) == [f"{name}-0", f"{name}-1", f"{name}-2", f"{name}-all"]
    metric = {"Namespace": name, "MetricName": "Heat"}
    assert len(cloudwatch.describe_alarms_for_metric(**metric, Dimensions=dimensions)["MetricAlarms"]) == 3
    assert cloudwatch.describe_alarms_for_metric(**metric)["MetricAlarms"] == []
    cloudwatch.set_alarm_state(AlarmName=f"{name}-1", StateValue="ALARM", StateReason="a test")
    alarmed = {"AlarmNamePrefix": name, "StateValue": "ALARM", "AlarmTypes": ["CompositeAlarm"]}
    wait_until(lambda: len(cloudwatch.describe_alarms(**alarmed)["CompositeAlarms"]) == 1)
    cloudwatch.delete_alarms(AlarmNames=found)


def test_what_an_alarm_cannot_be(cloudwatch: Any, name: str) -> None:
    for more, words in (
        ({"Period": 45}, "Period"),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "SNS topics, and"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "anomaly detection"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm"),
        ({"TreatMissingData": "bad"}, "TreatMissingData"),
        ({"EvaluationPeriods": 2000}, "more than a day"),
    ):
        with pytest.raises(ClientError, match=words):
            cloudwatch.put_metric_alarm(**alarm(name, **more))
    with pytest.raises(cloudwatch.exceptions.ResourceNotFound):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="x")
    with pytest.raises(cloudwatch.exceptions.ResourceNotFound):
        cloudwatch.delete_alarms(AlarmNames=[name])


def test_dashboards_and_tags(cloudwatch: Any, name: str) -> None:
    body = json.dumps({"widgets": []})
    assert cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body)["DashboardValidationMessages"] == []
    found = cloudwatch.get_dashboard(DashboardName=name)
    assert (found["DashboardBody"], found["DashboardName"]) == (body, name)
    (entry,) = cloudwatch.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
    assert (entry["DashboardArn"], entry["Size"]) == (found["DashboardArn"], len(body))
    with pytest.raises(cloudwatch.exceptions.DashboardInvalidInputError):
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody="{")
    cloudwatch.put_metric_alarm(**alarm(name, Tags=[{"Key": "team", "Value": "a"}]))
    arn = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
    for resource in (arn, found["DashboardArn"]):
        cloudwatch.tag_resource(ResourceARN=resource, Tags=[{"Key": "stage", "Value": "test"}])
        cloudwatch.untag_resource(ResourceARN=resource, TagKeys=["team"])
        assert cloudwatch.list_tags_for_resource(ResourceARN=resource)["Tags"] == [{"Key": "stage", "Value": "test"}]
    with pytest.raises(cloudwatch.exceptions.ResourceNotFoundException):
        cloudwatch.list_tags_for_resource(ResourceARN=f"{arn}-not-there")
    cloudwatch.delete_dashboards(DashboardNames=[name])
    with pytest.raises(cloudwatch.exceptions.ResourceNotFound):
        cloudwatch.get_dashboard(DashboardName=name)
    cloudwatch.delete_alarms(AlarmNames=[name])
