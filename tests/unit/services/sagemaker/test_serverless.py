"""What is checked of serverless variants, and what may be changed of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from wildsage.core.errors import ApiError, SettingsError, ValidationError
from wildsage.core.routes import Instance
from wildsage.core.routes import Variant as Route
from wildsage.core.serverless import PAYLOAD, ServerlessSettings, serverless_settings
from wildsage.dataplane.serverless import admit, setup_us
from wildsage.dataplane.table import Counters, LiveVariant, Slot
from wildsage.services.sagemaker.endpointconfigs import rules
from wildsage.services.sagemaker.endpointconfigs.serverless import check_model
from wildsage.services.sagemaker.endpoints import serverless
from wildsage.services.sagemaker.endpoints.fleet import Fleet, Variant

CONFIG = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
VARIANT: dict[str, Any] = {"VariantName": "all", "ModelName": "m", "ServerlessConfig": CONFIG}
MODEL = {"ModelName": "m", "PrimaryContainer": {"Image": "i"}}


def asked(variant: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, **(variant or {})}], **more}


def variant(document: dict[str, Any]) -> Variant:
    return Variant("all", 1.0, 1, document, MODEL)


def test_what_is_accepted() -> None:
    rules.check(asked())
    rules.check(asked({"ServerlessConfig": {**CONFIG, "ProvisionedConcurrency": 5}, "InitialVariantWeight": 2.0}))
    check_model(VARIANT, MODEL)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asked({"InstanceType": "ml.m5.large"}), "InstanceType and ServerlessConfig cannot both"),
        (asked({"InitialInstanceCount": 1}), "InitialInstanceCount and ServerlessConfig"),
        (asked({"VolumeSizeInGB": 5}), "VolumeSizeInGB and ServerlessConfig"),
        (asked({"ServerlessConfig": {**CONFIG, "MemorySizeInMB": 1500}}), "MemorySizeInMB of .* must be one of 1024"),
        (asked({"ServerlessConfig": {**CONFIG, "ProvisionedConcurrency": 6}}), "less than or equal to its MaxConc"),
        (asked({"ModelName": ""}), "ModelName is required"),
        (asked(DataCaptureConfig={"DestinationS3Uri": "s3://b"}), "Data capture is not supported"),
        (asked(VpcConfig={"Subnets": ["s"]}), "VPC configuration is not supported"),
        (asked(EnableNetworkIsolation=True), "Network isolation is not supported"),
        (asked(AsyncInferenceConfig={"OutputConfig": {}}), "Asynchronous inference is not supported"),
        (asked(ShadowProductionVariants=[{**VARIANT, "VariantName": "s"}]), "Shadow variants are not supported"),
        (
            {"EndpointConfigName": "c", "ProductionVariants": [VARIANT, {**VARIANT, "VariantName": "b"}]},
            "one production variant only",
        ),
    ],
)
def test_what_is_refused(request_: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        rules.check(request_)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"Containers": [{"Image": "i"}, {"Image": "j"}]}, "Inference pipelines"),
        ({"PrimaryContainer": {"Image": "i", "Mode": "MultiModel"}}, "Multi-model endpoints"),
        ({**MODEL, "VpcConfig": {"Subnets": ["s"]}}, "VPC configuration"),
        ({**MODEL, "EnableNetworkIsolation": True}, "Network isolation"),
    ],
)
def test_models_that_are_refused(model: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        check_model(VARIANT, model)


def test_what_may_be_changed() -> None:
    wish = {"VariantName": "all", "ServerlessUpdateConfig": {"MaxConcurrency": 9, "ProvisionedConcurrency": 2}}
    found = serverless.changed(variant(VARIANT), wish)["ServerlessConfig"]
    assert found == {"MemorySizeInMB": 2048, "MaxConcurrency": 9, "ProvisionedConcurrency": 2}
    assert serverless.changed(variant(VARIANT), {"VariantName": "all"}) == VARIANT
    with pytest.raises(ValidationError, match="DesiredInstanceCount"):
        serverless.changed(variant(VARIANT), {"VariantName": "all", "DesiredInstanceCount": 2})
    with pytest.raises(ValidationError, match="ProvisionedConcurrency"):
        serverless.changed(variant(VARIANT), {"ServerlessUpdateConfig": {"ProvisionedConcurrency": 6}})
    with pytest.raises(ValidationError, match="not serverless"):
        serverless.changed(variant({"InstanceType": "ml.m5.large"}), wish)


def test_updates_to_and_from_instances() -> None:
    """ "You cannot convert your instance-based, real-time endpoint to a serverless endpoint"; the other way one can."""
    some = Fleet(2, "c", 0.0, (variant(VARIANT),))
    instances = Fleet(1, "c", 0.0, (variant({"InstanceType": "ml.m5.large"}),))
    with pytest.raises(ValidationError, match="Cannot update an instance-based endpoint"):
        serverless.check_update(instances, some, None)
    serverless.check_update(some, instances, None)
    with pytest.raises(ValidationError, match="Rolling"):
        serverless.check_update(some, some, {"RollingUpdatePolicy": {"WaitIntervalInSeconds": 1}})


def test_what_a_container_is_told() -> None:
    told = serverless.variables(
        {**CONFIG, "ProvisionedConcurrency": 3}, ServerlessSettings(7.5), {"MKL_NUM_THREADS": "2"}
    )
    assert told["WILDSAGE_SERVERLESS_IDLE_SECONDS"] == "7.5"
    assert told["WILDSAGE_SERVERLESS_PROVISIONED"] == "3"
    assert told["WILDSAGE_SERVERLESS_MEMORY_BYTES"] == str(2 << 30)
    assert (told["OMP_NUM_THREADS"], told["MKL_NUM_THREADS"]) == ("1", "2")


def test_a_router_admits_so_many() -> None:
    slot = Slot(Instance("i-1", "unix:/s"), outstanding=4)
    live = LiveVariant(Route("all", 1.0, (slot.instance,), concurrency=5), [slot], Counters())
    admit(live, PAYLOAD)
    with pytest.raises(ApiError, match="oversize"):
        admit(live, PAYLOAD + 1)
    slot.outstanding = 5
    with pytest.raises(ApiError, match="MaxConcurrency") as error:
        admit(live, 1)
    assert (error.value.code, error.value.status) == ("ThrottlingException", 429)
    assert setup_us([("x", "y"), ("x-wildsage-setup-us", "17")]) == 17
    assert setup_us([]) == setup_us([("x-wildsage-setup-us", "soon")]) == 0


def test_settings() -> None:
    assert serverless_settings({}).idle == 300
    assert serverless_settings({"WILDSAGE_SERVERLESS_IDLE": "0.5"}).idle == 0.5
    for text in ("0", "-1", "nan", "soon", "1e9"):
        with pytest.raises(SettingsError, match="WILDSAGE_SERVERLESS_IDLE"):
            serverless_settings({"WILDSAGE_SERVERLESS_IDLE": text})


async def test_what_stands_where_a_pool_should_be_cannot_keep_control_busy(tmp_path: Path) -> None:
    sent = 0

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        with suppress(OSError):
            while sent < 1 << 28:
                writer.write(b"[" * 65536)
                await writer.drain()
                sent += 65536
        writer.close()

    server = await asyncio.start_unix_server(endless, tmp_path / "pool.sock")
    await serverless.tell(f"unix:{tmp_path}/http.sock", CONFIG)
    server.close()
    assert sent < 1 << 24
