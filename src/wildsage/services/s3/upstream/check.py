"""Whether the upstream answers, for ``wildsage doctor``."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from wildsage.core.clock import SystemClock
from wildsage.core.errors import ApiError
from wildsage.core.upstream import S3Upstream
from wildsage.services.s3.upstream.forwarder import Forwarder

_SECONDS: Final = 10.0


async def look(upstream: S3Upstream) -> tuple[bool, str]:
    """Asks for its buckets: whether that went well, and what a person should know. Raises SettingsError."""
    patient = replace(upstream, seconds=min(upstream.seconds, _SECONDS))
    forwarder = Forwarder(patient, SystemClock(), Path(tempfile.gettempdir()))
    try:
        answer = await forwarder.call("ListBuckets", {})
    except ApiError as error:
        if error.code == "AccessDenied":
            return True, f"{upstream.url} answers; its key may not list buckets there"
        return False, error.message
    finally:
        forwarder.close()
    kept = [each["Name"] for each in answer.get("Buckets") or [] if upstream.holds(each["Name"])]
    return True, f"{upstream.url} answers; it keeps {len(kept)} buckets for this server"
