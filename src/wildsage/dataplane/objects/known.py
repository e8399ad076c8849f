"""What both reading and writing look things up in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wildsage.core.clock import Clock
from wildsage.core.upstream import S3Upstream
from wildsage.dataplane.callers import Callers
from wildsage.dataplane.objects.asked import Asked
from wildsage.dataplane.table import Table
from wildsage.store.directindex import DirectIndex
from wildsage.wire import sigv4
from wildsage.wire.authorization import SIGV2_QUERY
from wildsage.wire.sigv4 import Authorization

May = Callable[[str, str, str], bool]
"""``Table.may_read`` or ``may_write``."""


_HASH: Final = 64  # characters of a payload's hash


def is_of_body(hashed: str) -> bool:
    """Whether what is signed for a payload is about the body as it came, or none: not about chunks, and no nonsense."""
    return len(hashed) == _HASH or hashed == sigv4.UNSIGNED_PAYLOAD


@dataclass(slots=True)
class Known:
    """``upstream``: another S3, whose buckets are control's to fetch from there."""

    table: Table
    callers: Callers
    index: DirectIndex
    clock: Clock
    upstream: S3Upstream | None = None

    def secret(self, authorization: Authorization, wanted: Asked, may: May, now: float) -> str | None:
        """What must have signed, if that is for this process to say and whoever has it plainly ``may`` do this.

        Nothing is proven before the signature is verified with it. Raises ApiError for unknown keys.
        """
        if authorization.service != "s3" or authorization.algorithm == SIGV2_QUERY:
            return None
        if self.upstream is not None and self.upstream.holds(wanted.bucket):
            return None
        secret, identity = self.callers.signer(authorization, now)
        if identity.within is not None:
            return None
        arn = f"arn:aws:s3:::{wanted.bucket}/{wanted.key}"
        return secret if may(identity.principal, identity.user_id, arn) else None
