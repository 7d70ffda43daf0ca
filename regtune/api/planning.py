"""What fits into some minutes: epochs, search trials and confirm seeds, by the time of an epoch of each arm."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from regtune.core.own_code import own_errors
from regtune.core.records import Epoch, Json, Trial
from regtune.data import Splits
from regtune.execution.try_out import read_trial
from regtune.sweep.arms import Arm
from regtune.sweep.sweep import Sweep
from regtune.training.process import prepare_process
from regtune.training.trainer import train

RATE, SLOW = "optimizer.learning_rate", 1e-3
TIMED = 0.1  # share of the time that may go into measuring
GAIN = 1.1  # by which more threads have to be faster
LOGGED = 0.05  # seconds of a training in which it is written down
SPARE = 0.25  # share that is left for what was not measured: evaluation, tables, a machine that others use too
LENGTHS = (30, 20, 15, 10, 7, 5)  # epochs of a training; as long as these trainings are affordable:
TRAININGS = 10  # of an arm
FEWEST = 3  # search trials, and seeds of confirm: fewer have no interval
MOST_SEARCHED, MOST_CONFIRMED = 16, 20  # as the sweeps that ship have them
WITH_SELECT = 80  # trainings of an arm from which on select and verdicts over searches are affordable
COPIED = 8  # seeds of confirm from which on the hidden copy of the baseline is worth as much as an arm


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The budget of a sweep, and the seconds that it takes."""

    epochs: int
    trials: int
    seeds: int
    select: bool
    seconds: float

    def tables(self) -> Json:
        """Return the tables of a sweep file that say so."""
        copied = {} if self.seeds >= COPIED else {"aa": False}
        return {
            "search": {"trials": self.trials},
            "select": {} if self.select else {"seeds": 0},
            "confirm": {"seeds": self.seeds, "weights": "best", **copied},
        }


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds of an epoch, summed over all arms, and of what a training of one arm takes beside its epochs."""

    epoch: float
    beside: float
    arms: int


def fastest(arms: Mapping[int, Arm], splits: Splits, seconds: float) -> int:
    """Return with how many threads an arm trains fastest, given it with each number; the fewer where it gains little.

    The number is part of a trial, so it is chosen once for all of them.
    """
    if len(arms) == 1:
        return next(iter(arms))
    taken = {}
    for threads, arm in arms.items():
        prepare_process(threads)
        taken[threads] = min(_epochs(_slow(arm, 0), splits, TIMED * seconds / 4))
    return min(taken, key=lambda threads: taken[threads] * (1 if threads == min(taken) else GAIN))


def measure(sweep: Sweep, splits: Splits, seconds: float) -> Times:
    """Time epochs of the arms of a sweep whose trials have a few, with at most a share of so many seconds."""
    began, taken, beside = time.monotonic(), list[float](), list[float]()
    prepare_process(sweep.arms[0].template.threads)
    for arm in sweep.arms:
        if taken and time.monotonic() - began > TIMED * seconds:
            taken.append(max(taken))
            continue
        with own_errors(f"arms.{arm.name}"):
            found = [*_epochs(_slow(arm, sweep.seed), splits, TIMED * seconds / 2)]
        taken.append(min(found[1:-1] or found[:1]))
        beside.append(sum(found) - len(found) * taken[-1])
    # The first training of a process takes longer than others to begin.
    return Times(epoch=sum(taken), beside=max(beside[1:] or beside) + LOGGED, arms=len(taken))


def plan(times: Times, seconds: float, epochs: int | None) -> Plan:
    """Return what fits into so many seconds, at least `FEWEST` trainings of each kind, also where these do not fit.

    `epochs` are those of a training where the user says so.
    """
    room = (1 - SPARE) * seconds
    length = epochs
    if length is None:
        length = next((n for n in LENGTHS if _trainings(times, n, room) >= TRAININGS), LENGTHS[-1])
    affordable, each = _trainings(times, length, room), _seconds(times, length)
    select = affordable >= WITH_SELECT
    if select:
        trials, seeds = MOST_SEARCHED, MOST_CONFIRMED
        most = WITH_SELECT
    else:
        seeds = min(max(round(0.45 * affordable), FEWEST), MOST_CONFIRMED)
        copies = seeds / times.arms if seeds >= COPIED else 0  # of the hidden copy, which is an arm more
        trials = min(max(int(affordable - seeds - copies), FEWEST), MOST_SEARCHED)
        most = trials + seeds + round(copies)
    return Plan(
        epochs=length,
        trials=trials,
        seeds=seeds,
        select=select,
        seconds=most * each,
    )


def search_seconds(sweep: Sweep, seconds: float) -> float:
    """Return how long search may take, so that the other phases of a sweep have their part of so many seconds."""
    planned = {phase: sum(sweep.most_trials(phase, arm) for arm in sweep.arms) for phase in sweep.phases}
    return seconds * (SPARE + (1 - SPARE) * planned["search"] / sum(planned.values()))


def _seconds(times: Times, epochs: int) -> float:
    """Return the seconds of a training of every arm."""
    return times.epoch * epochs + times.beside * times.arms


def _trainings(times: Times, epochs: int, seconds: float) -> float:
    return seconds / _seconds(times, epochs)


def _slow(arm: Arm, seed: int) -> Trial:
    """Return a trial of an arm with a learning rate at which nothing diverges: one that does ends early."""
    trial = read_trial(arm, [], seed=seed)
    return replace(trial, optimizer=trial.optimizer | {"learning_rate": SLOW}) if RATE in arm.space else trial


def _epochs(trial: Trial, splits: Splits, seconds: float) -> Iterator[float]:
    """Yield the seconds of each epoch until they are over."""
    began = before = time.monotonic()
    epochs: Iterator[Epoch] = train(trial, data=splits)
    for _ in epochs:
        now = time.monotonic()
        yield now - before
        before = now
        if now - began > seconds:
            return
