"""What strings, pages and benchmarks import of regtune is there: a rename may leave no dead import in a string."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("tests/**/*.py", "benchmarks/**/*.py", "docs/*.py", "docs/*.md", "*.md")
IMPORT = re.compile(r"\bfrom (regtune(?:\.\w+)*) import (?:\(([\w\s,]+)\)|(\w+(?: as \w+)?(?:, ?\w+(?: as \w+)?)*))")
MODULE = re.compile(r"(?:^|[;\n])\s*import (regtune(?:\.\w+)+)")


def texts(path: Path) -> Iterator[str]:
    """Yield what a file says in strings, and all of a page; its own imports are run by whoever imports it."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "regtune":
            yield f"from {node.module} import {', '.join(alias.name for alias in node.names)}"


def named(text: str) -> Iterator[tuple[str, str]]:
    """Yield each module of regtune that a text imports, with the name that it takes from it, empty for none."""
    yield from ((module, "") for module in MODULE.findall(text))
    for module, inside, behind in IMPORT.findall(text):
        yield from ((module, part.split()[0]) for part in (inside or behind).split(",") if part.strip())


def is_there(module: str, name: str) -> bool:
    """Return whether a module is there and has a name, or a module of this name below it."""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    below = hasattr(found, "__path__") and importlib.util.find_spec(f"{module}.{name}") is not None
    return not name or hasattr(found, name) or below


FOUND = {
    what: path.relative_to(ROOT).as_posix()
    for pattern in PLACES
    for path in sorted(ROOT.glob(pattern))
    if path.name not in ("CHANGELOG.md", Path(__file__).name)
    for text in texts(path)
    for what in named(text)
}


def test_every_import_of_regtune_in_a_string_or_a_page_is_of_something_that_is_there() -> None:
    assert len(FOUND) > 100
    dead = [f"{where}: {module} {name}" for (module, name), where in FOUND.items() if not is_there(module, name)]
    assert dead == []


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("print(1); from regtune.data import Pool, Splits as S", [True, True]),
        ("from regtune.data import (\n    Pool,\n    gone,\n)", [True, False]),
        ("import json; import regtune.data\nimport regtune.gone", [True, False]),
        ("from regtune.statistics.gone import compare", [False]),
        ("from regtune.statistics import racing", [True]),
        ("from regtune.core.rng import Rng, gone", [True, False]),
    ],
)
def test_a_dead_import_is_found(text: str, there: list[bool]) -> None:
    assert [is_there(*what) for what in named(text)] == there
