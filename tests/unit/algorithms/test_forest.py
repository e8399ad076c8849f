"""The random cut forest's trees and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wildsage.algorithms.randomcutforest import forest

Array = np.ndarray[Any, Any]


def plain(found: forest.Forest, tree: int, point: Array, node: int = 0, depth: int = 0) -> float:
    """The score by the definition: one point, one tree, recursively (not yet normalized)."""
    low, high = found.low[tree, node].astype(float), found.high[tree, node].astype(float)
    beyond = float((np.maximum(low - point, 0) + np.maximum(point - high, 0)).sum())
    around = beyond + float((high - low).sum())
    apart = beyond / around if around else 0.0
    mass, total = int(found.mass[tree, node]), int(found.mass[tree, 0])
    if found.axis[tree, node] < 0:
        below = (1 - mass / (2 * total)) / (depth + np.log2(mass + 1))
    else:
        right = point[found.axis[tree, node]] > found.cut[tree, node]
        below = plain(found, tree, point, int(found.left[tree, node]) + int(right), depth + 1)
    return float(apart / (depth + 1) + (1 - apart) * below)


@pytest.fixture
def points() -> Array:
    random = np.random.default_rng(5)
    found = random.normal(size=(400, 3)).astype(np.float32)
    found[10:20] = found[0]  # some are equal
    return found


def test_scores_are_those_of_the_definition(points: Array) -> None:
    random = np.random.default_rng(1)
    built = forest.build([points[:100], points[100:300], points[7:8]], random)
    asked = np.vstack([points[:5], [[9, 9, 9]]]).astype(np.float32)
    sizes = np.log2(built.mass[:, 0] + 1.0)
    expected = [np.mean([plain(built, tree, point) * sizes[tree] for tree in range(3)]) for point in asked]
    np.testing.assert_allclose(forest.score(built, asked), expected, rtol=1e-6)


def test_each_tree_cuts_its_points_apart(points: Array) -> None:
    sample = points[:100]
    built = forest.build([sample], np.random.default_rng(2))
    leaves = built.mass[0][(built.axis[0] < 0) & (built.mass[0] > 0)]
    assert leaves.sum() == 100
    assert len(leaves) == len(np.unique(sample, axis=0))


def test_strangers_score_high(points: Array) -> None:
    random = np.random.default_rng(3)
    built = forest.build([points[random.choice(400, 128, replace=False)] for _ in range(50)], random)
    usual, strange = forest.score(built, points), forest.score(built, np.full((1, 3), 8.0))
    assert strange[0] > usual.mean() + 3 * usual.std()
    assert 0.5 < usual.mean() < 1.5
    assert len(forest.score(built, np.empty((0, 3)))) == 0
