"""What an engine is told to make, where it is looked for, and what its refusals mean."""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from wildsage.runtimes.base import LaunchSpec, Mount
from wildsage.runtimes.containers import plan
from wildsage.runtimes.containers.engine import refusal, socket_of

GIB = 1 << 30
MACHINE = plan.Machine(memory_bytes=16 * GIB, cpus=4, gpus=2)


@pytest.fixture
def spec(tmp_path: Path) -> LaunchSpec:
    return LaunchSpec("c", tmp_path, ("train",), {"A": "b"}, image="mine:1", working_directory="")


def test_the_image_keeps_what_is_not_said(spec: LaunchSpec) -> None:
    made = plan.container(spec, MACHINE)
    assert made["Cmd"] == ["train"] and made["Env"] == ["A=b"]
    assert not {"Entrypoint", "WorkingDir"} & set(made)
    assert "Memory" not in made["HostConfig"] and "CpuQuota" not in made["HostConfig"]
    made = plan.container(replace(spec, argv=(), entrypoint=("run",), working_directory="/w"), MACHINE)
    assert "Cmd" not in made and (made["Entrypoint"], made["WorkingDir"]) == (["run"], "/w")


def test_limits_that_are_larger_than_the_machine_are_none(spec: LaunchSpec) -> None:
    large = plan.container(replace(spec, memory_bytes=64 * GIB, cpus=16.0, gpus=8), MACHINE)["HostConfig"]
    assert "Memory" not in large and "CpuQuota" not in large and large["ShmSize"] == 8 * GIB
    assert large["DeviceRequests"][0]["Count"] == 2
    small = plan.container(replace(spec, memory_bytes=GIB, cpus=1.5, processes=7), MACHINE)
    host = small["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["ShmSize"], host["PidsLimit"]) == (GIB, GIB, GIB // 2, 7)
    assert host["CpuQuota"] == 150_000 and "OMP_NUM_THREADS=2" in small["Env"] and "DeviceRequests" not in host


def test_folders_and_layers(spec: LaunchSpec, tmp_path: Path) -> None:
    data, odd = tmp_path / "data", tmp_path / "with,comma"
    for folder in (data, odd):
        folder.mkdir()
    layered = replace(
        spec, folders=("model",), mounts=(Mount(data, "/data", layered=True), Mount(odd, "/odd", layered=True))
    )
    own, first, second = plan.container(layered, MACHINE)["HostConfig"]["Mounts"]
    assert own["Target"] == "/opt/ml/model"
    assert first["Type"] == "volume" and f"lowerdir={data}," in first["VolumeOptions"]["DriverConfig"]["Options"]["o"]
    assert (second["Type"], second["ReadOnly"]) == ("bind", True)
    assert [folder.name for folder in plan.layers(layered)] == ["upper", "work"]
    without = plan.container(layered, replace(MACHINE, layers=False))["HostConfig"]["Mounts"]
    assert [each["Type"] for each in without] == ["bind"] * 3


def test_networks(spec: LaunchSpec) -> None:
    isolated = replace(spec, network="isolated")
    assert plan.network_of_launch(isolated) is None
    serving = plan.network_of_launch(replace(isolated, serves=True))
    assert serving is not None and serving["Internal"]
    known = plan.network_of_launch(spec)
    assert known is not None and not known["Internal"]
    joined = replace(spec, hostname="algo-1", joins={"addresses": {"algo-1": "1.1.1.1", "algo-2": "1.1.1.2"}})
    assert plan.network_of_launch(joined) is None
    assert plan.container(joined, MACHINE)["HostConfig"]["ExtraHosts"] == ["algo-2:1.1.1.2"]


@pytest.mark.parametrize(("hosts", "prefix"), [(1, 29), (5, 29), (6, 28), (60, 26)])
def test_subnets_have_room_and_differ(tmp_path: Path, hosts: int, prefix: int) -> None:
    found = list(itertools.islice(plan.subnets(tmp_path, hosts), 100))
    networks = [ipaddress.IPv4Network(each) for each in found]
    assert {each.prefixlen for each in networks} == {prefix} and len(set(found)) == 100
    assert all(ipaddress.IPv4Address(plan.address(found[0], index)) in networks[0] for index in range(hosts))
    last = ipaddress.IPv4Address(plan.address(found[0], hosts - 1))
    assert last < networks[0].broadcast_address


def test_where_the_engine_is_looked_for() -> None:
    assert socket_of({"DOCKER_HOST": "unix:///run/mine.sock"}) == "/run/mine.sock"
    assert socket_of({"DOCKER_HOST": "tcp://other:2375"}) == ""


@pytest.mark.parametrize(
    ("words", "means"),
    [
        ("Get https://r/v2/: unauthorized: incorrect username or password", "does not accept these credentials"),
        ("pull access denied for x, repository does not exist", "denies access, or there is no such"),
        ("manifest for r/x:1 not found: manifest unknown", "has no such image"),
        ("no matching manifest for linux/amd64 in the manifest list entries", "no image for this machine's arch"),
        ("dial tcp: lookup r: no such host", "cannot be reached"),
        ("write /var/lib/docker/tmp: no space left on device", "disk is full"),
        ("invalid reference format", "no name of an image"),
        ("something else", "the engine refused"),
    ],
)
def test_refusals_are_explained(words: str, means: str) -> None:
    text = refusal("r/x:1", words)
    assert means in text and words in text and text.startswith("ClientError: Cannot pull the image r/x:1: ")
