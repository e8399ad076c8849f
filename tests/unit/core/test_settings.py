"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from wildsage.core.errors import SettingsError
from wildsage.core.scaling import ScalingSettings, scaling_settings
from wildsage.core.settings import DataDir, account_id, data_dir, region_name, router_count


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


def test_how_many_routers_share_the_port() -> None:
    assert router_count({}, None) == 1
    assert router_count({"WILDSAGE_ROUTERS": "4"}, None) == 4
    assert router_count({"WILDSAGE_ROUTERS": "4"}, 2) == 2
    for text in ("0", "65", "", "two", "1.5"):
        with pytest.raises(SettingsError, match="number of routers must be from 1 to 64"):
            router_count({"WILDSAGE_ROUTERS": text}, None)


def test_where_routers_are_talked_to(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.run.mkdir()
    for path in (data.router_socket(), data.router_socket(1), data.control_socket):
        path.touch()
    assert data.router_sockets() == [data.router_socket(0), data.router_socket(1)]


def test_how_soon_scaling_sees_a_load() -> None:
    assert scaling_settings({}) == ScalingSettings(60, 3, 15)
    assert scaling_settings({"WILDSAGE_SCALING_ALARMS": "period=10, high=2,low=4"}) == ScalingSettings(10, 2, 4)
    assert scaling_settings({"WILDSAGE_SCALING_ALARMS": "low=5"}) == ScalingSettings(60, 3, 5)
    for text in ("fast", "period=15", "high=0", "low=61", "period=ten", "speed=3"):
        with pytest.raises(SettingsError, match="WILDSAGE_SCALING_ALARMS"):
            scaling_settings({"WILDSAGE_SCALING_ALARMS": text})
