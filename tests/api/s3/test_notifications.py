"""Events of buckets through boto3: who hears of what, and in which words."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sqs.test_queues import arn_of, new
from tests.conftest import Server


class Listening:
    """A bucket and a queue that S3 may send to."""

    def __init__(self, server: Server) -> None:
        self.s3 = server.client("s3")
        self.sqs = server.client("sqs")
        self.bucket = f"events-{uuid.uuid4().hex}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.url = new(self.sqs)
        self.arn = arn_of(self.sqs, self.url)
        self.allow()

    def allow(self, source: str = "") -> None:
        """Lets S3 send, on behalf of that bucket only."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.arn,
            "Condition": {
                "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{source or self.bucket}"},
                "StringEquals": {"aws:SourceAccount": "000000000000"},
            },
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})

    def configure(self, *events: str, **more: Any) -> None:
        self.put({"QueueConfigurations": [{"Id": "rule", "QueueArn": self.arn, "Events": list(events), **more}]})

    def put(self, configuration: dict[str, Any], **options: Any) -> None:
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration=configuration, **options
        )

    def next(self) -> dict[str, Any]:
        """The next message; fails after 20 seconds without one."""
        (message,) = self.sqs.receive_message(QueueUrl=self.url, WaitTimeSeconds=20)["Messages"]
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        found: dict[str, Any] = json.loads(message["Body"])
        return found

    def event(self) -> dict[str, Any]:
        """The next record."""
        (record,) = self.next()["Records"]
        found: dict[str, Any] = record
        return found


@pytest.fixture
def listening(server: Server) -> Listening:
    return Listening(server)


def test_a_new_configuration_is_tested_and_told_back(listening: Listening) -> None:
    listening.configure("s3:ObjectCreated:*")
    test = listening.next()
    assert (test["Service"], test["Event"], test["Bucket"]) == ("Amazon S3", "s3:TestEvent", listening.bucket)
    found = listening.s3.get_bucket_notification_configuration(Bucket=listening.bucket)
    (rule,) = found["QueueConfigurations"]
    assert (rule["Id"], rule["QueueArn"], rule["Events"]) == ("rule", listening.arn, ["s3:ObjectCreated:*"])
    listening.put({})
    assert "QueueConfigurations" not in listening.s3.get_bucket_notification_configuration(Bucket=listening.bucket)


def test_the_record_is_that_of_the_user_guide(listening: Listening) -> None:
    listening.configure("s3:ObjectCreated:*")
    listening.next()
    answer = listening.s3.put_object(Bucket=listening.bucket, Key="a folder/ü+1.txt", Body=b"four")
    record = listening.event()
    described = record["s3"].pop("object")
    sequencer = described.pop("sequencer")
    assert int(sequencer, 16) > 0
    assert len(sequencer) % 2 == 0
    assert described == {"key": "a+folder/%C3%BC%2B1.txt", "size": 4, "eTag": answer["ETag"].strip('"')}
    assert record["s3"]["s3SchemaVersion"] == "1.0"
    assert record["s3"]["configurationId"] == "rule"
    assert record["s3"]["bucket"]["name"] == listening.bucket
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{listening.bucket}"
    assert len(record["s3"]["bucket"]["ownerIdentity"]["principalId"]) == 64
    assert record["eventName"] == "ObjectCreated:Put"
    assert (record["eventVersion"], record["eventSource"], record["awsRegion"]) == ("2.1", "aws:s3", "us-east-1")
    assert record["eventTime"].endswith("Z")
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert record["userIdentity"]["principalId"].startswith("AWS:AROA")
    assert set(record["responseElements"]) == {"x-amz-request-id", "x-amz-id-2"}


def test_every_way_to_write_and_remove_has_its_event(listening: Listening) -> None:
    listening.configure("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*")
    listening.next()
    s3, bucket = listening.s3, listening.bucket
    seen: list[tuple[str, str]] = []

    def heard() -> None:
        record = listening.event()
        seen.append((record["eventName"], record["s3"]["object"]["key"]))

    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    heard()
    s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")
    heard()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="c", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="c", UploadId=upload, MultipartUpload=parts)
    heard()
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    heard()
    s3.delete_object_tagging(Bucket=bucket, Key="a")
    heard()
    s3.delete_object(Bucket=bucket, Key="missing")
    s3.delete_object(Bucket=bucket, Key="a")
    heard()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}]})
    heard()
    assert seen == [
        ("ObjectCreated:Put", "a"),
        ("ObjectCreated:Copy", "b"),
        ("ObjectCreated:CompleteMultipartUpload", "c"),
        ("ObjectTagging:Put", "a"),
        ("ObjectTagging:Delete", "a"),
        ("ObjectRemoved:Delete", "a"),
        ("ObjectRemoved:DeleteMarkerCreated", "b"),
    ]


def test_versions_and_the_order_of_events_can_be_told(listening: Listening) -> None:
    listening.s3.put_bucket_versioning(Bucket=listening.bucket, VersioningConfiguration={"Status": "Enabled"})
    listening.configure("s3:ObjectCreated:Put")
    listening.next()
    versions = [listening.s3.put_object(Bucket=listening.bucket, Key="k", Body=b"x")["VersionId"] for _ in range(5)]
    objects = sorted((listening.event()["s3"]["object"] for _ in range(5)), key=lambda each: str(each["sequencer"]))
    assert [each["versionId"] for each in objects] == versions


def test_filters_choose_by_prefix_and_suffix(listening: Listening) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".csv"}]
    listening.configure("s3:ObjectCreated:*", Filter={"Key": {"FilterRules": rules}})
    listening.next()
    for key in ("out/a.csv", "in/a.txt", "in/b.csv"):
        listening.s3.put_object(Bucket=listening.bucket, Key=key, Body=b"")
    assert listening.event()["s3"]["object"]["key"] == "in/b.csv"


def test_a_destination_must_be_there_and_let_s3_send(server: Server, listening: Listening) -> None:
    words = "Unable to validate the following destination configurations"
    with pytest.raises(ClientError, match=words):
        listening.put({"QueueConfigurations": [{"QueueArn": f"{listening.arn}x", "Events": ["s3:ObjectCreated:*"]}]})
    listening.allow(source="another-bucket")
    with pytest.raises(ClientError, match=words) as failure:
        listening.configure("s3:ObjectCreated:*")
    assert failure.value.response["Error"]["Code"] == "InvalidArgument"
    assert "do not allow S3" in failure.value.response["Error"]["ArgumentValue1"]
    assert "QueueConfigurations" not in listening.s3.get_bucket_notification_configuration(Bucket=listening.bucket)
    skipped = {"QueueConfigurations": [{"QueueArn": f"{listening.arn}x", "Events": ["s3:ObjectCreated:*"]}]}
    listening.put(skipped, SkipDestinationValidation=True)


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (
            {
                "LambdaFunctionConfigurations": [
                    {"LambdaFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f"}
                ]
            },
            "Lambda functions",
        ),
        ({"EventBridgeConfiguration": {}}, "EventBridge"),
        ({"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:eu-west-1:000000000000:q"}]}, "region is not valid"),
        ({"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:000000000000:q.fifo"}]}, "Unable to validate"),
        ({"TopicConfigurations": [{"TopicArn": "arn:aws:sqs:us-east-1:000000000000:q"}]}, "ARN"),
        (
            {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:000000000000:q"}] * 2},
            "ambiguously defined",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(listening: Listening, configuration: dict[str, Any], words: str) -> None:
    for listed in configuration.values():
        for each in listed:
            each["Events"] = ["s3:ObjectCreated:*"]
    with pytest.raises(ClientError, match=words):
        listening.put(configuration)
