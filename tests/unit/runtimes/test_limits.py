"""Which control group of version 2 may have groups below it; folders stand for a delegated tree."""

from __future__ import annotations

from pathlib import Path

from wildsage.runtimes.sandbox.keeper import limits


def _group(path: Path, offered: str, handed_on: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "cgroup.controllers").write_text(offered)
    (path / "cgroup.subtree_control").write_text(handed_on)
    (path / "cgroup.procs").write_text("")
    return path


def test_the_nearest_group_that_hands_memory_on(tmp_path: Path) -> None:
    _group(tmp_path, "cpu memory pids", "cpu memory pids")
    service = _group(tmp_path / "user.service", "cpu memory pids", "memory")
    own = _group(service / "app.scope", "", "")
    assert limits.delegating(str(own)) == str(service)


def test_a_group_that_could_hand_memory_on_is_made_to(tmp_path: Path) -> None:
    own = _group(tmp_path / "service", "cpu memory pids", "")
    assert limits.delegating(str(own)) == str(own)
    assert (own / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_none(tmp_path: Path) -> None:
    _group(tmp_path, "hugetlb", "hugetlb")
    own = _group(tmp_path / "own", "hugetlb", "")
    assert limits.delegating(str(own)) == ""
