"""Folders that a container may leave."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wildsage.core import trees


def test_whatever_lies_there_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_text("x")
    (root / "a" / "b" / "closed").mkdir(mode=0)
    kept = tmp_path / "kept"
    kept.mkdir()
    (root / "a" / "link").symlink_to(kept)
    os.mkfifo(root / "a" / "pipe")
    trees.remove(root)
    trees.remove(root)
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_a_chain_deeper_than_any_path_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.chdir(root)
    for _ in range(3000):
        Path("d").mkdir()
        os.chdir("d")
    os.chdir(tmp_path)
    trees.remove(root)
    assert not root.exists()


def test_two_may_remove_one_folder_at_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with ThreadPoolExecutor(4) as pool:
        for _ in range(8):
            for number in range(30):
                (root / "a" / str(number) / "b").mkdir(parents=True)
                (root / str(number)).write_text("x")
            list(pool.map(trees.remove, [root] * 4))
            assert not root.exists()


def test_a_link_or_file_in_place_of_the_folder_goes_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    link = tmp_path / "link"
    link.symlink_to(kept)
    trees.remove(link)
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert [each.name for each in kept.iterdir()] == ["file"]
