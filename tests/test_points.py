"""Points that a person knows come first, wherever a sampler would draw, and move nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from regtune.analysis.tuning import search_shares
from regtune.core.errors import Refused
from regtune.core.halving import Score, Selection, join_number
from regtune.core.neighbours import neighbours
from regtune.core.resampling import draws
from regtune.core.selection import Scored
from regtune.execution.recovery import Recovery
from regtune.reports.tables.tuning import tuning_caption
from regtune.results.loader import load
from regtune.search.search import SearchScheduler
from regtune.search.select import SelectScheduler
from regtune.storage.compatibility import changed
from regtune.storage.log import read_log
from tests.resuming import SMALL, ran, read, rows_of
from tests.schedulers import Rows
from tests.test_scheduler import finished

RATE, P = "optimizer.learning_rate", "dropout.p_hidden"
COCKTAIL = SMALL.replace(
    "dropout = { dropout = {} }",
    "dropout = { dropout = { p_input = 0.0 } }\n"
    "cocktail = { dropout = { switch = true, p_input = 0.0 }, mixing = { one_of = { mixup = {}, cutmix = {} } } }",
).replace("trials = 2", "trials = 4")
SAMPLERS = ("paired", "random", "qmc", "grid", "tpe")


def with_first(points: str, text: str = COCKTAIL) -> str:
    return text.replace("[search]", f"[search]\nfirst = {points}")


def asked(folder: Path, text: str, trials: int = 0) -> dict[str, list[Mapping[str, Any]]]:
    """Return the knobs of the search trials of each arm, each of which ends with a score of its own."""
    sweep = read(folder, text.replace("trials = 4", f"trials = {trials or 4}"))
    scheduler, found = SearchScheduler(sweep), {arm.name: list[Mapping[str, Any]]() for arm in sweep.arms}
    while (one := scheduler.ask()) is not None:
        found[one.key.arm].append(one.params)
        scheduler.end(one.key, finished(0.5 + one.key.number / 100))
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_points_come_first_and_move_no_other_trial(sampler: str, tmp_path: Path) -> None:
    text = COCKTAIL.replace('"random"', f'"{sampler}"')
    points = f"[{{ {RATE} = 0.1, {P} = 0.3, dropout.switch = true }}, {{ optimizer = {{ learning_rate = 0.2 }} }}]"
    plain, known = asked(tmp_path, text), asked(tmp_path, with_first(points, text))
    assert known["baseline"][:2] == [{RATE: 0.1}, {RATE: 0.2}]
    assert known["dropout"][:2] == [{RATE: 0.1, P: 0.3}, {RATE: 0.2, P: 0.5}]
    assert known["cocktail"][0] == {RATE: 0.1, "dropout.switch": True, P: 0.3, "mixing.one_of": "none"}
    assert known["cocktail"][1] == {RATE: 0.2, "dropout.switch": False, "mixing.one_of": "none"}
    assert {arm: mine[2:] for arm, mine in known.items()} == {arm: mine[2:] for arm, mine in plain.items()}


def test_an_arm_has_points_of_its_own_behind_those_of_all(tmp_path: Path) -> None:
    own = "dropout = { dropout = { p_input = 0.0 }, first = [{ dropout.p_hidden = 0.2 }, {}] }"
    text = COCKTAIL.replace("dropout = { dropout = { p_input = 0.0 } }", own).replace('"random"', '"paired"')
    alone, both = asked(tmp_path, text), asked(tmp_path, with_first(f"[{{ {RATE} = 0.05 }}]", text))
    default = {RATE: 0.1, P: 0.5}
    assert alone["dropout"][:2] == [{**default, P: 0.2}, default]
    assert both["dropout"][:3] == [{**default, RATE: 0.05}, {**default, P: 0.2}, default]
    plain = asked(tmp_path, COCKTAIL.replace('"random"', '"paired"'))
    assert alone["baseline"] == plain["baseline"] and alone["cocktail"] == plain["cocktail"], "of another arm: nothing"
    assert alone["dropout"][2:] == plain["dropout"][2:], "trial n is point n of the sequence, as in every arm"
    assert [p[RATE] for p in alone["dropout"][2:]] == [p[RATE] for p in plain["baseline"][2:]]


def test_the_defaults_of_an_arm_are_the_empty_point(tmp_path: Path) -> None:
    found = asked(tmp_path, with_first("[{}]"))
    assert found["cocktail"][0] == {RATE: 0.1, "dropout.switch": False, "mixing.one_of": "none"}
    assert found["dropout"][0] == {RATE: 0.1, P: 0.5}


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ("3", r"search\.first: expected a list of points"),
        ("[3]", r"search\.first\[0\]: expected a table of knobs"),
        ("[{}, { optimizer.learning_rat = 0.1 }]", r"search\.first\[1\]: no arm searches .*did you mean 'opt"),
        ("[{ optimizer.momentum = 0.5 }]", r"search\.first\[0\]: no arm searches 'optimizer.momentum'"),
        ("[{ optimizer.learning_rate = 0.5 }]",
         r"learning_rate: expected a value of \{ low = 0.001, high = 0.3, log = true \}, given 0.5"),
        ('[{ optimizer.learning_rate = "fast" }]', r"search\.first\[0\]\.optimizer\.learning_rate: expected a number"),
        ("[{ optimizer.learning_rate = true }]", r"learning_rate: expected a number"),
        ('[{ mixing.one_of = "mixip" }]', r"mixing\.one_of: expected one of .*did you mean 'mixup'"),
        ("[{ mixup.alpha = 0.3 }]", r"search\.first\[0\]\.mixup\.alpha: mixup is off; add mixing\.one_of=mixup"),
        ("[{}, {}, {}, {}, {}]", r"search\.trials: expected at least the 5 points .* given 4 trials"),
    ],
)  # fmt: skip
def test_points_that_are_none_are_refused_in_a_line(points: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=line) as caught:
        read(tmp_path, with_first(points))
    assert len(str(caught.value).splitlines()) == 1


def test_a_default_outside_of_the_range_is_refused_and_not_moved(tmp_path: Path) -> None:
    text = COCKTAIL.replace("low = 0.001", "low = 0.2")
    with pytest.raises(Refused, match=r"the default of optimizer.learning_rate, 0\.1, is not in .*name a value"):
        read(tmp_path, with_first("[{}]", text))
    with pytest.raises(Refused, match=r"arms\.dropout\.first\[0\]: arm dropout does not search 'mixup.alpha'"):
        read(
            tmp_path, COCKTAIL.replace("p_input = 0.0 } }\nco", "p_input = 0.0 }, first = [{ mixup.alpha = 1 }] }\nco")
        )


def test_a_log_has_the_points_and_other_ones_are_another_sweep(tmp_path: Path) -> None:
    text = with_first(f"[{{ {RATE} = 0.1 }}]", SMALL)
    log = ran(tmp_path, text)
    before = log.read_bytes()
    ran(tmp_path, text)
    assert log.read_bytes() == before
    header = rows_of(log, "header")[0]["sweep"]
    assert header["arms"]["baseline"]["first"] == [{RATE: 0.1}] and "first" not in header["search"]
    assert [row["params"] for row in rows_of(log, "asked") if row["cell"] == ["baseline", "search", 0]] == [{RATE: 0.1}]
    with pytest.raises(Refused, match=r"arms\.baseline\.first"):
        ran(tmp_path, text.replace("= 0.1 }]", "= 0.2 }]"))
    assert "first" not in read(tmp_path, SMALL).plain()["arms"]["baseline"], "headers without are those of before"
    more = changed(json.loads(json.dumps(header)), read(tmp_path, text.replace("trials = 2", "trials = 3")).plain())
    assert len(more.more) == 2 and not more.less


# Verdicts over searches, and curves.


def scored(first: Mapping[str, int], trials: int = 12, seeds: int = 2) -> Scored:
    """Return scores of two arms in which trial 0 is far the best, and the others are equal."""
    score = [Score(0.9 if number == 0 else 0.5, 1.0) for number in range(trials)]
    searched = {arm: list(enumerate(score)) for arm in ("base", "arm")}
    selected = {arm: {join_number(n, k): s for n, s in enumerate(score) for k in range(seeds)} for arm in searched}
    terms = Selection(candidates=trials, most=trials, seeds=seeds, examples=None)
    near = neighbours({n: {RATE: 0.1 * n} for n in range(first.get("base", 0), trials)})
    return Scored(searched=searched, selected=selected, selection=terms, can_be_off=[], near=near, first=first)


@pytest.mark.parametrize("paired", [True, False])
def test_a_named_point_is_in_every_search_that_is_drawn(paired: bool) -> None:
    """Drawn like the others the best trial is missing in a share of searches; named, in none."""
    drawn = draws(scored({}), paired=paired, stream="s")
    assert 20 < sum(found.numbers["arm"] != 0 for found in drawn) < 180
    named = draws(scored({"arm": 1}), paired=paired, stream="s")
    assert all(found.numbers["arm"] == 0 for found in named)
    if paired:  # else each arm is drawn by itself, from one stream
        assert [found.numbers["base"] for found in named] == [found.numbers["base"] for found in drawn]
    both = draws(scored({"base": 1, "arm": 1}), paired=paired, stream="s")
    assert all(found.numbers == {"base": 0, "arm": 0} for found in both)


@pytest.mark.parametrize("paired", [True, False])
def test_a_named_point_stands_for_none_that_was_drawn(paired: bool) -> None:
    """Of twelve trials three are named and worthless: as often as in a search of nine is each other one chosen."""
    made = scored({"base": 3, "arm": 3})
    worth = {n: Score(0.1 if n < 3 else 0.5 + n / 100, 1.0) for n in range(12)}
    ranked = sorted(worth.items(), key=lambda each: -(each[1].value or 0))
    selected = {arm: {join_number(n, k): s for n, s in worth.items() for k in range(2)} for arm in ("base", "arm")}
    made = Scored(searched={"base": ranked, "arm": ranked}, selected=selected, selection=made.selection,
                  can_be_off=[], near=made.near, first=made.first)  # fmt: skip
    chosen = [found.numbers["arm"] for found in draws(made, paired=paired, stream="s")]
    assert min(chosen) >= 3
    without = sum(number != 11 for number in chosen) / len(chosen)
    theory = (2 / 3) ** 2 * (2 / 3) if made.near and paired else (8 / 9) ** 9
    assert abs(without - theory) < 0.15


SELECTING = SMALL.replace("trials = 2", "trials = 6").replace('"random"', '"paired"').replace(
    "seeds = 0", "seeds = 2\ncandidates = 2\nmost = 2").replace("seeds = 2\nweights", "seeds = 3\nweights")  # fmt: skip


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = SELECTING.replace(
        "dropout = { dropout = {} }", "dropout = { dropout = {}, first = [{ dropout.p_hidden = 0.2 }] }"
    )
    return ran(tmp_path_factory.mktemp("over"), with_first(f"[{{ {RATE} = 0.1 }}]", own))


def test_scheduler_and_table_draw_the_same_searches(over: Path) -> None:
    results = load(over)
    assert results.sweep.confirm.over_searches
    assert results.scored.first == {"baseline": 1, "dropout": 2}
    assert 0 not in results.scored.near and set(results.scored.near) == {1, 2, 3, 4, 5}
    text = (over.parent.parent / "small.toml").read_text()
    sweep = read(over.parent.parent, text)
    search = SearchScheduler(sweep)
    _replay(search, read_log(over)[0])
    select = SelectScheduler(sweep, search)
    assert select.scored.first == results.scored.first and select.scored.near == results.scored.near
    before = over.read_bytes()
    ran(over.parent.parent, text)
    assert over.read_bytes() == before


def _replay(scheduler: SearchScheduler, rows: Sequence[Mapping[str, Any]]) -> None:
    Recovery(scheduler, Rows(Path("log.jsonl"), [dict(row) for row in rows]), 0, lambda event, row: None)


def test_curves_are_of_draws_only(over: Path) -> None:
    results = load(over)
    assert {arm: len(scores) for arm, scores in search_shares(results).items()} == {"baseline": 5, "dropout": 4}
    assert "named in the sweep file (first) are not draws and are left out: baseline 1, dropout 2." in tuning_caption(
        results
    )
