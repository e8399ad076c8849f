"""Amazon Resource Names.

Format: ``arn:partition:service:region:account:resource`` (AWS General Reference, "Amazon Resource Names").
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arn:
    """One parsed ARN; ``resource`` is everything after the fifth colon."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def resource_type(self) -> str:
        """``training-job`` of ``training-job/name``; empty where the resource has no type."""
        head, separator, _ = self.resource.partition("/")
        return head if separator else ""

    @property
    def resource_name(self) -> str:
        """What follows the resource type (slashes kept)."""
        _, separator, tail = self.resource.partition("/")
        return tail if separator else self.resource


def parse(text: str) -> Arn:
    """Parses ``text``; raises ValueError if it is not an ARN."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1] or not parts[2] or not parts[5]:
        raise ValueError(f"not an ARN: {text!r}")
    return Arn(*parts[1:])


def partition_of(region: str) -> str:
    """The partition a region belongs to (``aws``, ``aws-cn``, ``aws-us-gov``)."""
    if region.startswith("cn-"):
        return "aws-cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    return "aws"


def build(service: str, region: str, account: str, resource: str) -> str:
    """An ARN in the region's partition; global services (iam, s3) pass an empty region."""
    return str(Arn(partition_of(region), service, region, account, resource))
