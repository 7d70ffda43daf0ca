"""Trackers of a plugin: one that writes down what it is told, and one that fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import pandas as pd

from regtune.trackers import Run, Tracker


class Recorded(Tracker):
    """Lines of JSON in `recorded.jsonl` of the results folder."""

    def __init__(self, sweep: str, folder: Path) -> None:
        self.path = folder / "recorded.jsonl"

    def lines(self) -> list[list[Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def _write(self, *words: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(words) + "\n")

    def ended(self) -> Set[str]:
        newest = {line[1]: line[2] for line in self.lines() if line[0] in ("begin", "end")}
        statuses = {"ok", "pruned", "failed", "diverged", "lost"}
        return {uid for uid, said in newest.items() if said in statuses}

    def begin(self, run: Run) -> None:
        self._write("begin", run.uid, str(run.key), dict(run.knobs))

    def epoch(self, run: Run, number: int, values: Mapping[str, float]) -> None:
        self._write("epoch", run.uid, number, dict(values))

    def end(self, run: Run, status: str, values: Mapping[str, float]) -> None:
        self._write("end", run.uid, status, dict(values))

    def table(self, text: str, frame: pd.DataFrame) -> None:
        self._write("table", "", text, len(frame))


class Broken(Recorded):
    """Its server goes away after the third epoch."""

    def epoch(self, run: Run, number: int, values: Mapping[str, float]) -> None:
        if sum(line[0] == "epoch" for line in self.lines()) == 3:
            raise ConnectionError("the server\nis away")
        super().epoch(run, number, values)
