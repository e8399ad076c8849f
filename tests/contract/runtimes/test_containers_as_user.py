"""Containers of an engine for an ordinary user in the engine's group, where the tests themselves run as root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.runtimes.ordinary import NOBODY, a_home, group_of, run_tests

_SUITE, _FAULTS = "test_containers.py", "test_containers_faults.py"
_OF_SUITE = (
    *("TestContainers::test_argv_environment_hostname_and_directory", "TestContainers::test_launch_is_idempotent"),
    *("TestContainers::test_mounts", "TestContainers::test_a_layered_mount_can_be_written_and_its_source_cannot"),
    *(
        "TestContainers::test_stop_kills_after_the_grace",
        "TestContainers::test_the_machines_role_is_not_for_containers",
    ),
    *("TestContainers::test_usage_of_a_running_and_of_an_ended_container", "TestContainers::test_serving_address"),
    "TestContainerNetworks::test_the_machine_is_reached_as_if_it_were_shared",
)
_OF_FAULTS = (
    *("test_another_attendant_goes_on_where_one_was_killed", "test_control_killed_and_started_again"),
    *("test_what_nobody_knows_any_more_is_swept", "test_what_cannot_be_started_is_said"),
    *(
        "test_the_machines_ports_are_there_before_the_first_process",
        "test_an_ended_container_leaves_nothing_in_the_engine",
    ),
)


@pytest.fixture
def home() -> Iterator[Path]:
    yield from a_home()


@pytest.mark.timeout(600)
async def test_the_suite_as_an_ordinary_user(home: Path, engine: str, debian: str) -> None:
    """What takes root or meets the files that root leaves; then what becomes of them."""
    assert debian
    here = Path(__file__)
    tests = [f"{here.with_name(_SUITE)}::{each}" for each in _OF_SUITE]
    tests += [f"{here.with_name(_FAULTS)}::{each}" for each in _OF_FAULTS]
    tests.append(str(here.with_name("in_ordinary_hands.py")))
    await run_tests(home, *tests, groups=str(group_of(engine)), DOCKER_HOST=engine)
    assert [str(each) for each in (home / "t").rglob("*") if each.lstat().st_uid != NOBODY] == []
