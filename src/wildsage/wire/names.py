"""Which service a request is for.

A signed request names its service in the credential's scope, but a scope may cover several: everything under
``sagemaker`` (the control plane, the runtime, the feature store, …) signs alike, so target, path and host decide.
"""

from __future__ import annotations

import functools
from urllib.parse import parse_qsl

from wildsage.wire.http.messages import BytesBody, Request

# Signing name → botocore's name, where they differ.
_SIGNING_NAMES = {
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "s3express": "s3",
    "s3-outposts": "s3",
}
# X-Amz-Target prefix → service.
_TARGETS = {
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
    "GraniteServiceVersion20100801": "cloudwatch",
    "AnyScaleFrontendService": "application-autoscaling",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "AmazonSQS": "sqs",
    "TrentService": "kms",
    "AWSEvents": "events",
    "AWSStepFunctions": "stepfunctions",
    "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101": "cloudtrail",
}
# First segment of the path → service, for the REST services that sign as sagemaker.
_SAGEMAKER_PATHS = {
    "endpoints": "sagemaker-runtime",
    "FeatureGroup": "sagemaker-featurestore-runtime",
    "BatchGetRecord": "sagemaker-featurestore-runtime",
    "BatchWriteRecord": "sagemaker-featurestore-runtime",
    "human-loops": "sagemaker-a2i-runtime",
    "GetDeployments": "sagemaker-edge",
    "GetDeviceRegistration": "sagemaker-edge",
    "SendHeartbeat": "sagemaker-edge",
    "BatchGetMetrics": "sagemaker-metrics",
    "BatchPutMetrics": "sagemaker-metrics",
}
# What the host begins with (before ``.<region>.amazonaws.com``) → service, where it is not the service's own name.
_HOSTS = {
    "api.sagemaker": "sagemaker",
    "runtime.sagemaker": "sagemaker-runtime",
    "featurestore-runtime.sagemaker": "sagemaker-featurestore-runtime",
    "a2i-runtime.sagemaker": "sagemaker-a2i-runtime",
    "edge.sagemaker": "sagemaker-edge",
    "metrics.sagemaker": "sagemaker-metrics",
    "api.ecr": "ecr",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "sync-states": "stepfunctions",
    "stream-logs": "logs",
}
_OWN_NAMES = frozenset(
    {"application-autoscaling", "cloudtrail", "ec2", "ecr", "events", "iam", "kms"}
    | {"lambda", "logs", "s3", "sagemaker", "sns", "sqs", "sts"}
)
# Version of an unsigned query request → service.
_QUERY_VERSIONS = {"2011-06-15": "sts", "2010-05-08": "iam", "2010-03-31": "sns", "2012-11-05": "sqs"}
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn")


def identify_service(request: Request, signing_name: str | None) -> str | None:
    """botocore's name of the service; ``signing_name`` is the credential scope's, None for an unsigned request.

    None: the scope names a service that is not known here. Whatever is unsigned and says nothing of itself is S3's.
    """
    target = request.header("x-amz-target")
    if target is not None and target.rpartition(".")[0] in _TARGETS:
        return _TARGETS[target.rpartition(".")[0]]
    if signing_name == "sagemaker":
        return _sagemaker(request)
    if signing_name is not None:
        name = _SIGNING_NAMES.get(signing_name, signing_name)
        return name if name in _OWN_NAMES or name in _SIGNING_NAMES.values() else None
    return _by_host(request.header("host") or "") or _by_form(request) or "s3"


def _sagemaker(request: Request) -> str:
    first = request.path.split("/", 2)[1] if request.path.startswith("/") else ""
    return _SAGEMAKER_PATHS.get(first) or _by_host(request.header("host") or "") or "sagemaker"


def _by_host(host: str) -> str | None:
    """``<service>.<region>.amazonaws.com``, ``<service>.amazonaws.com``, ``<bucket>.s3.<region>.amazonaws.com``."""
    if virtual_bucket(host):
        return "s3"  # first, because a bucket may be called as a service is
    name = host.partition(":")[0].lower()
    domain = next((domain for domain in _AWS_DOMAINS if name.endswith(domain)), None)
    if domain is None:
        return None
    front = name[: -len(domain)]
    for candidate in (front, front.rpartition(".")[0]):
        if candidate in _HOSTS:
            return _HOSTS[candidate]
        if candidate in _OWN_NAMES:
            return candidate
    return None


def _by_form(request: Request) -> str | None:
    """Query requests that need no signature (AssumeRoleWithWebIdentity): their API version names the service."""
    if request.path != "/":
        return None
    text = request.query
    if request.method == "POST" and isinstance(request.body, BytesBody):
        text = f"{text}&{request.body.data[:65536].decode('ascii', 'replace')}"
    fields = dict(parse_qsl(text))
    return _QUERY_VERSIONS.get(fields.get("Version", "")) if "Action" in fields else None


@functools.lru_cache(maxsize=1024)
def virtual_bucket(host: str) -> str | None:
    """The bucket of a virtual-hosted-style request.

    ``bucket.s3.amazonaws.com``, ``bucket.s3.us-west-2.amazonaws.com``, ``bucket.s3-us-west-2.amazonaws.com``, and with
    any other domain ``bucket.s3.example.com`` or ``bucket.localhost``. A port is ignored.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.endswith(".localhost") and not name.startswith("s3."):
        bucket = name.removesuffix(".localhost").removesuffix(".s3")
        return bucket or None
    for mark in (".s3.", ".s3-"):
        bucket, found, _ = name.rpartition(mark)
        if found and bucket:
            return bucket
    return None
