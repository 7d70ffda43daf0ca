"""Validation accuracies of 1,000 real trainings, 27 epochs each, as `benchmarks/record_curves.py` wrote them."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path


@cache
def recorded() -> list[list[float]]:
    """Return the curves; ties are as common as 397 validation examples make them."""
    raw = json.loads(gzip.decompress(Path(__file__).with_name("curves.json.gz").read_bytes()))
    return [[count / raw["validation"] for count in curve] for curve in raw["curves"]]
