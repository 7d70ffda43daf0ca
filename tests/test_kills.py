"""Drivers that are killed again and again over one sweep; `benchmarks/kills.py` at its full length is a benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "kills.py"
SMALL = ["--kills", "10", "--search", "3", "--confirm", "2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [pytest.param([], id="all to the end"), pytest.param(["--pruned"], id="pruned")],
)
def test_a_sweep_of_many_killed_drivers_ends_as_the_undisturbed_one(how: list[str]) -> None:
    words = [sys.executable, str(SCRIPT), *SMALL, *how]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT" not in done.stdout
    assert all(f"'{kind}'" in done.stdout for kind in ("in a row", "in a file", "outside", "in search", "in confirm"))
