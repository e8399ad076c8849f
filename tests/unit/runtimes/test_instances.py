"""The instance types against those that the API's model names."""

from __future__ import annotations

import botocore.session
import pytest

from wildsage.runtimes.instances import GIB, lookup

_MODEL = botocore.session.get_session().get_service_model("sagemaker")
_ENUMS = ("TrainingInstanceType", "ProductionVariantInstanceType", "TransformInstanceType", "ProcessingInstanceType")
_NAMES = sorted({name for shape in _ENUMS for name in _MODEL.shape_for(shape).enum})


def test_every_type_of_the_model_is_known() -> None:
    for name in _NAMES:
        kind = lookup(name)
        assert kind.cpus > 0 and kind.memory_bytes > GIB, name
        accelerated = name.startswith(("ml.g", "ml.p"))
        assert bool(kind.gpus) is accelerated, name


@pytest.mark.parametrize(
    ("name", "cpus", "gibibytes", "gpus"),
    [
        ("ml.m5.large", 2, 8, 0),
        ("ml.m5.24xlarge", 96, 384, 0),
        ("ml.c5.9xlarge", 36, 72, 0),
        ("ml.r5.4xlarge", 16, 128, 0),
        ("ml.m8g.medium", 1, 4, 0),
        ("ml.c4.large", 2, 3.75, 0),
        ("ml.g5.12xlarge", 48, 192, 4),
        ("ml.g6e.xlarge", 4, 32, 1),
        ("ml.p4d.24xlarge", 96, 1152, 8),
        ("local", 0, 0, 0),
    ],
)
def test_lookup(name: str, cpus: int, gibibytes: float, gpus: int) -> None:
    kind = lookup(name)
    assert (kind.cpus, kind.memory_bytes, kind.gpus) == (cpus, int(gibibytes * GIB), gpus)


@pytest.mark.parametrize(
    "name", ["", "ml", "ml.m5", "ml.m5.huge", "ml.q9.large", "m5.large", "ml.m5.0x", "ml.c5.xxlarge"]
)
def test_unknown(name: str) -> None:
    with pytest.raises(KeyError):
        lookup(name)
