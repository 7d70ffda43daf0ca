"""Frames from a log: what a table, a figure or a notebook starts from. Needs no torch and no ray."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from regtune.core.bitset import unpack_bits
from regtune.core.collection import gc_paused
from regtune.core.copies import is_copy, keys_with_copy, with_copy
from regtune.core.errors import Refused
from regtune.core.header import SweepRecord
from regtune.core.records import Json, PhaseName, TrialKey
from regtune.core.selection import Choices, Scored, choose, merge_scored, outdated, scored_of
from regtune.pruners import pruning_of
from regtune.results.replay import GAP, MEASURED_METRICS, Replay, empty_row, empty_rows
from regtune.results.searches import Searches
from regtune.storage import lease
from regtune.storage.layout import log_in
from regtune.storage.log import LogFile
from regtune.storage.shape import refused_if_misshapen


@dataclass(frozen=True, kw_only=True)
class Results:
    """A log as frames.

    `trials` has one row per planned trial key: arm, phase, number, status (ok, pruned, diverged, failed, lost,
    running, interrupted, missing, or unneeded: a race was decided before, or off is as good), id, seed, params (knob
    values by path), epochs and seconds spent, kept, message, faults of machines on the way, `reused_from`, the folder
    and trial key of another log that it was reused from, `spared`, the epoch after which a trial of the control share
    would have been stopped, the metrics of `records.Outcome`, and `gap`, train minus test accuracy at the kept epoch.
    `epochs` has one row per epoch: arm, phase, number and the fields of
    `records.Epoch`, whose own number is called `epoch`; `superseded` has those of trials that no longer count: their
    arm has another choice, or the file asks for less. `header` is the newest,
    `sweep` the sweep that it records. `scored` has what the choice of an arm
    is made from and `choices` the choice, `chosen` the knobs that confirm takes, without those of arms that are
    `off`. `notes` are sentences on how the sweep went. `limit` says which limit ended search in the newest run, if any.
    `searches` are those that verdicts are over, None where they are about the configuration found. `copied` has the
    baseline and its hidden copy, see `copies`, as a sweep of two arms, with the epochs of the copy. `end` is the place
    up to which the log was read, with the checksum up to there.
    """

    path: Path
    header: Json
    sweep: SweepRecord
    trials: pd.DataFrame
    epochs: pd.DataFrame
    superseded: pd.DataFrame
    plain_trials: dict[TrialKey, Json]
    chosen: dict[str, Json]
    scored: Scored
    choices: Choices
    notes: list[str]
    searches: Searches | None
    limit: str = ""
    copied: Results | None = None
    end: tuple[int, int] = (0, 0)

    @property
    def off(self) -> frozenset[str]:
        """The arms that are as good off: the baseline's trials stand for them."""
        return self.choices.off

    @cached_property
    def rivals_open(self) -> bool:
        """Whether verdicts over searches wait for trials: those of select, or of rivals of a choice."""
        keys = self.trials[self.trials["phase"] == "rivals"][["arm", "phase", "number", "status"]]
        rows = [{str(name): value for name, value in row.items()} for row in keys.to_dict("records")]
        return self.searches is not None and self.searches.open_in(rows)

    @cached_property
    def search_variances(self) -> Callable[[str, bool], dict[str, float] | None]:
        """`families.search_variances` by column and whether corrected; of each it is made once: it draws searches."""
        return functools.cache(self._search_variances)

    def _search_variances(self, metric: str, corrected: bool) -> dict[str, float] | None:
        if self.searches is None:
            return None
        columns = self.trials[["arm", "phase", "number", "status", metric]]
        mine = columns[columns["phase"].isin(["confirm", "rivals"])]
        rows = [{str(name): value for name, value in row.items()} for row in mine.to_dict("records")]
        return self.searches.beyond(rows, metric, list(self.sweep.arms), corrected=corrected)

    @property
    def rivals(self) -> dict[str, list[int]]:
        """The search trials of each arm that are confirmed beside its choice; none where `searches` is None."""
        return self.searches.rivals if self.searches else {}

    @property
    def draws(self) -> list[Choices]:
        """What resampled searches choose, see `resampling`; none where `searches` is None."""
        return self.searches.draws if self.searches else []

    @cached_property
    def confirmed_by_arm(self) -> dict[str, pd.DataFrame]:
        """`confirmed`, apart by arm: tables ask for one arm and metric after the other."""
        return {str(arm): rows for arm, rows in self.confirmed.groupby("arm", sort=False, observed=True)}

    @cached_property
    def confirmed(self) -> pd.DataFrame:
        """The rows of `trials` of confirm that ended well; those of an arm that is off are the baseline's."""
        mine = self.trials[(self.trials["phase"] == "confirm") & (self.trials["status"] == "ok")]
        first = mine[mine["arm"] == self.sweep.baseline]
        off = [first.assign(arm=arm) for arm in self.sweep.arms if arm in self.off]
        return pd.concat([mine, *off], ignore_index=True) if off else mine

    @cached_property
    def right_answers(self) -> dict[str, pd.DataFrame]:
        """Which test examples an arm's confirmed trials were right about: by arm [examples] of booleans a seed.

        The columns are the numbers of the trials; logs of versions that did not write it down have none.
        """
        trials = self.trials[(self.trials["phase"] == "confirm") & (self.trials["test_right"] != "")]
        rows = trials[["arm", "number", "test_right"]]
        return {
            arm: pd.DataFrame({row["number"]: unpack_bits(row["test_right"]) for row in mine.to_dict("records")})
            for arm in self.sweep.arms
            for mine in [rows[rows["arm"] == arm]]
        }

    @property
    def repeat(self) -> int:
        """Which repeat of its sweep this is, from 1."""
        return self.sweep.repeat

    @property
    def counted_data(self) -> Json:
        """The data set and its settings, with the numbers of examples where the log says how many "all" are."""
        data: Json = self.sweep.template["data"]
        counted: Json = self.header.get("examples", {})
        return data | counted

    def of_phase(self, phase: PhaseName) -> pd.DataFrame:
        """Return the rows of `trials` of a phase."""
        return self.trials[self.trials["phase"] == phase]


def load(path: str | Path) -> Results:
    """Load the results of a sweep from its folder or its log; raises Refused where there is none."""
    log = Path(path)
    log = log_in(log) if log.is_dir() else log
    replay = Replay()
    place: int | None = None
    try:
        reading = LogFile(log).reading()
        with gc_paused(), refused_if_misshapen(log, lambda: place):
            for place, row in reading.as_written():  # noqa: B007 - the refusal says it
                replay.take(row)
    except OSError as error:
        raise Refused(f"{log}: expected a results folder with a log.jsonl, given {error.strerror or error}") from error
    if reading.torn:
        warnings.warn(f"{log}: the last line was cut off by a crash and is ignored", stacklevel=2)
    headers = [row for row in replay.rows if row["event"] == "header"]
    if not headers:
        raise Refused(f"{log}: expected a header, given a log without one; run the sweep again")
    header = headers[-1]
    sweep = SweepRecord.of(header["sweep"])
    every = empty_rows(sweep) | replay.of(sweep)
    if lease.ends(replay.rows, replay.newest) <= time.time():
        for entry in every.values():
            entry["status"] = "interrupted" if entry["status"] == "running" else entry["status"]
    keys = {key: row for key, row in every.items() if not is_copy(key.arm)}
    results = replace(
        _results(log.parent, header, sweep, replay, keys), end=(reading.size - reading.torn, reading.seal)
    )
    if sweep.copy is None:
        return results
    both = with_copy(sweep, sweep.copy)
    keys = keys_with_copy(both, empty_rows(both), every)
    return replace(results, copied=_results(log.parent, header, both, replay, keys, arms=results.scored))


def _results(
    path: Path,
    header: Json,
    sweep: SweepRecord,
    replay: Replay,
    keys: dict[TrialKey, Json],
    arms: Scored | None = None,
) -> Results:
    """Return the results of a sweep; with the scores of all `arms`, those of the baseline's hidden copy."""
    scored = scored_of(keys, sweep, pruning_of(sweep).finishes)
    choices = choose(scored)
    chosen = {
        arm: keys[TrialKey(arm, "search", number)]["params"]
        for arm, number in choices.numbers.items()
        if arm not in choices.off
    }
    for key in outdated(keys, chosen, choices.off):
        keys[key] = empty_row(key)
        replay.plain_trials.pop(key, None)
        replay.runs.pop(key, None)
    searches = Searches.of(sweep, merge_scored(arms, scored) if arms is not None else scored, choices)
    rows = list(keys.values())
    if sweep.confirm.racing and not (searches and searches.open_in(rows)):
        from regtune.results.race import unneeded  # scipy costs time, and few sweeps race

        column, names = sweep.confirm.metric.test, [*sweep.arms]
        beyond = searches.beyond(rows, column, names, corrected=False) if searches else None
        for key in unneeded(keys, sweep, chosen, beyond):
            keys[key]["status"] = "unneeded"
    for key, entry in keys.items():
        if key.phase == "confirm" and key.arm in choices.off:
            entry["status"] = "unneeded"
    runs, superseded = replay.runs_of(copies=arms is not None)
    return Results(
        path=path,
        header=header,
        sweep=sweep,
        plain_trials=replay.plain_trials,
        epochs=replay.epochs.frame(runs),
        superseded=replay.epochs.frame(superseded),
        trials=_with_gap(pd.DataFrame(list(keys.values()))),
        chosen=chosen,
        scored=scored,
        searches=searches,
        choices=choices,
        notes=notes_of(replay.rows, keys),
        limit=limit_of(replay.rows),
    )


def has_begun(folder: Path) -> bool:
    """Return whether the log of a folder has a header: a run that ended before its first trial may leave none."""
    return any(row["event"] == "header" for row in LogFile(log_in(folder)).reading())


def _with_gap(trials: pd.DataFrame) -> pd.DataFrame:
    numbers = trials.astype(dict.fromkeys((*MEASURED_METRICS, "spared"), float))
    return numbers.assign(**{GAP: numbers["train_accuracy"] - numbers["test_accuracy"]})


def limit_of(rows: list[Json]) -> str:
    """Return which limit ended search in the newest run: that run has a header, and the limit behind it."""
    newest = next((row for row in reversed(rows) if row["event"] in ("limit", "header")), None)
    return newest["message"] if newest is not None and newest["event"] == "limit" else ""


def notes_of(rows: list[Json], keys: dict[TrialKey, Json]) -> list[str]:
    """Return what a reader of a table must know of how the sweep went, a sentence each."""
    notes = []
    limits = [row["message"] for row in rows if row["event"] == "limit"]
    if limits and any(e["status"] in ("missing", "interrupted") for c, e in keys.items() if c.phase == "search"):
        notes.append(f"Search ended early, since {limits[-1]}. Arms may have had unequal budgets.")
    if lost := sum(entry["status"] == "lost" for entry in keys.values()):
        notes.append(f"Trials lost to machine faults, counted as failed: {lost}.")
    again = {tuple(key) for row in rows if row["event"] == "retry" for key in row["cells"]}
    if again:
        trials = "1 trial was" if len(again) == 1 else f"{len(again)} trials were"
        mended = sorted({name for row in rows if row["event"] == "retry" for name in row["mended"]})
        why = f", since these changed: {', '.join(mended)}" if mended else ""
        notes.append(f"On request, {trials} trained again{why}. The results are of the new training.")
    if differing := len({tuple(row["cell"]) for row in rows if row["event"] == "differs"}):
        trials = "1 trial" if differing == 1 else f"{differing} trials"
        notes.append(
            f"After an interruption, {trials} resumed with numbers that were not identical to before, as on another "
            f"processor. The results are of the resumed training."
        )
    return notes
