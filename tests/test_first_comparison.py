"""The notebook of docs/: its cells run one after the other, and what they show can be shown."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pages import PAGES, ROOT

NOTEBOOK = ROOT / "docs" / "first_comparison.ipynb"
# Runs the cells as a kernel does, in a module of its own, and prints how the last expression of each is shown.
KERNEL = """
import ast, json, linecache, sys
main = sys.modules["__main__"].__dict__
for number, cell in enumerate(json.load(open(sys.argv[1], encoding="utf-8"))):
    name = f"<cell {number}>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
    tree = ast.parse(cell, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), main)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), name, "eval"), main)
        shown = getattr(value, "_repr_html_", None) or getattr(value, "_repr_mimebundle_", None)
        print(json.dumps([number, type(value).__name__, str(shown() if shown else repr(value))]))
"""


def cells(kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


@pytest.mark.slow
def test_its_cells_run_and_show_what_they_say(tmp_path: Path) -> None:
    codes = ["".join(cell["source"]) for cell in cells("code")]
    assert all(ast.parse(code) for code in codes)
    (tmp_path / "cells.json").write_text(json.dumps(codes), encoding="utf-8")
    words = [sys.executable, "-c", KERNEL, "cells.json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    shown = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [kind for _, kind, _ in shown] == ["tuple", "Results", "DataFrame", "Table", "FacetChart", "list"]
    assert "Better than baseline" in shown[1][2]
    assert {"log.jsonl", "sweep.toml", "data.npz"} <= set(ast.literal_eval(shown[5][2]))
    assert "to_toml: the network was given as an object that no file can name" in done.stdout


def test_it_is_small_and_holds_no_outputs() -> None:
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
    for cell in cells("code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None
    assert all(line.endswith("\n") for cell in found["cells"] for line in cell["source"][:-1])
    assert NOTEBOOK.stat().st_size < 10_000


def test_the_pages_lead_to_it() -> None:
    assert re.search(r"\]\(first_comparison\.ipynb\)", PAGES["docs/python.md"])
