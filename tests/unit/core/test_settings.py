"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from wildsage.core.errors import SettingsError
from wildsage.core.settings import account_id, data_dir, region_name


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "cn-north-1", "ap-southeast-5"])
def test_regions(region: str) -> None:
    assert region_name({"WILDSAGE_REGION": region}) == region


@pytest.mark.parametrize("region", ["bad region", "", "us-east", "US-EAST-1", "us-east-1/.."])
def test_what_is_no_region_is_said(region: str) -> None:
    with pytest.raises(SettingsError, match="WILDSAGE_REGION must be"):
        region_name({"WILDSAGE_REGION": region})


def test_the_account_has_twelve_digits() -> None:
    assert account_id({}) == "000000000000"
    with pytest.raises(SettingsError, match="twelve digits"):
        account_id({"WILDSAGE_ACCOUNT": "12"})


def test_where_the_data_is() -> None:
    assert data_dir({"HOME": "/h"}, None).root == Path("/h/.wildsage")
    assert data_dir({"HOME": "/h", "WILDSAGE_DATA": "/d"}, None).root == Path("/d")
    assert data_dir({"WILDSAGE_DATA": "/d"}, "/o").root == Path("/o")
    with pytest.raises(SettingsError, match="HOME is not set"):
        data_dir({}, None)
