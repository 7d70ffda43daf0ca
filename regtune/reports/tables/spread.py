"""The table of where the spread comes from, and its words: which parts were measured how, and which were not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from regtune.analysis.spread import examples_of, fresh_splits
from regtune.core.metric import ACCURACY, Metric
from regtune.reports.tables._table import Table
from regtune.reports.text import number
from regtune.results.loader import Results

NOT = "not measured"
OF_ONE = (
    "These are for one seed and one search. In a mean over many seeds the first part shrinks with the root of their "
    "number, that of the test examples less, that of the search not at all. From few seeds or searches they are "
    "rough. 0.00: no more than the other parts explain."
)
SEED = {
    "answers": "initial weights, batches and noise, without what the test examples add",
    "accuracies": "initial weights, batches and noise, with some of what the test examples add, so an upper bound",
}
EXAMPLES = {
    "answers": "what another test set of {count} examples would change, estimated from the examples about which only "
    "one of the two arms was right (discordant pairs)",
    "accuracies": "what another test set of {count} examples would change, as if both arms were right independently of "
    "each other (binomial), since the log does not have for all these seeds which examples were right. It is an upper "
    "bound if arms tend to be right about the same examples",
}
NO_EXAMPLES = "Test examples: not measured, since the log does not say how many there are."
NO_ANSWERS = "Test examples: not measured; the log has only for accuracy what each example adds."
ONE_SPLIT = 'Split: not measured, since all seeds have one; splits = "fresh" under [confirm] draws one for each seed.'
WITH_SPLIT = "Each seed draws its own split into training and validation examples, so the two cannot be separated."
ONE_SEARCH = "Search: not measured in one search; [search] repeats = 2 or more measures it over repeated searches."
SEARCHES = (
    "Search: the configuration that another search with fresh seeds would find, over {count} searches, without the "
    "variation of a mean over so few seeds."
)
RESAMPLED = (
    "Search: how much the choices of resampled searches differ, their rivals confirmed on a few seeds; 0 if that is "
    "less than their seeds vary."
)
RACED = "After a race arms have unequal numbers of seeds, and what it stopped early is biased away from the baseline."
OTHERWISE = (
    "the log does not have for all seeds which test examples were right; that part is from accuracies (binomial), and "
    "some of it is in the part of the seed"
)


def spread_table(repeats: Sequence[Results], frame: pd.DataFrame) -> Table | None:
    """Return the table for a sweep given as its repeats, or one of them; None where no arm has a seed of the first.

    `frame` has the columns of `spread` of the same repeats.
    """
    others = frame.iloc[1:].reset_index(drop=True)
    if not others["spread_pairs"].any():
        return None
    split, metric = fresh_splits(repeats[0]), repeats[0].sweep.confirm.metric
    columns = {
        "arm": others["arm"],
        "seeds": others["spread_pairs"],
        "seed and split" if split else "seed": _cells(others["spread_seed_split" if split else "spread_seed"], metric),
        "test examples": _cells(others["spread_examples"], metric),
        **({} if split else {"split": NOT}),
        "search": _cells(others["spread_search"], metric),
    }
    return Table(
        title="Where the spread comes from",
        caption=spread_caption(repeats, frame),
        frame=pd.DataFrame(columns),
        sentences=_sentences(frame),
    )


def spread_caption(repeats: Sequence[Results], frame: pd.DataFrame) -> str:
    """Say what the parts are and what is known of each; the frame is that of `spread`."""
    results, sources = repeats[0], set(frame["spread_source"]) - {""}
    split, count = fresh_splits(results), examples_of(results)
    metric = results.sweep.confirm.metric
    source = "answers" if "answers" in sources else "accuracies"
    sentences = [
        f"What makes a difference to {frame['arm'].iloc[0]} vary, and by how much, after X. Bouthillier et al. (2021). "
        f"Shown: the standard deviation in {metric.unit} that each source adds to the difference of test "
        f"{metric.words} on one seed.",
        f"{'Seed and split' if split else 'Seed'}: {SEED[source]}.",
        WITH_SPLIT if split else ONE_SPLIT,
        f"Test examples: {EXAMPLES[source].format(count=f'{count:,}' if count else 'as many')}."
        if sources
        else (NO_EXAMPLES if metric == ACCURACY else NO_ANSWERS),
        _search_words(frame),
        OF_ONE,
        RACED if results.sweep.confirm.racing else "",
    ]
    return " ".join(filter(None, sentences))


def _search_words(frame: pd.DataFrame) -> str:
    if frame["spread_search"].isna().all():
        return ONE_SEARCH
    if frame["spread_searches"].max() < 2:
        return RESAMPLED
    return SEARCHES.format(count=int(frame["spread_searches"].max()))


def _sentences(frame: pd.DataFrame) -> list[str]:
    """Return of which arms a part was measured otherwise than the caption says, or not."""
    first, others = frame["arm"].iloc[0], frame.iloc[1:]
    seed = others["spread_seed"].fillna(others["spread_seed_split"])
    few = others[seed.isna()]["arm"].to_list()
    mixed = "answers" in set(others["spread_source"])
    otherwise = others[others["spread_source"] == "accuracies"]["arm"].to_list() if mixed else []
    return [
        f"{', '.join(arms)}: {why}."
        for arms, why in (
            (few, f"fewer than 2 seeds of one search shared with {first}; the part of the seed is not measured"),
            (otherwise, OTHERWISE),
        )
        if arms
    ]


def _cells(values: pd.Series[float], metric: Metric) -> list[str]:
    return [NOT if math.isnan(value) else number(metric.factor * value, metric.form) for value in values]
