"""The tables over the repeats of a sweep, each with its own search and confirm, and what the inference is over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from regtune.analysis.columns import metric_of
from regtune.analysis.families import measured_metrics, other_metrics
from regtune.analysis.repeats import counted_repeats
from regtune.core.header import ConfirmRecord
from regtune.core.search_space import KnobPath
from regtune.reports.tables._table import Table
from regtune.reports.tables.aa import aa_over
from regtune.reports.tables.cannot_be_said import cannot_be_said
from regtune.reports.tables.caption import (
    CORRECTED,
    CUT,
    OVERLAP,
    data_words,
    either,
    pruning_words,
    relevant_words,
    retrained,
    seeds_words,
)
from regtune.reports.tables.families import (
    OVER_REPEATS,
    families_caption,
    families_unsaid,
    family_cells,
    without_number,
)
from regtune.reports.tables.metrics import SHOWN
from regtune.reports.tables.rows import difference_cell, mean_cell
from regtune.reports.tables.spread import spread_table
from regtune.reports.text import further_words, interval_words, knob_name, mean_and_sd, number
from regtune.results.loader import Results
from regtune.statistics.power import POWER


def repeats_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `repeat_scores` as a reader wants them: few columns, percent, intervals in brackets."""
    rows, most, own = frame.to_dict("records"), frame["n"].max(), metric_of(frame)
    columns = {
        "arm": frame["arm"],
        "verdict": [row["verdict"] + further_words(row["further"]) for row in rows],
        **({"relevant": frame["relevant"]} if "relevant" in frame else {}),
        "difference": [difference_cell(row, most, "repeats", own) for row in rows],
        "p (Holm)": [number(row["p_holm"], ".2g") if row["verdict"] else "" for row in rows],
        own.head("test"): [mean_cell(row, own) for row in rows],
        "sd": [number(own.factor * value, own.form) for value in frame[f"{own.test}_sd"]],
        "repeats": frame["n"],
        "seeds in each": [_range(row["seeds_least"], row["seeds_most"]) for row in rows],
    }
    for metric in other_metrics(own):
        if not frame[metric.test].isna().all():
            head, factor, form = SHOWN[metric.test]
            both = zip(frame[metric.test] * factor, frame[f"{metric.test}_sd"] * factor, strict=True)
            columns[head] = [mean_and_sd(mean, sd, form) for mean, sd in both]
            columns[f"{metric.short} difference"] = family_cells(frame, metric, "repeats")
    return pd.DataFrame(columns | {"knobs chosen": [choices_as_text(text) for text in frame["knobs"]]})


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


OVER = {
    "one": "on this split of the data and this test set.",
    "fresh": f"the splits of confirm included, on this split of search and this test set. {OVERLAP}",
}


def repeats_tables(repeats: Sequence[Results], rows: pd.DataFrame, sentences: Sequence[str]) -> list[Table]:
    """Return the table over whole searches, and where their spread comes from.

    `rows` is the frame of `repeat_scores`, `sentences` are those of `repeats_sentences`.
    """
    whole = Table(
        title="Every arm over repeated searches",
        caption=repeats_caption(repeats),
        frame=repeats_as_text(rows),
        sentences=sentences,
    )
    parts = spread_table(repeats, rows)
    return [whole, *([parts] if parts else [])]


def repeats_caption(repeats: Sequence[Results]) -> str:
    """Say what may be concluded over the repeats of a sweep, what the table shows, what the inference is over."""
    sweep = repeats[0].sweep
    counted, metric = counted_repeats(repeats).counted, sweep.confirm.metric
    baseline = sweep.baseline
    template, confirm = sweep.arms[baseline].template, sweep.confirm
    data = data_words(repeats[0].counted_data, confirm)
    budgets = sorted({arm.trials for arm in sweep.arms.values()})
    seeds = ", ".join(str(results.sweep.seed) for results in counted)
    if families := families_caption(repeats[0], measured_metrics(counted), OVER_REPEATS):
        heads = " and ".join(each.short for each in measured_metrics(counted))
        families = f"Test {heads}: one score for each arm and repeat too, mean ± standard deviation. {families}"
    sentences = [
        repeats_conclusion(repeats[0]),
        f"Sweep {sweep.name}, over repeated searches: {template['network']['name']} on {data}.",
        f"{_repeats(len(counted))} of search and confirm, all trials and samplers on fresh seeds (seed = "
        f"{seeds or 'none'}).",
        f"Confirm in each: the configuration of each arm with the best validation {sweep.search.metric.words} in that "
        f"search, trained on {seeds_words(confirm)} fresh seeds that all arms share.",
        f"{retrained(confirm)} as the mean over the confirmed seeds: one score for each arm and repeat. Shown: the "
        f"mean of these scores, its {interval_words(metric)} and their standard deviation (sd, in {metric.unit}).",
        f"Difference: to {baseline} in {metric.unit}{metric.sign}, paired over the repeats that have both, with "
        f"{CORRECTED}",
        relevant_words(confirm),
        f"The inference is over whole searches with fresh seeds, search and confirm together, {OVER[confirm.splits]} "
        f"It is about what such a search finds, not about one configuration.",
        f"Search in each: {either(budgets)} trials per arm of at most {template['epochs']} epochs; "
        f"{pruning_words(sweep)}.",
        CUT,
        f"Unresolved (+n): n further repeats would resolve it with probability {POWER:g}, if mean and spread so far "
        f"were the true ones. This is for planning: verdicts after adding repeats because of this table do not hold at "
        f"5 %.",
        "Knobs: the values that the searches chose, from least to greatest, or how often each.",
        _raced(confirm),
        families,
    ]
    return " ".join(filter(None, sentences))


def repeats_conclusion(results: Results) -> str:
    """Say in one sentence what a reader may conclude from the table, and of what; any repeat tells it."""
    baseline, *others = results.sweep.arms
    what = f"Which arms beat {baseline}" if others else f"How {baseline} does"
    return f"{what} over repeated searches: what such a search finds on average, and not one configuration."


def repeats_sentences(repeats: Sequence[Results], frame: pd.DataFrame) -> list[str]:
    """Return what must be said of the table over repeats: which do not count, how they went, what it cannot tell."""
    found = counted_repeats(repeats)
    notes = [f"Repeat {results.repeat}: {note}" for results in found.counted for note in results.notes]
    if not found.counted:
        return [*found.left_out, "No repeat is finished yet, so there is no result."]
    families = measured_metrics(found.counted)
    for results in found.counted:
        notes += [f"Repeat {results.repeat}: {note}" for note in without_number(results, families)]
    copy = aa_over(repeats)
    said = [*cannot_be_said(frame, "repeat"), *families_unsaid(frame, families), *([copy.words] if copy else [])]
    return [*found.left_out, *notes, *said]


def _raced(confirm: ConfirmRecord) -> str:
    """Say what races within the repeats did; empty without them."""
    if not confirm.racing:
        return ""
    return (
        "Racing within each repeat: a score is the mean over as many seeds as the race took. It is biased away from "
        "the baseline, and so are differences; such a raced sweep reports these. Over repeats nothing was raced, so "
        "their intervals and verdicts are the usual ones."
    )


def _repeats(count: int) -> str:
    return "1 repeat" if count == 1 else f"{count} repeats"


def choices_as_text(text: str) -> str:
    """Return choices (JSON, by path) as a reader wants them: `learning_rate=0.01..0.03, mixing=mixup ×2 none ×1`."""
    return ", ".join(f"{knob_name(path)}={_spread(path, values)}" for path, values in json.loads(text).items())


def _spread(path: str, values: Sequence[Any]) -> str:
    """Return least and greatest of numbers, the counts of anything else, the most frequent first."""
    found = [value for value in values if value is not None]
    some = f" (in {len(found)})" if len(found) < len(values) else ""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in found):
        ends = dict.fromkeys(f"{end:.3g}" if isinstance(end, float) else str(end) for end in (min(found), max(found)))
        return "..".join(ends) + some
    switch = {True: "on", False: "off"} if KnobPath.of(path).is_switch else {}
    return " ".join(f"{switch.get(value, value)} ×{count}" for value, count in Counter(found).most_common()) + some
