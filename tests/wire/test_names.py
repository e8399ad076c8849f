"""Telling services apart."""

from __future__ import annotations

import pytest

from wildsage.wire.http.messages import BytesBody, Headers, Request
from wildsage.wire.model import UnknownService, load
from wildsage.wire.names import identify_service, virtual_bucket


@pytest.mark.parametrize(
    ("signing", "target", "headers", "body", "service"),
    [
        ("sagemaker", "/", [("x-amz-target", "SageMaker.ListModels")], b"", "sagemaker"),
        ("sagemaker", "/endpoints/e/invocations", [], b"", "sagemaker-runtime"),
        ("sagemaker", "/FeatureGroup/f", [], b"", "sagemaker-featurestore-runtime"),
        ("sagemaker", "/human-loops?x", [], b"", "sagemaker-a2i-runtime"),
        ("sagemaker", "/BatchPutMetrics", [], b"", "sagemaker-metrics"),
        ("sagemaker", "/SendHeartbeat", [], b"", "sagemaker-edge"),
        ("sagemaker", "/x", [("host", "runtime.sagemaker.eu-west-1.amazonaws.com")], b"", "sagemaker-runtime"),
        ("sagemaker", "/x", [], b"", "sagemaker"),
        ("monitoring", "/service/X/operation/Y", [], b"", "cloudwatch"),
        ("states", "/", [], b"", "stepfunctions"),
        ("s3", "/", [], b"", "s3"),
        ("ecr", "/", [], b"", "ecr"),
        ("execute-api", "/", [], b"", None),
        (None, "/", [("host", "sts.us-east-1.amazonaws.com")], b"", "sts"),
        (None, "/", [("host", "sts.amazonaws.com:443")], b"", "sts"),
        (None, "/", [("host", "api.ecr.us-east-1.amazonaws.com")], b"", "ecr"),
        (None, "/", [("host", "api.sagemaker.us-east-1.amazonaws.com")], b"", "sagemaker"),
        (None, "/", [("host", "b.s3.us-east-1.amazonaws.com")], b"", "s3"),
        (None, "/", [], b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15", "sts"),
        (None, "/?Action=GetSAMLProvider&Version=2010-05-08", [], b"", "iam"),
        (None, "/", [("x-amz-target", "Logs_20140328.PutLogEvents")], b"", "logs"),
        (None, "/bucket/key", [("host", "localhost:4566")], b"", "s3"),
    ],
)
def test_the_service_is_found(
    signing: str | None, target: str, headers: Headers, body: bytes, service: str | None
) -> None:
    assert identify_service(Request("POST", target, headers, BytesBody(body)), signing) == service


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("b.s3.amazonaws.com", "b"),
        ("a.b.s3.us-west-2.amazonaws.com:443", "a.b"),
        ("b.s3-us-west-2.amazonaws.com", "b"),
        ("b.s3.localhost:4566", "b"),
        ("b.localhost:4566", "b"),
        ("b.s3.example.com", "b"),
        ("s3.us-east-1.amazonaws.com", None),
        ("s3.localhost:4566", None),
        ("localhost:4566", None),
        ("127.0.0.1:4566", None),
        ("[::1]:4566", None),
        ("", None),
    ],
)
def test_virtual_hosts(host: str, bucket: str | None) -> None:
    assert virtual_bucket(host) == bucket


@pytest.mark.parametrize("name", ["nosuch", "../botocore", "", "sagemaker/2017-07-24"])
def test_an_unknown_service_is_named(name: str) -> None:
    with pytest.raises(UnknownService):
        load(name)
