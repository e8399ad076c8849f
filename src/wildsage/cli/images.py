"""``wildsage images``: what AWS's images come to on this machine, built now or taken away."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Iterable
from dataclasses import asdict

from wildsage.core.errors import JobFault, SettingsError
from wildsage.core.settings import data_dir, environments_folder
from wildsage.images import recipes
from wildsage.images.environments import Environments
from wildsage.images.requirements import FOLDER as REQUIREMENTS
from wildsage.images.survey import Entry, look, remove, survey
from wildsage.images.uris import Framework

_TITLES = ("NAME", "EVERY VERSION RUNS", "STATE", "SIZE", "WHERE")


def main(options: argparse.Namespace) -> int:
    folder = environments_folder(os.environ, data_dir(os.environ, options.data))
    environments = Environments(folder, os.environ)
    if (options.action == "list") != (options.name is None):
        raise SettingsError(f"usage: wildsage images, or: wildsage images build NAME; names: {', '.join(Framework)}")
    if options.action == "build":
        return asyncio.run(_build(environments, options.name))
    if options.action == "remove":
        shared = options.name == REQUIREMENTS
        freed = remove(folder / REQUIREMENTS if shared else environments.place(recipes.named(options.name)))
        print(f"Removed; {_size(freed)} are free again." if freed else f"Nothing was built for {options.name}.")
        return 0
    entries = asyncio.run(survey(environments))
    if options.json:
        print(json.dumps([asdict(entry) for entry in entries], indent=2))
    else:
        print("\n".join(_table(entries)))
    return 0


async def _build(environments: Environments, name: str) -> int:
    async def report(line: str) -> None:
        print(line, flush=True)

    recipe = recipes.named(name)
    try:
        await environments.resolve(recipe, report)
        entry = await look(environments, recipe)
    except JobFault as fault:
        print(fault)
        return 1
    print(f"{entry.runs} on Python {entry.python} is {entry.state}: {entry.where}")
    return 0


def _table(entries: Iterable[Entry]) -> list[str]:
    rows = [_TITLES, *map(_row, entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"  {entry.name}: {', '.join(entry.repositories)}" for entry in entries]
    return [
        *lines,
        "\nImages, in any region and version:",
        *notes,
        "\nThe log of each job says which version was asked for and which runs.",
    ]


def _row(entry: Entry) -> tuple[str, ...]:
    runs = f"{entry.runs}, Python {entry.python}" if entry.python else entry.runs or entry.trouble
    return entry.name, runs, entry.state, _size(entry.bytes) if entry.bytes else "", entry.where


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
