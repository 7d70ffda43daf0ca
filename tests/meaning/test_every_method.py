"""No method without a test of meaning."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from regtune.regularizers import REGULARIZERS
from tests.conftest import METHODS

FILES = sorted(file for file in Path(__file__).parent.glob("test_*.py") if file != Path(__file__))


def named_in_tests(file: Path) -> set[str]:
    """Return the names and words that the test functions of a file use, their parameters included."""
    tests = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    nodes = [node for test in tests for node in ast.walk(test)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("name", METHODS)
def test_every_regularizer_has_a_test_of_meaning(name: str) -> None:
    spoken = set().union(*map(named_in_tests, FILES))
    assert {name, REGULARIZERS.all()[name].__name__} & spoken, f"write a test of meaning for {name} in tests/meaning"
