"""The architecture, checked: who imports whom, and how long things are (the floors: docs/design/README.md)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
PACKAGE = SOURCE / "wildsage"

FLOORS = {
    "core": 0,
    "wire": 1,
    "store": 1,
    "objects": 1,
    "access": 1,
    "runtimes": 1,
    "images": 2,
    "kit": 2,
    "services": 3,
    "gateway": 4,
    "dataplane": 4,
    "console": 4,
    "compose": 5,
    "cli": 5,
}
# Packages that are held to less than their floor allows.
ONLY_FLOORS = {"dataplane": {0, 1}}
# Third-party packages → the only packages that may import them.
GATEKEEPERS = {
    "botocore": {"wire"},
    "sqlalchemy": {"store"},
    "docker": {"runtimes"},
    "ray": {"runtimes"},
    "cryptography": {"cli", "objects", "runtimes"},
}
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 50
# Exceptions, each with its reason. The list only gets shorter.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {
    "wildsage/toolkit/train.py:describe": "one document, SM_TRAINING_ENV, as AWS's toolkit lists it",
}
FORBIDDEN_NAMES = ("utils", "helpers", "managers", "misc", "common")
STANDARD_LIBRARY_ONLY = ("toolkit",)
# Put on another interpreter's path by themselves, so they import themselves relatively and nothing else of Wildsage.
RUN_BY_THEMSELVES = ("toolkit", "algorithms")


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """The package on a floor: ``store`` of ``wildsage.store.facts``; empty for the root package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and module of every import; relative ones are forbidden elsewhere (they hide where an arrow points)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    """Imports of this package, with ``from wildsage.services import x`` told as ``wildsage.services.x``."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.split(".")[0] == "wildsage")


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
        inner = f"{prefix}{node.name}." if isinstance(node, ast.ClassDef) else prefix
        yield from functions(node, inner)


def test_every_part_has_a_floor() -> None:
    found = {part_of(name_of(path)) for path in modules()} - {"", *RUN_BY_THEMSELVES}
    assert found <= set(FLOORS), f"parts without a floor: {found - set(FLOORS)}"


def test_imports_point_down() -> None:
    wrong = []
    for path in modules():
        here = part_of(name_of(path))
        if here not in FLOORS:
            continue
        for line, name in own_imports(path):
            there = part_of(name)
            if there in ("", here, "__version__"):
                continue
            allowed = FLOORS.get(there, 99) < FLOORS[here]
            if here in ONLY_FLOORS:
                allowed = FLOORS.get(there, 99) in ONLY_FLOORS[here]
            if not allowed:
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert not wrong, "imports that point up or sideways:\n" + "\n".join(wrong)


def test_services_do_not_import_each_other() -> None:
    wrong = []
    for path in modules():
        parts = name_of(path).split(".")
        if parts[1:2] != ["services"] or len(parts) < 3:
            continue
        for line, name in own_imports(path):
            other = name.split(".")
            if other[1:2] == ["services"] and len(other) > 2 and other[2] != parts[2]:
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_third_parties_have_gatekeepers() -> None:
    wrong = []
    for path in modules():
        here = part_of(name_of(path))
        for line, name in imports(parsed(path)):
            keepers = GATEKEEPERS.get(name.split(".")[0])
            if keepers is not None and here not in keepers:
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", STANDARD_LIBRARY_ONLY)
def test_what_runs_under_the_users_interpreter_needs_nothing(part: str) -> None:
    wrong = []
    # NumPy and the frameworks are the user's own; they are imported where the user's model needs them.
    theirs = {"numpy", "scipy", "joblib", "sklearn", "xgboost", "torch", "pandas"}
    inner = {path.stem for path in (PACKAGE / part).rglob("*.py")} | {
        path.name for path in (PACKAGE / part).rglob("*") if path.is_dir()
    }
    for path in modules():
        if part_of(name_of(path)) != part:
            continue
        for line, name in imports(parsed(path)):
            first = name.lstrip(".").split(".")[0]
            if first in sys.stdlib_module_names or first in theirs or first in inner or not first:
                continue
            if name.startswith(f"wildsage.{part}"):
                continue
            wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_imports_stand_at_the_top() -> None:
    wrong = []
    for path in modules():
        if part_of(name_of(path)) in STANDARD_LIBRARY_ONLY:
            continue  # there the user's packages are imported when the user's model is loaded
        for name, function in functions(parsed(path)):
            wrong += [f"{path.relative_to(SOURCE)}:{line} in {name}" for line, _ in imports(function)]
    assert not wrong, "imports inside functions:\n" + "\n".join(wrong)


def test_imports_are_absolute() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in modules()
        if part_of(name_of(path)) not in RUN_BY_THEMSELVES
        for line, name in imports(parsed(path))
        if name.startswith(".")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", RUN_BY_THEMSELVES)
def test_what_runs_by_itself_imports_nothing_else_of_the_package(part: str) -> None:
    wrong = [
        f"{path.relative_to(SOURCE)}:{line} imports {name}"
        for path in modules()
        if part_of(name_of(path)) == part
        for line, name in own_imports(path)
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_short() -> None:
    root = SOURCE.parent
    every = [*modules(), *sorted((root / "tests").rglob("*.py"))]
    lengths = {str(path.relative_to(root)): len(path.read_text().splitlines()) for path in every}
    long = {name: length for name, length in lengths.items() if length > MOST_FILE_LINES and name not in LONG_FILES}
    assert not long, f"files over {MOST_FILE_LINES} lines: {long}"
    healed = [name for name in LONG_FILES if lengths.get(name, 0) <= MOST_FILE_LINES]
    assert not healed, f"no exceptions any more, take them off the list: {healed}"


def test_functions_are_short() -> None:
    lengths = {}
    for path in modules():
        for name, function in functions(parsed(path)):
            body = function.end_lineno or function.lineno
            lengths[f"{path.relative_to(SOURCE)}:{name}"] = body - function.lineno + 1
    long = {name: length for name, length in lengths.items() if length > MOST_FUNCTION_LINES}
    unexplained = {name: length for name, length in long.items() if name not in LONG_FUNCTIONS}
    assert not unexplained, f"functions over {MOST_FUNCTION_LINES} lines: {unexplained}"
    healed = [name for name in LONG_FUNCTIONS if name not in long]
    assert not healed, f"no exceptions any more, take them off the list: {healed}"


def test_names_say_what_is_inside() -> None:
    wrong = [
        str(path.relative_to(SOURCE))
        for path in PACKAGE.rglob("*")
        if path.suffix in ("", ".py")
        and any(path.stem == word or path.stem.endswith("_v2") for word in FORBIDDEN_NAMES)
    ]
    for path in modules():
        wrong += [
            f"{path.relative_to(SOURCE)}: class {node.name}"
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.ClassDef) and (node.name.startswith("Fake") or node.name.endswith("Manager"))
        ]
    assert not wrong, "\n".join(wrong)
