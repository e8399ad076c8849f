"""What is accepted without effect is said."""

from __future__ import annotations

from wildsage.services.sagemaker.instance.accepted import unheeded


def test_a_vpc_changes_nothing_and_the_log_says_so() -> None:
    assert "VpcConfig is kept" in unheeded({"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}})
    assert unheeded({"ModelName": "m"}) == ""
