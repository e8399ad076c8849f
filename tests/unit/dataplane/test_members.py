"""What the router remembers of the service model is what the model says."""

from __future__ import annotations

import pytest

from wildsage.core.errors import ApiError
from wildsage.dataplane import members
from wildsage.wire.model import load


@pytest.mark.parametrize(
    ("operation", "streams"), [("InvokeEndpoint", False), ("InvokeEndpointWithResponseStream", True)]
)
def test_each_header_may_be_as_long_as_in_the_model(operation: str, streams: bool) -> None:
    shape = load("sagemaker-runtime").operations[operation].input
    assert shape is not None
    bounded = {
        member.wire_name.lower(): member.traits["max"]
        for member in shape.members.values()
        if member.location == "header" and "max" in member.traits
    }
    assert len(bounded) >= 7
    for name, most in bounded.items():
        members.check("iris", [(name, "a" * most)], streams)
        with pytest.raises(ApiError, match="less than or equal to"):
            members.check("iris", [(name, "a" * (most + 1))], streams)
