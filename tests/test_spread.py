"""Where the spread of a difference comes from: against simulations of known parts; what the table says of each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regtune.analysis.spread import spread
from regtune.core.errors import Refused
from regtune.reports.formats import FORMATS
from regtune.reports.output import formatted
from regtune.reports.page.sections import sections
from regtune.reports.tables._table import Table
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.folder import folder_tables, repeats_in
from regtune.reports.tables.spread import NOT
from regtune.results.loader import Results, load
from regtune.statistics.spread import binomial_part, search_part, seed_and_example_parts, seed_variance
from tests.made_up import made_up_log

BASE, OTHER = (0.50, 0.52, 0.49, 0.53, 0.51), (0.53, 0.50, 0.56, 0.58, 0.52)


# Statistics


def test_parts_are_those_that_a_table_was_made_of() -> None:
    """Over 2,000 made-up tables of 6 seeds and 40 examples: seed + example + rest, each with its own spread."""
    draws = np.random.default_rng(1)
    tables = (
        draws.normal(0, 0.3, (2000, 6, 1)) + draws.normal(0, 0.8, (2000, 1, 40)) + draws.normal(0, 1.2, (2000, 6, 40))
    )
    seed, examples = seed_and_example_parts(list(tables))
    assert seed == pytest.approx(0.3**2, rel=0.06)
    assert examples == pytest.approx((0.8**2 + 1.2**2) / 40, rel=0.03)


def test_together_they_are_the_spread_over_seeds_and_test_sets_of_two_arms_that_are_right_or_wrong() -> None:
    """Differences of 20,000 fresh seeds and test sets, against the parts of sweeps of 8 seeds on one test set."""
    draws = np.random.default_rng(2)

    def gains(seeds: int, examples: int) -> Any:
        hard = draws.random(examples)  # of an example, for both arms
        skill = 0.75 + draws.normal(0, 0.05, (2, seeds, 1))  # of an arm on a seed
        right = draws.random((2, seeds, examples)) < np.clip(skill + 0.3 * (hard - 0.5), 0, 1)
        return right[0].astype(float) - right[1]

    alone = np.array([gains(1, 60).mean() for _ in range(20_000)])
    seed, examples = seed_and_example_parts([gains(8, 60) for _ in range(2000)])
    assert seed + examples == pytest.approx(alone.var(), rel=0.04)
    assert math.sqrt(seed) == pytest.approx(0.05 * math.sqrt(2), rel=0.05), "of two arms"


def test_seeds_that_add_nothing_have_no_part() -> None:
    """Answers that are right at random: all variance over seeds is that of the examples."""
    draws = np.random.default_rng(3)
    found = [seed_and_example_parts([draws.integers(-1, 2, (10, 200)).astype(float)])[0] for _ in range(200)]
    assert min(found) == 0.0
    assert np.mean(found) < 0.2 * (2 / 3) / 200


def test_the_part_of_the_examples_is_mcnemars_variance() -> None:
    gains = np.array([[1.0] * 7 + [-1.0] * 3 + [0.0] * 40])
    seed, examples = seed_and_example_parts([gains])
    assert math.isnan(seed)
    assert examples == pytest.approx((10 - 4**2 / 50) / 50 / 49)


def test_the_binomial_part_is_that_of_independent_arms_and_more_than_that_of_arms_that_agree() -> None:
    draws = np.random.default_rng(4)
    first, second = 0.9, 0.8
    seen = draws.binomial(100, first, 100_000) / 100 - draws.binomial(100, second, 100_000) / 100
    part = binomial_part([(first, second)], 100)
    assert part == pytest.approx(seen.var(), rel=0.03)
    both = (np.arange(1000) < 900).astype(float) - (np.arange(1000) < 800)  # right about the same examples
    assert seed_and_example_parts([both[None]])[1] < binomial_part([(0.9, 0.8)], 1000)


def test_the_search_has_what_means_vary_beyond_their_seeds() -> None:
    """2,000 times 4 searches of 5 seeds, of which both parts are known."""
    draws, found = np.random.default_rng(5), []
    for _ in range(2000):
        found.append(search_part((draws.normal(0, 0.5, (4, 1)) + draws.normal(0, 0.4, (4, 5))).tolist()))
    assert np.mean(found) == pytest.approx(0.5**2, rel=0.06)
    alike = [search_part(draws.normal(0, 0.4, (4, 5)).tolist()) for _ in range(500)]
    assert min(alike) == 0.0
    assert np.mean(alike) < 0.2 * 0.4**2


@pytest.mark.parametrize("searches", [[], [[1.0, 2.0]], [[1.0], [2.0]], [[], [1.0, 2.0]]])
def test_one_search_or_seeds_that_nothing_tells_from_it_measure_nothing(searches: list[list[float]]) -> None:
    assert math.isnan(search_part(searches))


def test_what_nothing_is_known_of_is_no_number() -> None:
    assert all(map(math.isnan, seed_and_example_parts([])))
    assert all(map(math.isnan, seed_and_example_parts([np.zeros((3, 1))])))
    assert math.isnan(binomial_part([], 10))
    assert math.isnan(binomial_part([(0.5, 0.5)], 0))
    assert math.isnan(seed_variance([[1.0]]))
    with pytest.raises(Refused, match=r"expected arrays \[seeds, examples\]"):
        seed_and_example_parts([np.zeros(3)])


# Tables


def made_up(folder: Path, other: Sequence[float | None] = OTHER, **options: Any) -> Results:
    return load(made_up_log(folder, {"base": BASE, "other": other}, **options))


def table_of(results: Results) -> Table:
    found = tables(results).spread
    assert found is not None
    return found


def test_recorded_answers_give_both_parts(tmp_path: Path) -> None:
    results = made_up(tmp_path, examples=100)
    row = spread([results]).set_index("arm").loc["other"]
    gains = results.right_answers["other"].to_numpy().T.astype(float) - results.right_answers["base"].to_numpy().T
    seed, examples = seed_and_example_parts([gains])
    assert (row["spread_seed"], row["spread_examples"]) == pytest.approx((math.sqrt(seed), math.sqrt(examples)))
    assert (row["spread_source"], row["spread_pairs"]) == ("answers", 5)
    found = table_of(results)
    assert "discordant pairs" in found.caption
    assert "another test set of 100 examples" in found.caption
    assert found.frame.to_dict("records") == [
        {"arm": "other", "seeds": 5, "seed": f"{100 * math.sqrt(seed):.2f}",
         "test examples": f"{100 * math.sqrt(examples):.2f}", "split": NOT, "search": NOT}
    ]  # fmt: skip


def test_accuracies_alone_give_upper_bounds_and_say_so(tmp_path: Path) -> None:
    results = made_up(tmp_path)
    row = spread([results]).set_index("arm").loc["other"]
    assert row["spread_seed"] == pytest.approx(np.subtract(OTHER, BASE).std(ddof=1))
    expected = binomial_part(list(zip(OTHER, BASE, strict=True)), 37)  # as many as the header says
    assert row["spread_examples"] == pytest.approx(math.sqrt(expected))
    found = table_of(results)
    assert "(binomial)" in found.caption
    assert "so an upper bound" in found.caption


def test_what_is_not_measured_is_said_in_words_and_never_0(tmp_path: Path) -> None:
    data = {"name": "synthetic", "train": 48, "test": "all"}
    results = made_up(tmp_path, (0.6, None), data=data)
    found = table_of(results)
    (row,) = found.frame.to_dict("records")
    assert [row[name] for name in ("seed", "test examples", "split", "search")] == [NOT] * 4
    assert "the log does not say how many there are" in found.caption
    assert "Search: not measured in one search" in found.caption
    assert found.sentences == [
        "other: fewer than 2 seeds of one search shared with base; the part of the seed is not measured."
    ]
    assert spread([results]).filter(regex="spread_(seed|examples|search)$").isna().to_numpy().all()


def test_fresh_splits_are_one_part_with_the_seed(tmp_path: Path) -> None:
    results = made_up(tmp_path, examples=100, terms={"confirm": {"splits": "fresh"}})
    found, row = table_of(results), spread([results]).iloc[1]
    assert "seed and split" in found.frame
    assert not {"seed", "split"} & {*found.frame}
    assert "so the two cannot be separated" in found.caption
    assert math.isnan(row["spread_seed"])
    assert row["spread_seed_split"] == spread([made_up(tmp_path / "one", examples=100)]).iloc[1]["spread_seed"]


def test_whole_searches_measure_the_part_of_the_search(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    scores = ((0.6, 0.61, 0.62), (0.7, 0.71, 0.69), (0.5, 0.52, 0.51))
    base = (0.5, 0.51, 0.49)
    for number, other in enumerate(scores, 1):
        place = folder if number == 1 else folder / f"repeat-{number}"
        made_up_log(place, {"base": base, "other": other}, repeat=number, examples=100, search=("ok",))
    repeats = repeats_in(folder)
    row = spread(repeats).set_index("arm").loc["other"]
    differences = [np.subtract(other, base).tolist() for other in scores]
    assert row["spread_search"] == pytest.approx(math.sqrt(search_part(differences)))
    assert (row["spread_searches"], row["spread_pairs"]) == (3, 9)
    whole = next(section for section in sections(folder_tables(repeats), []) if section.id == "searches")
    assert whole.tables[1].frame["search"].to_list() == [f"{100 * row['spread_search']:.2f}"]
    assert "over 3 searches" in whole.tables[1].caption
    assert "spread_search" in formatted([folder], "csv").splitlines()[0]
    (sweep,) = json.loads(formatted([folder], "json"))["sweeps"]
    assert sweep["arms"][1]["spread_search"] == pytest.approx(row["spread_search"])
    assert "over 3 searches" in sweep["captions"]["spread"]
    assert sweep["repeats"][0]["arms"][1]["spread_search"] is None


def test_every_format_has_it_and_the_report(tmp_path: Path) -> None:
    results = made_up(tmp_path, examples=100)
    for form in set(FORMATS) - {"csv", "json"}:
        assert "test examples" in formatted([tmp_path], form)
    assert {"spread_seed", "spread_search"} <= {*formatted([tmp_path], "csv").splitlines()[0].split(",")}
    (sweep,) = json.loads(formatted([tmp_path], "json"))["sweeps"]
    assert sweep["arms"][0]["spread_seed"] is None
    assert "discordant pairs" in sweep["captions"]["spread"]
    sure = next(section for section in sections(folder_tables([results]), []) if section.id == "sure")
    assert "test examples" in sure.tables[0].frame


def test_an_arm_without_all_answers_is_named(tmp_path: Path) -> None:
    results = load(made_up_log(tmp_path, {"base": BASE, "other": OTHER, "older": OTHER}, examples=100))
    older = (results.trials["arm"] == "older") & (results.trials["number"] == 2)
    results.trials.loc[older, "test_right"] = ""
    assert spread([results])["spread_source"].to_list() == ["", "answers", "accuracies"]
    assert [sentence.partition(":")[0] for sentence in table_of(results).sentences] == ["older"]


def test_one_arm_or_none_that_shares_a_seed_has_no_table(tmp_path: Path) -> None:
    assert tables(load(made_up_log(tmp_path / "a", {"base": BASE}))).spread is None
    results = load(made_up_log(tmp_path / "b", {"base": (0.5, None), "other": (None, 0.5)}))
    assert tables(results).spread is None
    assert isinstance(spread([results]), pd.DataFrame)
