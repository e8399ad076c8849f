"""What the operations of SQS and SNS need.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SQS" and "… Amazon SNS".
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from wildsage.core import arn
from wildsage.gateway.asked import Asked, Need


def sqs_needs(asked: Asked) -> Iterable[Need]:
    """The queue is named by its URL, of a new or wanted one by its name."""
    params = asked.params
    resource = params.get("SourceArn") or "*"
    if isinstance(params.get("QueueUrl"), str):
        account, name = _account_and_name(params["QueueUrl"])
        if account:
            resource = arn.build("sqs", asked.region, account, name)
    elif isinstance(params.get("QueueName"), str):
        account = params.get("QueueOwnerAWSAccountId") or asked.account
        resource = arn.build("sqs", asked.region, account, params["QueueName"])
    yield Need(f"sqs:{asked.operation.removesuffix('Batch')}", resource)


def _account_and_name(url: str) -> tuple[str, str]:
    """Empty for what is no URL of a queue, which the operation itself refuses."""
    try:
        parts = urlsplit(url).path.strip("/").split("/")
    except ValueError:
        return "", ""
    return (parts[-2], parts[-1]) if len(parts) >= 2 else ("", "")


def sns_needs(asked: Asked) -> Iterable[Need]:
    """Operations on a subscription need the action alone, on any resource."""
    params = asked.params
    resource = params.get("TopicArn") or params.get("TargetArn") or params.get("ResourceArn") or "*"
    if asked.operation == "CreateTopic":
        resource = arn.build("sns", asked.region, asked.account, params.get("Name", ""))
    context = {}
    if asked.operation == "Subscribe":
        context = {
            key: (str(params[member]),)
            for key, member in (("sns:protocol", "Protocol"), ("sns:endpoint", "Endpoint"))
            if params.get(member)
        }
    action = "Publish" if asked.operation == "PublishBatch" else asked.operation
    yield Need(f"sns:{action}", resource, context)
