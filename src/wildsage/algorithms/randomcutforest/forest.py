"""A forest of random cut trees, all trees in arrays of one shape so that numpy walks them side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..formats.tables import Array

_PAIRS = 200_000  # points × trees that are walked at once; bounds the memory


class Forest(NamedTuple):
    """Arrays of trees × nodes; node 0 is the root. ``axis`` -1: a leaf. ``mass``: points below a node.

    ``cut``: a point whose ``axis`` is at most this goes ``left``, to the node of that number, else to the one after it.
    ``low`` and ``high``: the box around a node's points, trees × nodes × dimensions.
    """

    axis: Array
    cut: Array
    left: Array
    mass: Array
    low: Array
    high: Array

    @property
    def width(self) -> int:
        return int(self.low.shape[2])


def build(samples: list[Array], random: np.random.Generator) -> Forest:
    """One tree for each sample. Equal points share a leaf."""
    nodes = max(2 * len(sample) - 1 for sample in samples)
    width = samples[0].shape[1]
    shape = (len(samples), nodes)
    forest = Forest(
        np.full(shape, -1, np.int32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
        np.zeros(shape, np.int32),
        np.zeros((*shape, width), np.float32),
        np.zeros((*shape, width), np.float32),
    )
    for tree, sample in enumerate(samples):
        _grow(forest, tree, np.ascontiguousarray(sample, np.float32), random)
    return forest


def _grow(forest: Forest, tree: int, points: Array, random: np.random.Generator) -> None:
    waiting, used = [(0, points)], 1
    while waiting:
        node, inside = waiting.pop()
        low, high = inside.min(axis=0), inside.max(axis=0)
        forest.low[tree, node], forest.high[tree, node] = low, high
        forest.mass[tree, node] = len(inside)
        ranges = high.astype(np.float64) - low
        total = ranges.sum()
        if not total > 0:
            continue  # one point, however often
        place = random.random() * total
        axis = min(int(np.searchsorted(np.cumsum(ranges), place, side="right")), len(ranges) - 1)
        while ranges[axis] <= 0:
            axis -= 1
        cut = np.float32(low[axis] + random.random() * ranges[axis])
        if not low[axis] <= cut < high[axis]:
            cut = low[axis]
        below = inside[:, axis] <= cut
        forest.axis[tree, node], forest.cut[tree, node], forest.left[tree, node] = axis, cut, used
        waiting += [(used, inside[below]), (used + 1, inside[~below])]
        used += 2


def score(forest: Forest, points: Array) -> Array:
    """The anomaly score of each point: about 1 for one like the others, the more the stranger.

    As AWS's: a point that a cut would separate at depth d from m others is worth 1/(d+1); one that ends in a leaf with
    points equal to it is worth less. All of it times log2(points of the tree + 1), averaged over the trees.
    """
    points = np.ascontiguousarray(points, np.float32)
    trees = len(forest.axis)
    found = [_walk(forest, part) for part in _parts(points, max(1, _PAIRS // trees))]
    return np.concatenate(found) if found else np.empty(0)


def _parts(points: Array, size: int) -> Iterator[Array]:
    for start in range(0, len(points), size):
        yield points[start : start + size]


def _walk(forest: Forest, points: Array) -> Array:
    trees, count = len(forest.axis), len(points)
    tree = np.repeat(np.arange(trees), count)  # one entry for each pair of tree and point still on its way down
    point = np.tile(np.arange(count), trees)
    node = np.zeros(trees * count, np.int64)
    left = np.ones(trees * count)  # the probability that no cut has separated the point so far
    total = np.zeros(count)
    depth = 0
    while len(node):
        here = points[point]
        low, high = forest.low[tree, node], forest.high[tree, node]
        beyond = (np.maximum(low - here, 0) + np.maximum(here - high, 0)).sum(axis=1, dtype=np.float64)
        around = beyond + (high - low).sum(axis=1, dtype=np.float64)
        apart = np.divide(beyond, around, out=np.zeros_like(around), where=around > 0)
        scale = np.log2(forest.mass[tree, 0] + 1.0)
        leaf = forest.axis[tree, node] < 0
        value = left * apart / (depth + 1)
        mass = forest.mass[tree, node]
        seen = (1 - mass / (2 * forest.mass[tree, 0])) / (depth + np.log2(mass + 1.0))
        value += np.where(leaf, left * (1 - apart) * seen, 0)
        np.add.at(total, point, value * scale)
        on = ~leaf
        tree, point, node, left = tree[on], point[on], node[on], (left * (1 - apart))[on]
        right = points[point, forest.axis[tree, node]] > forest.cut[tree, node]
        node = forest.left[tree, node] + right
        depth += 1
    return total / trees
