"""Serverless variants: what their one container is given, what may be changed of them, what Describe says. Pure, but
for ``tell``."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from wildsage.core.errors import ValidationError
from wildsage.core.serverless import ServerlessSettings
from wildsage.services.sagemaker.endpointconfigs.serverless import check_concurrency
from wildsage.services.sagemaker.endpoints.fleet import Fleet, Variant
from wildsage.store.codec import Document
from wildsage.wire.http.unix import itself

log = logging.getLogger(__name__)

_MIB = 1 << 20
_MIB_PER_CPU = 1769
"""AWS does not say; of Lambda it says that a function of 1,769 MB has the equivalent of one vCPU."""

_AT_LEAST = 16
"""Workers whose memory an instance may have in any case: MaxConcurrency may be raised while it runs."""

_UNIX = "unix:"
_TOLD = "pool.sock"
_TELL_SECONDS = 5.0
_SOME = 4096
_ONE_THREAD = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def worker_bytes(config: Document | None) -> int:
    """What MemoryUtilization is a part of; 0 of a variant with instances."""
    return 0 if config is None else int(config["MemorySizeInMB"]) * _MIB


def memory_bytes(config: Document) -> int:
    """Of the whole container: each worker may have MemorySizeInMB, and so may the template and one that is ending."""
    return (max(int(config["MaxConcurrency"]), _AT_LEAST) + 2) * int(config["MemorySizeInMB"]) * _MIB


def variables(config: Document, settings: ServerlessSettings, own: Mapping[str, str]) -> dict[str, str]:
    """For ``toolkit/serving/serverless``. Threads do not outlive a fork, so the libraries that would start some as they
    load are told not to; the model's ``own`` Environment may say otherwise."""
    cpus = str(math.ceil(config["MemorySizeInMB"] / _MIB_PER_CPU))
    return {
        **{name: own.get(name, "1") for name in _ONE_THREAD},
        "SM_NUM_CPUS": cpus,
        "WILDSAGE_SERVERLESS_IDLE_SECONDS": f"{settings.idle:g}",
        "WILDSAGE_SERVERLESS_PROVISIONED": str(config.get("ProvisionedConcurrency") or 0),
        "WILDSAGE_SERVERLESS_MEMORY_BYTES": str(config["MemorySizeInMB"] * _MIB),
    }


def changed(variant: Variant, wish: Document) -> Document:
    """The variant's document with what ServerlessUpdateConfig changes. Raises ValidationError."""
    update = wish.get("ServerlessUpdateConfig")
    config = variant.serverless
    if config is None:
        if update:
            raise ValidationError(f"Variant {variant.name} is not serverless and has no ServerlessUpdateConfig.")
        return variant.document
    if wish.get("DesiredInstanceCount") is not None:
        raise ValidationError(f"Variant {variant.name} is serverless: DesiredInstanceCount cannot be specified.")
    config = {**config, **(update or {})}
    check_concurrency(variant.name, config)
    return {**variant.document, "ServerlessConfig": config}


def check_update(old: Fleet, new: Fleet, policy: Document | None) -> None:
    """Raises ValidationError: "You cannot convert your instance-based, real-time endpoint to a serverless endpoint"."""
    if not any(variant.serverless for variant in new.variants):
        return
    if not any(variant.serverless for variant in old.variants):
        raise ValidationError(
            "Cannot update an instance-based endpoint to a serverless endpoint. Create a new endpoint instead."
        )
    if policy and policy.get("RollingUpdatePolicy"):
        raise ValidationError("Rolling deployments are not supported for serverless endpoints.")


def described(current: Document, desired: Document) -> Document:
    """Members of a ProductionVariantSummary, in the place of those that count instances."""
    return {"CurrentServerlessConfig": current, "DesiredServerlessConfig": desired}


def pooled(address: str) -> bool:
    """Whether the container at ``address`` has a pool of workers; one of an engine's image has none."""
    return address.startswith(_UNIX)


async def tell(address: str, config: Document) -> None:
    """Has the pool at ``address`` keep so many workers as ``config`` says.

    There may be none: a server that is not ours, or one that is just starting, which was told at its launch.
    """
    if not pooled(address):
        return
    path = Path(address.removeprefix(_UNIX)).with_name(_TOLD)
    wish = {"provisioned": config.get("ProvisionedConcurrency") or 0}
    try:
        async with asyncio.timeout(_TELL_SECONDS):
            with itself(path) as place:
                reader, writer = await asyncio.open_unix_connection(place)
            try:
                writer.write(json.dumps(wish).encode())
                await reader.read(_SOME)  # whatever it is, it was heard
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        log.warning("the workers of %s could not be told: %s", address, error)
