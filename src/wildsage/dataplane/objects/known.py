"""What both reading and writing look things up in."""

from __future__ import annotations

from dataclasses import dataclass

from wildsage.core.clock import Clock
from wildsage.core.upstream import S3Upstream
from wildsage.dataplane.callers import Callers, Identity
from wildsage.dataplane.objects.asked import Asked
from wildsage.dataplane.table import Table
from wildsage.store.directindex import DirectIndex
from wildsage.wire.authorization import SIGV2_QUERY
from wildsage.wire.sigv4 import Authorization


@dataclass(slots=True)
class Known:
    """``upstream``: another S3, whose buckets are control's to fetch from there."""

    table: Table
    callers: Callers
    index: DirectIndex
    clock: Clock
    upstream: S3Upstream | None = None

    def signer(self, authorization: Authorization, wanted: Asked, now: float) -> tuple[str, Identity] | None:
        """Who signed, and with which secret, if that is for this process to say. Raises ApiError for unknown keys."""
        if authorization.service != "s3" or authorization.algorithm == SIGV2_QUERY:
            return None
        if self.upstream is not None and self.upstream.holds(wanted.bucket):
            return None
        found = self.callers.signer(authorization, now)
        return None if found[1].restricted else found
