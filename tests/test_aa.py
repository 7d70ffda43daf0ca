"""The hidden copy of the baseline: what it shares, what it does not, and how often chance gives it a verdict."""

from __future__ import annotations

import itertools
import json
import math
import random
import struct
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import binom
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.cli.plan import plan_table
from regtune.cli.progress import Progress
from regtune.core.copies import copy_name, is_copy
from regtune.core.errors import Refused
from regtune.core.halving import Score, Selection, join_number
from regtune.core.records import Epoch, Outcome, Trial, TrialKey
from regtune.core.resampling import draws
from regtune.core.selection import Scored, merge_scored
from regtune.execution.attempt import Report
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import PhaseJob
from regtune.execution.run import Launch, run
from regtune.reports.brief import brief
from regtune.reports.output import formatted
from regtune.reports.page.sections import sections
from regtune.reports.tables.aa import BY_SEARCH, FALSE, aa
from regtune.reports.tables.folder import folder_tables
from regtune.results.loader import Results, load
from regtune.statistics import Comparison
from regtune.storage.log import read_log
from regtune.sweep.schema import MAX_SELECT
from regtune.sweep.seeds import SHIFT
from regtune.sweep.sweep import Sweep
from tests.made_up import with_terms
from tests.resuming import SMALL, assert_same_results, ran, read, rows_of, stopped

COPY = "baseline (copy)"
RANDOM = SMALL.replace("seeds = 2", "seeds = 3")
PAIRED = (
    RANDOM.replace('sampler = "random"', 'sampler = "paired"')
    .replace("trials = 2", "trials = 6")
    .replace("[select]\nseeds = 0", "[select]\nseeds = 3\ncandidates = 2\nmost = 4")
)
TEXTS = {"random": RANDOM, "paired": PAIRED}


def without(text: str) -> str:
    return text.replace("[confirm]", "[confirm]\naa = false")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: ran(tmp_path_factory.mktemp(name), text) for name, text in TEXTS.items()}


@pytest.mark.parametrize("name", TEXTS)
def test_the_arms_are_those_of_the_sweep_without_a_copy(name: str, logs: dict[str, Path], tmp_path: Path) -> None:
    plain = ran(tmp_path, without(TEXTS[name]))
    assert not any(is_copy(row["cell"][0]) for row in read_log(plain)[0] if "cell" in row)
    assert_same_results(logs[name], plain)  # the ids among them
    one, other = load(logs[name]), load(plain)
    assert (one.draws, one.rivals, one.choices) == (other.draws, other.rivals, other.choices)
    assert other.copied is None


@pytest.mark.parametrize("name", TEXTS)
def test_no_trial_of_the_copy_has_a_seed_of_an_arm(name: str, logs: dict[str, Path]) -> None:
    seeds: dict[bool, set[int]] = {True: set(), False: set()}
    for row in rows_of(logs[name], "asked"):
        seeds[is_copy(row["cell"][0])].add(row["trial"]["seed"])
    assert seeds[True]
    assert not seeds[True] & seeds[False]
    phases = {row["cell"][1] for row in rows_of(logs[name], "asked") if is_copy(row["cell"][0])}
    assert phases >= ({"select", "confirm"} if name == "paired" else {"search", "confirm"})
    assert ("search" in phases) == (name != "paired")  # paired, it has the baseline's


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 99_999), select=st.integers(0, MAX_SELECT), data=st.data())
def test_seeds_never_meet(logs: dict[str, Path], seed: int, select: int, data: st.DataObject) -> None:
    trials, confirm = data.draw(st.integers(1, SHIFT - select)), data.draw(st.integers(3, SHIFT))
    sweep = read(logs["random"].parent, RANDOM).model_copy(update={"seed": seed})
    spans = []
    for one in (sweep, sweep.copied, sweep.nth(2), sweep.nth(2).copied):
        assert one is not None
        for of, count in ((one.search_seed, trials), (one.select_seed, select), (one.confirm_seed, confirm)):
            spans += [sorted((of(0), of(count - 1)))] if count else []
    spans.sort()
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
    assert spans[0][0] >= 0
    assert spans[-1][1] < 2**31


@pytest.mark.parametrize("paired", [True, False])
def test_what_is_drawn_for_arms_does_not_depend_on_the_copy(paired: bool) -> None:
    dice = random.Random(0)

    def scored(*arms: str) -> Scored:
        def ranked() -> list[tuple[int, Score]]:
            return sorted(((n, Score(dice.random(), 1.0)) for n in range(6)), key=lambda each: -(each[1].value or 0))

        places = [join_number(n, k) for n in range(6) for k in range(3)]
        return Scored(
            searched={arm: ranked() for arm in arms},
            selected={arm: {at: Score(dice.random(), 1.0) for at in places} for arm in arms},
            selection=Selection(candidates=4, most=4, seeds=3, examples=None),
            can_be_off=[],
        )

    arms = scored("baseline", "dropout")
    both = draws(merge_scored(arms, scored(COPY)), paired=paired, stream="s")
    alone = draws(arms, paired=paired, stream="s")
    assert [{a: n for a, n in each.numbers.items() if a != COPY} for each in both] == [each.numbers for each in alone]
    assert len({each.numbers[COPY] for each in both if COPY in each.numbers}) > 1


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        pytest.param("random", "search", marks=pytest.mark.slow),
        pytest.param("paired", "select", marks=pytest.mark.slow),
        ("paired", "confirm"),
    ],
)
def test_a_run_stopped_in_a_trial_of_the_copy_goes_on(
    name: str, phase: str, logs: dict[str, Path], tmp_path: Path
) -> None:
    keys = [TrialKey(*row["cell"]) for row in rows_of(logs[name], "asked")]
    key = next(key for key in keys if is_copy(key.arm) and key.phase == phase)
    log = stopped(tmp_path, key, 2, TEXTS[name])
    ran(tmp_path, TEXTS[name])
    assert_same_results(log, logs[name])
    one, other = load(log).copied, load(logs[name]).copied
    assert one is not None
    assert other is not None
    pd.testing.assert_frame_equal(one.trials.drop(columns=["seconds"]), other.trials.drop(columns=["seconds"]))
    before = log.read_bytes()
    ran(tmp_path, TEXTS[name])
    assert log.read_bytes() == before


def test_the_copy_is_judged_by_no_less_luck_than_the_arms(
    logs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = load(logs["paired"])
    monkeypatch.setattr(
        "regtune.reports.tables.aa.search_variances", lambda results, column: {"one": 0.5, "other": 1.5}
    )
    found = aa(results)
    assert found is not None and found.found is not None
    assert found.found.beyond == 1.0


def test_rivals_that_the_copy_needs_are_those_that_were_trained(logs: dict[str, Path]) -> None:
    copied = copied_of(logs["paired"])
    assert copied.sweep.confirm.over_searches
    assert not copied.rivals_open
    trained = {row["cell"][2] // 100 for row in rows_of(logs["paired"], "asked") if row["cell"][:2] == [COPY, "rivals"]}
    assert trained == set(copied.rivals[COPY])


def copied_of(log: Path) -> Results:
    copied = load(log).copied
    assert copied is not None
    return copied


def test_every_format_has_the_sentence_and_json_has_the_numbers(logs: dict[str, Path]) -> None:
    folder = logs["paired"].parent
    results = load(folder)
    found = aa(results)
    assert found is not None
    assert found.words.startswith(
        "A copy of the baseline, chosen and confirmed on other seeds, would have been called "
    )
    assert found.words in " ".join(brief([folder], 100).split())
    for form in ("md", "html"):
        assert found.words in formatted([folder], form)
    assert "A copy of the baseline" in formatted([folder], "latex")
    (plain,) = json.loads(formatted([folder], "json"))["sweeps"]
    assert plain["aa"]["sentence"] == found.words
    scores = [copied_scores(copied_of(logs["paired"]), arm) for arm in ("baseline", COPY)]
    gains = [b - a for a, b in zip(*scores, strict=True)]
    assert plain["aa"]["difference"] == pytest.approx(sum(gains) / 3)
    assert found.words not in plain["cannot_be_said"]
    assert [row["arm"] for row in plain["arms"]] == ["baseline", "dropout"]
    assert any(found.words in section.sentences for section in sections(folder_tables([results]), []))


def copied_scores(copied: Results, arm: str) -> list[float]:
    rows = copied.trials[(copied.trials["arm"] == arm) & (copied.trials["phase"] == "confirm")]
    return list(rows.sort_values("number")["test_accuracy"])


def test_the_budget_table_tells_what_the_copy_took(logs: dict[str, Path]) -> None:
    rows = [row for row in read_log(logs["random"])[0] if "cell" in row and is_copy(row["cell"][0])]
    epochs = sum(row["event"] == "epoch" for row in rows)
    assert f"the hidden copy of the baseline took 5 trials, {epochs} epochs" in formatted([logs["random"].parent], "md")


@pytest.mark.parametrize(("verdict", "scope", "ends"), [
    ("better", "searches", FALSE), ("worse", "configuration", BY_SEARCH), ("unresolved", "searches", ""),
])  # fmt: skip
def test_a_false_verdict_is_called_one(
    verdict: str, scope: str, ends: str, logs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = with_terms(load(logs["paired"]), scope=scope)
    found = dict.fromkeys([COPY], called(verdict))
    monkeypatch.setattr("regtune.reports.tables.aa.against_baseline", lambda copied, least: found)
    said = aa(results)
    assert said is not None
    assert f"would have been called {verdict}: +1.00 [+0.50, +1.50]." in said.words
    assert said.words.endswith(ends)
    assert ("false verdict" in said.words) == bool(ends)


def called(verdict: str) -> Comparison:
    from regtune.statistics import compare

    found = compare({"a": [0.0, 0.01, 0.02]})["a"]
    return Comparison(**{**vars(found), "verdict": verdict, "mean": 0.01, "low": 0.005, "high": 0.015})


def test_while_its_trials_are_open_nothing_is_called(tmp_path: Path) -> None:
    log = stopped(tmp_path, TrialKey(COPY, "confirm", 1), 1, RANDOM)
    found = aa(load(log))
    assert found is not None
    assert found.found is None
    assert found.words.endswith("is still being trained.")
    (tmp_path / "early").mkdir()
    assert aa(load(stopped(tmp_path / "early", TrialKey("baseline", "confirm", 0), 1, RANDOM))) is None


def test_plan_and_progress_count_the_copy(logs: dict[str, Path], tmp_path: Path) -> None:
    sweep = read(tmp_path, RANDOM)
    with (console := Console(width=200)).capture() as text:
        console.print(plan_table(sweep))
    assert "15 trials, at most 60 epochs" in text.get()
    assert f"{COPY}: trained on other seeds" in text.get()
    progress = Progress(sweep)
    ran(tmp_path, RANDOM, watch=progress.watch)
    assert progress.line().startswith("search 6/6, confirm 9/9,")


def test_the_copy_may_be_added_and_left_out_at_any_time(logs: dict[str, Path], tmp_path: Path) -> None:
    said = list[str]()
    log = ran(tmp_path, without(RANDOM))
    assert load(log).copied is None
    ran(tmp_path, RANDOM, say=said.append)
    assert [text.partition("added: ")[2] for text in said] == ["a hidden copy of the baseline"]
    assert_same_results(log, logs["random"])
    whole = len(rows_of(log, "asked"))
    ran(tmp_path, without(RANDOM))
    assert load(log).copied is None
    assert "copy" not in formatted([log.parent], "md")
    assert len(rows_of(log, "asked")) == whole


@pytest.mark.parametrize(("old", "new", "said"), [
    ("seeds = 3", "seeds = 2\naa = true", "set confirm.seeds to 3 or more, given 2"),
    ("seeds = 3", "seeds = 5001\naa = true", "set confirm.seeds to 5000 or less, given 5001"),
    ("seeds = 3", "seeds = 6\nracing = true\naa = true", "leave out confirm.racing"),
    ("trials = 2", "trials = 5001", "search at most 5000 trials an arm, given 5001"),
])  # fmt: skip
def test_a_copy_that_cannot_be_had_is_refused_where_it_is_asked_for(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = RANDOM.replace(old, new)
    text = text if "aa = true" in text else text.replace("seeds = 3", "seeds = 3\naa = true")
    with pytest.raises(Refused, match=said):
        read(tmp_path, text)
    assert read(tmp_path, text.replace("\naa = true", "")).copied is None  # by default it is left out there


def test_check_aa_trains_the_baseline_and_its_copy_and_says_the_verdict(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(PAIRED)
    given = ["check", str(tmp_path / "small.toml"), "--aa", "--in-process", "--results", str(tmp_path)]
    answer = CliRunner().invoke(app, given)
    assert answer.exit_code == 0, answer.output
    log = tmp_path / "small-aa" / "log.jsonl"
    assert {row["cell"][0] for row in rows_of(log, "asked")} == {"baseline", COPY}
    found = aa(load(log))
    assert found is not None
    assert found.words in answer.output
    assert not (tmp_path / "small").exists()
    (tmp_path / "small.toml").write_text(RANDOM.replace("seeds = 3", "seeds = 2"))
    refused = CliRunner().invoke(app, given)
    assert refused.exit_code != 0
    assert "set confirm.seeds to 3 or more" in f"{refused.output}{refused.exception}"


SWEEPS = 40
MADE_UP = (
    PAIRED.replace("epochs = 4", "epochs = 1")
    .replace("dropout = { dropout = {} }\n", "")
    .replace("candidates = 2", "candidates = 4")
    .replace("seeds = 3\nweights", "seeds = 10\nweights")
)


def launched(luck: float) -> Launch:
    """Return what scores trials without training: configurations differ by `luck`, scores of one by seed."""

    def score(trial: Trial, test: str) -> float:
        rate = struct.pack("d", trial.optimizer["learning_rate"])
        truth = random.Random(rate).gauss(0.7, luck)
        return min(1.0, max(0.0, truth + random.Random(rate + f"{trial.seed}/{test}".encode()).gauss(0, 0.01)))

    def launch(jobs: Iterable[PhaseJob]) -> None:
        for job in jobs:
            score_all(job.controller)

    def score_all(phase: PhaseController) -> None:
        while (task := phase.ask()) is not None:
            validation = score(task.trial, "validation")
            metrics = {"val_accuracy": validation, "val_loss": 1.0, "test_accuracy": score(task.trial, "test")}
            told = Epoch(
                number=1, objective=1.0, train_accuracy=1.0, train_loss=1.0, val_accuracy=validation, val_loss=1.0,
                learning_rate=0.1, kept=1, seconds=0.0, outcome=Outcome(status="ok", kept=1, metrics=metrics),
            )  # fmt: skip
            phase.take(task.key, Report(epochs=(told,)), {"processor": "", "torch": ""})

    return launch


def false_verdicts(folder: Path, luck: float, scope: str, sampler: str = "paired", sweeps: int = SWEEPS) -> int:
    """Return how many of so many made-up sweeps call the copy better or worse."""
    text = MADE_UP.replace('"paired"', f'"{sampler}"').replace("seeds = 10\n", f'seeds = 10\nscope = "{scope}"\n')
    sweep, count = read(folder, text), 0
    for seed in range(sweeps):
        one = sweep.model_copy(update={"seed": seed, "name": f"{scope}-{seed}"})
        found = aa(load(run(one, folder, launch=launched(luck))))
        assert found is not None
        assert found.found is not None
        assert not math.isnan(found.found.p)
        count += found.found.verdict != "unresolved"
    return count


MOST = binom.ppf(0.999, SWEEPS, 0.05)


@pytest.mark.parametrize("scope", ["searches", pytest.param("configuration", marks=pytest.mark.slow)])
def test_where_no_configuration_is_better_few_verdicts_are_false(scope: str, tmp_path: Path) -> None:
    assert false_verdicts(tmp_path, 0.0, scope) <= MOST


@pytest.mark.slow
def test_the_luck_of_search_shows_as_false_verdicts(tmp_path: Path) -> None:
    """More than 5 % of those about configurations; verdicts over searches, which count that luck, have fewer."""
    found = false_verdicts(tmp_path, 0.01, "configuration", "random")
    assert found > MOST
    assert false_verdicts(tmp_path, 0.01, "searches", "random") < 0.75 * found


def test_no_arm_can_have_the_name_of_a_copy(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="expected a name of letters"):
        read(tmp_path, SMALL.replace("dropout = {", f'"{copy_name("x")}" = {{', 1))


def test_a_sweep_read_from_python_has_a_copy_by_the_same_rule(tmp_path: Path) -> None:
    sweep: Sweep = read(tmp_path, RANDOM)
    assert sweep.copied is not None
    assert sweep.copied.copied is None
    assert [arm.name for arm in sweep.arms] == ["baseline", "dropout"]
