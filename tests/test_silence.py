"""The display says who has been silent for long, and how loaded the machine is where nobody reports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from regtune.cli.progress import Progress
from regtune.cli.silence import Silence
from regtune.core.records import TrialKey
from regtune.sweep.sweep import Sweep

SILENT = "no trial has reported for 0:30"
A, B, C = (TrialKey(arm, "search", number) for arm, number in (("baseline", 0), ("dropout", 0), ("mixup", 0)))


@dataclass
class Watched:
    """A silence whose clock and load are set by hand."""

    now: float = 0.0
    busy: float | None = 0.5

    def __post_init__(self) -> None:
        self.silence = Silence(clock=lambda: self.now, load=lambda: self.busy)

    def see(self, cell: TrialKey, event: str, seconds: float = 1.0, **row: float) -> None:
        self.silence.watch(cell, event, {"epoch": {"seconds": seconds}, "where": {}, **row})

    def named(self) -> list[str]:
        """Return what is said of single trials."""
        return [line for line in self.silence.words() if "no epoch" in line]


def test_a_trial_is_named_after_ten_of_its_arm_s_usual_epochs_and_five_minutes() -> None:
    watched = Watched()
    for key, seconds in ((A, 1.0), (B, 60.0)):
        watched.see(key, "started")
        for _ in range(3):
            watched.see(key, "epoch", seconds)
    watched.see(B, "epoch", 9999.0)  # one slow epoch makes no arm slow
    watched.now = 299.0
    assert watched.named() == []
    watched.now = 300.0
    assert watched.named() == ["baseline/search/0: no epoch for 5:00"]
    watched.now = 600.0
    assert watched.named() == ["baseline/search/0: no epoch for 10:00", "dropout/search/0: no epoch for 10:00"]
    watched.see(A, "epoch")
    watched.see(B, "ended")
    assert watched.named() == []


def test_a_trial_that_waits_for_a_worker_is_not_named_and_one_that_hangs_in_its_first_epoch_is() -> None:
    watched = Watched()
    for cell in (A, B, C):
        watched.see(cell, "asked")
    watched.see(B, "started")
    for minute in range(10):
        watched.now = 60.0 * minute
        watched.see(B, "epoch", 20.0)
    assert watched.named() == ["baseline/search/0: no epoch for 9:00"], "C has no worker yet: B came after A, not C"
    watched.see(A, "fault")  # it goes on elsewhere, behind the others
    assert watched.named() == []
    watched.see(C, "started")
    watched.now += 300.0
    assert watched.named() == ["dropout/search/0: no epoch for 5:00", "mixup/search/0: no epoch for 5:00"]


def test_what_is_replayed_tells_the_usual_epoch_and_is_no_sign_of_life() -> None:
    watched = Watched()
    watched.see(A, "epoch", 100.0, time=1.0)
    watched.see(A, "started")
    watched.now = 999.0
    assert watched.named() == []
    watched.now = 1000.0
    assert watched.named() == ["baseline/search/0: no epoch for 16:40"]


@pytest.mark.parametrize(
    ("busy", "said"),
    [
        (0.5, f"{SILENT}; the load of this machine is 0.5 on {{}} CPUs"),
        (9e9, f"{SILENT}; workers wait for a processor: the load of this machine is {9e9:.1f} on {{}} CPUs"),
        (None, SILENT),
    ],
)  # fmt: skip
def test_where_nobody_reports_the_load_is_told(busy: float | None, said: str) -> None:
    watched = Watched(busy=busy)
    watched.now = 29.0
    assert watched.silence.words() == []
    watched.now = 30.0
    assert watched.silence.words() == [said.format(os.cpu_count())]
    watched.see(A, "started")
    assert watched.silence.words() == []
    watched.see(A, "epoch", 40.0)
    watched.now = 109.0
    assert watched.silence.words() == [], "epochs of this sweep take that long"
    watched.now = 110.0
    assert len(watched.silence.words()) == 1


def test_many_silent_trials_are_counted() -> None:
    watched = Watched()
    for number in range(9):
        watched.see(TrialKey("baseline", "search", number), "started")
    watched.now = 400.0
    assert [line.partition(":")[0] for line in watched.silence.words()] == [
        "no trial has reported for 6",
        *(f"baseline/search/{number}" for number in range(3)),
        "6 more trials without an epoch",
    ]


def test_the_display_has_it_in_its_line(sweep_file: Path) -> None:
    watched = Watched()
    progress = Progress(Sweep.read(sweep_file), watched.silence)
    line = progress.line()
    watched.now = 45.0
    assert progress.line().startswith(f"{line}; no trial has reported for 0:45")
