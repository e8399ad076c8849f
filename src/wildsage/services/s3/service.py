"""Amazon S3: what ``compose`` takes."""

from __future__ import annotations

from wildsage.kit.operation import service
from wildsage.services.s3.buckets import operations as buckets
from wildsage.services.s3.buckets import settings
from wildsage.services.s3.multipart import completion
from wildsage.services.s3.multipart import operations as multipart
from wildsage.services.s3.objects import copying, details, listing, retention
from wildsage.services.s3.objects import operations as objects

SERVICE = service(
    "s3",
    buckets,
    objects,
    listing,
    copying,
    details,
    retention,
    multipart,
    completion,
    operations=settings.operations(),
)
