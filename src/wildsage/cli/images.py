"""``wildsage images``: what images there are on this machine and what runs them; environments built or taken away."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from wildsage.cli.explain import explain, registered
from wildsage.cli.push import push
from wildsage.core.errors import JobFault, SettingsError
from wildsage.core.settings import DataDir, data_dir, environments_folder
from wildsage.images import recipes
from wildsage.images.environments import Environments
from wildsage.images.requirements import FOLDER as REQUIREMENTS
from wildsage.images.survey import Entry, held, look, remove, survey
from wildsage.images.uris import Framework

_TITLES = ("NAME", "EVERY VERSION RUNS", "STATE", "SIZE", "WHERE")


def main(options: argparse.Namespace) -> int:
    folder = environments_folder(os.environ, data_dir(os.environ, options.data))
    environments = Environments(folder, os.environ)
    if options.action == "explain" and options.name is not None:
        runs, words = asyncio.run(explain(options.name, data_dir(os.environ, options.data), environments, os.environ))
        print(words)
        return 0 if runs else 1
    if options.action == "push" and options.name is not None:
        pushed, words = asyncio.run(push(options.name, data_dir(os.environ, options.data), os.environ))
        print(words)
        return 0 if pushed else 1
    if (options.action == "list") != (options.name is None):
        raise SettingsError(
            "usage: wildsage images, or: wildsage images explain URI, or: wildsage images push URI, or: "
            f"wildsage images build NAME; names: {', '.join(Framework)}"
        )
    if options.action == "build":
        return asyncio.run(_build(environments, options.name))
    if options.action == "remove":
        shared = options.name == REQUIREMENTS
        freed = remove(folder / REQUIREMENTS if shared else environments.place(recipes.named(options.name)))
        print(f"Removed; {_size(freed)} are free again." if freed else f"Nothing was built for {options.name}.")
        return 0
    return asyncio.run(_list(environments, data_dir(os.environ, options.data), options.json))


async def _list(environments: Environments, data: DataDir, as_json: bool) -> int:
    entries = await survey(environments)
    others = [*await held(os.environ), *await registered(data)]
    if as_json:
        print(json.dumps([asdict(entry) for entry in (*entries, *others)], indent=2))
    else:
        print("\n".join([*_table(entries), *_images(others)]))
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
    notes = [f"  {entry.name}: {', '.join(entry.repositories)}" for entry in entries if entry.repositories]
    return [
        *lines,
        "\nImages, in any region and version:",
        *notes,
        "\nThe log of each job says which version was asked for and which runs.",
    ]


def _images(entries: Sequence[Entry]) -> list[str]:
    """Of the engine and of the registry."""
    if not entries:
        return ["\nImages of your own: none in a container engine or in the registry of a running server."]
    width = max(len(entry.name) for entry in entries)
    lines = [f"  {each.name:<{width}}  {each.state}  {_size(each.bytes):>8}  {each.where}" for each in entries]
    return ["\nImages of your own, which the container engine runs:", *lines]


def _row(entry: Entry) -> tuple[str, ...]:
    runs = f"{entry.runs}, Python {entry.python}" if entry.python else entry.runs or entry.trouble
    return entry.name, runs, entry.state, _size(entry.bytes) if entry.bytes else "", entry.where


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
