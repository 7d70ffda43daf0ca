"""The cautious pruner: against a naive one, on made-up arms whose rungs foretell all or nothing, and rebuilt."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from regtune.analysis.pruning import rung_correlations, rung_rankings
from regtune.cli.plan import plan_table, saved
from regtune.cli.progress import Progress, Standing
from regtune.core.header import SweepRecord
from regtune.core.records import Epoch, Json, Outcome, TrialKey
from regtune.execution.controller import PhaseController
from regtune.execution.run import run
from regtune.pruners import PRUNERS, Asha, CautiousAsha, Judge, Rung, judged, standard_error, unused
from regtune.reports.tables.caption import caption, pruning_words, rungs_words
from regtune.reports.tables.pruning import pruning_table
from regtune.results.loader import Results, load
from regtune.search.search import SearchScheduler
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP
from tests.curves import recorded
from tests.test_rebuilt import Memory
from tests.test_scheduler import EPOCHS, epoch, finished, sweep_of

Told = tuple[int, int, float, str]  # trial, epoch, score, how it ended there: "" where it has not


def naive(told: Sequence[Told], *, rungs: Sequence[int], factor: float, population: int, examples: int) -> bool:
    """Say whether the last epoch told ends its trial: from all that was told of the arm, anew and step by step."""
    _, at, score, ended = told[-1]
    if ended or at not in rungs:
        return False
    earlier = [s for _, e, s, end in told[:-1] if e == at and not end]
    if sum(e == at for _, e, _, _ in told) <= population or not earlier:
        return False
    ordered, place = sorted(earlier), (len(earlier) - 1) * (1 - 1 / factor)
    low = ordered[math.floor(place)]
    cut = low + (ordered[math.ceil(place)] - low) * (place - math.floor(place))
    last = {n: s for n, _, s, end in told if end == "ok"}
    pairs = pd.DataFrame([(s, last[n]) for n, e, s, end in told if e == at and not end and n in last])
    if len(pairs) < 8 or not pairs[0].corr(pairs[1], method="spearman") >= 0.5:
        return False
    line = np.polynomial.Polynomial.fit(pairs[1], pairs[0], 1)
    spread = sum((pairs[0] - line(pairs[1])) ** 2) / (len(pairs) - 2)
    share = (cut * examples + 2) / (examples + 4)
    return bool(score < cut - 2 * math.sqrt(spread + share * (1 - share) / (examples + 4)))


@pytest.mark.parametrize(("factor", "rungs"), [pytest.param(3.0, (6, 18), marks=pytest.mark.slow), (2.0, (6, 12, 24))])
def test_decisions_on_recorded_curves_are_those_of_a_naive_one_call_by_call(
    tmp_path: Path, factor: float, rungs: tuple[int, ...]
) -> None:
    """Eight trials run at a time, in a random order, some diverge; and nobody ends whom Ray's ASHA lets go on."""
    draws, ended = random.Random(int(factor)), 0
    for validation in (32, 400):
        sweep = sweep_of(tmp_path, trials=120, pruner="cautious", factor=factor, population=3, validation=validation)
        scheduler, told = SearchScheduler(sweep), {arm.name: list[Told]() for arm in sweep.arms}
        asha = {arm.name: Asha(factor=factor, population=3).judge(EPOCHS) for arm in sweep.arms}
        left, running = draws.sample(recorded(), 360), dict[TrialKey, tuple[list[float], int]]()
        while left or running:
            while left and len(running) < 8:
                asked = scheduler.ask()
                assert asked is not None
                running[asked.key] = left.pop(), 0
            key = draws.choice(list(running))
            curve, number = running[key][0], running[key][1] + 1
            end = "diverged" if draws.random() < 0.001 else "ok" if number == EPOCHS else ""
            outcome = {"ok": finished(curve[-1]), "diverged": Outcome(status="diverged"), "": None}[end]
            score, mine = curve[number - 1], told[key.arm]
            mine.append((key.number, number, score, end))
            decided = scheduler.tell(key, epoch(number, score, outcome)) == "stop"
            assert decided == naive(mine, rungs=rungs, factor=factor, population=3, examples=validation)
            assert asha[key.arm].ends(key.number, epoch(number, score, outcome), score) or not decided
            ended, running[key] = ended + decided, (curve, number)
            if decided or end:
                scheduler.end(key, outcome or Outcome(status="pruned"))
                del running[key]
    assert ended > 50


def pruner(name: str = "cautious", *, epochs: int = 30, examples: int | None = 400, **search: float) -> Judge:
    return PRUNERS.find(name, "pruner")(**search).judge(epochs, examples)


def ends(judge: Judge, curves: Sequence[tuple[float, float]]) -> list[int]:
    """Train one after the other, each with a score up to the first rung and one after it; return who is ended."""
    found = []
    for number, (then, final) in enumerate(curves):
        for at in range(1, 31):
            score = then if at <= 6 else final
            if judge.ends(number, epoch(at, score, finished(score) if at == 30 else None), score):
                found.append(number)
                break
    return found


def test_where_the_best_at_a_rung_are_the_worst_at_the_end_nobody_is_ended() -> None:
    """The home case, noisy labels; ASHA ends those that would be the best."""
    draws = random.Random(0)
    scores = [draws.uniform(0.5, 0.9) for _ in range(60)]
    curves = [(score, 1.4 - score) for score in scores]
    curves = [(then, final + draws.gauss(0, 0.05)) for then, final in curves]
    asha = ends(pruner("asha"), curves)
    assert max(range(60), key=lambda n: curves[n][1]) in asha and len(asha) > 25
    first = pruner(factor=10.0)
    assert CautiousAsha(factor=10.0).rungs(30) == (6,)  # scores at a second one would be those of the end
    assert ends(first, curves) == []


def test_where_a_rung_ranks_perfectly_it_is_asha_beyond_two_binomial_errors() -> None:
    draws = random.Random(1)
    curves = [(score, score / 2 + 0.2) for score in (draws.uniform(0.3, 0.9) for _ in range(200))]
    # Scores are on a line, so nothing is left but the binomial error; without a number of examples, nothing at all.
    for examples in (400, 50, None):
        expected, final = list[int](), list[float]()
        passed: list[list[float]] = [[], []]
        for number, (then, last) in enumerate(curves):
            for rung, score in ((0, then), (1, last)):
                cut = np.percentile(passed[rung], 100 * 2 / 3) if passed[rung] else 0.0
                share = (cut * (examples or 0) + 2) / ((examples or 0) + 4)
                error = math.sqrt(share * (1 - share) / (examples + 4)) if examples else 0.0
                passed[rung].append(score)
                if len(final) >= 8 and score < cut - 2 * error - 1e-12:
                    expected.append(number)
                    break
            else:
                final.append(last)
        assert ends(pruner(examples=examples), curves) == expected
        assert len(expected) > 80


def test_a_population_beyond_the_first_eight_holds() -> None:
    curves = [(0.9 - n / 100, 0.9 - n / 100) for n in range(30)]
    assert ends(pruner(examples=None), curves)[0] == 8
    assert ends(pruner(examples=None, population=12), curves)[0] == 12


EVENTS = st.lists(
    st.tuples(st.integers(0, 13), st.integers(0, 20), st.integers(-2, 2), st.booleans()), min_size=60, max_size=400
)


@settings(max_examples=60, deadline=None)
@given(events=EVENTS, cut=st.floats(0, 1))
def test_a_pruner_rebuilt_from_what_was_told_agrees_and_the_first_eight_go_on(
    events: list[tuple[int, int, int, bool]], cut: float
) -> None:
    """Trials in any order, whose scores lean on their numbers; told again up to a cut, then side by side."""
    live, again = pruner(epochs=5, factor=2.0, population=1), None
    done, over, ended, before = dict[int, int](), set[int](), 0, list[tuple[int, Epoch, float]]()
    for place, (number, level, off, bad) in enumerate(events):
        if number in over:
            continue
        if place >= cut * len(events) and again is None:
            again = pruner(epochs=5, factor=2.0, population=1)
            for told in before:
                again.ends(*told)
        done[number] = at = done.get(number, 0) + 1
        score = (2 * number + off + (level == 0)) / 40
        outcome = Outcome(status="failed") if bad and level == 1 else finished(score) if at == 5 else None
        told = (number, epoch(at, score, outcome), score)
        decided = live.ends(*told)
        assert again is None or again.ends(*told) == decided
        before.append(told)
        assert not decided or ended >= 8
        ended += outcome is not None and outcome.status == "ok"
        over |= {number} if decided or outcome else set()


def test_a_decision_is_made_from_what_was_told_and_nothing_else() -> None:
    """The same epochs give the same answers, whatever was asked or decided meanwhile elsewhere."""
    draws = random.Random(5)
    curves = [(s, s + draws.gauss(0, 0.02)) for s in (draws.uniform(0.2, 0.8) for _ in range(60))]
    assert ends(pruner(), curves) == ends(pruner(), curves) != []


def test_the_standard_error_has_both_parts_and_is_never_0_for_known_examples() -> None:
    rung = Rung(n=9, correlation=0.9, spread=0.03)
    share = (0.9 * 400 + 2) / 404
    assert standard_error(0.9, rung, 400) == pytest.approx(math.sqrt(share * (1 - share) / 404 + 0.03**2))
    assert standard_error(0.9, rung, None) == 0.03
    assert standard_error(1.0, Rung(n=9, correlation=1.0, spread=0.0), 32) > 0.03


def test_what_is_said_of_a_rung_is_by_what_chance_would_do() -> None:
    assert not judged([0.1] * 9, [0.1 * n for n in range(9)]).used
    assert judged([0.1 * n for n in range(8)], [0.2 * n for n in range(8)]).used
    assert not judged([0.1 * n for n in range(7)], [0.2 * n for n in range(7)]).used
    found = {
        ("dropout", 6): Rung(n=9, correlation=-0.41, spread=0.1),
        ("l2", 6): Rung(n=80, correlation=0.4, spread=0.1),
        ("l1", 6): Rung(n=7, correlation=-0.9, spread=0.1),
        ("l1", 18): Rung(n=9, correlation=0.6, spread=0.1),
        ("sam", 6): judged([0.5] * 8, [0.5] * 8),
    }
    words = (
        "not used: rung 6 of dropout ranks no better than chance (correlation -0.41, 9 trials), "
        "rung 6 of l2 ranks weakly (correlation 0.4, 80 trials), rung 6 of sam cannot rank, all scores are alike "
        "(8 trials)"
    )
    assert unused(found) == words
    assert unused(found, most=1) == words.split(", rung", maxsplit=1)[0] + ", 2 more"
    assert unused({("l1", 6): found["l1", 6]}) == ""


# A whole sweep, and what is said of it.


def sweep_in(folder: Path, text: str) -> Sweep:
    (folder / "small.toml").write_text(text)
    return Sweep.read(folder / "small.toml")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    text = SWEEP.replace("trials = 4", "trials = 22\ncontrol = 0.3").replace("epochs = 6", "epochs = 4")
    return sweep_in(tmp_path_factory.mktemp("cautious"), text)


@pytest.fixture(scope="module")
def results(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return load(run(sweep, tmp_path_factory.mktemp("cautious"), in_process=True))


def printed(what: RenderableType) -> str:
    console = Console(record=True, width=400)
    console.print(what)
    return console.export_text()


def test_the_default_spares_the_first_eight_of_each_arm(sweep: Sweep, results: Results) -> None:
    assert sweep.search.pruner == "cautious"
    searched = results.trials[results.trials["phase"] == "search"]
    assert set(searched[searched["number"] < 8]["status"]) == {"ok"}
    assert searched["spared"].notna().any() and (searched["status"] == "pruned").any()
    said = set(searched[searched["status"] == "pruned"]["message"])
    assert said <= {f"after epoch {n} it was clearly not among the best of its own arm" for n in (1, 3)}


def test_scheduler_log_and_display_see_the_same_rungs(sweep: Sweep, results: Results) -> None:
    rows, _ = read_log(results.path / "log.jsonl")
    shown, progress, scheduler = Standing(sweep), Progress(sweep), SearchScheduler(sweep)

    def watch(event: str, row: Json) -> None:
        progress.watch(event, row)
        shown.watch(TrialKey(*row["cell"]), event, row)

    PhaseController(scheduler=scheduler, log=Memory(rows), retries=0, watch=watch)
    found = rung_rankings(results)
    assert list(found) == [(arm.name, rung) for arm in sweep.arms for rung in (1, 3)]
    for (arm, rung), there in found.items():
        ladder = scheduler.arms[arm]._judge._ladder  # type: ignore[attr-defined]  # of this pruner
        ours = ladder.rung(rung)
        assert (ours.n, ours.correlation, ours.spread) == pytest.approx(
            (there.n, there.correlation, there.spread), nan_ok=True
        )
    assert shown.words() == unused(found)
    assert unused(found) in printed(progress)
    assert len(rung_correlations(results)) == 6 and pruning_table(results) is not None


def of_an_older_log(sweep: Json) -> SweepRecord:
    """Return a sweep as a log from before pruners had names has it."""
    return SweepRecord.of(sweep | {"search": {"prune": True}})


def test_caption_display_and_plan_say_it(sweep: Sweep, results: Results, tmp_path: Path) -> None:
    text = caption(results)
    assert "each arm pruned against its own trials only. A rung is used once 8 or more of them have finished" in text
    assert "A control share of 30 % of the trials is never pruned" in text
    assert unused(rung_rankings(results)) in text and rungs_words(results) in text
    assert pruning_words(of_an_older_log(results.header["sweep"])) == "each arm pruned against its own trials only"
    few = sweep_in(tmp_path, SWEEP.replace("trials = 4", "trials = 3"))
    short = load(run(few, tmp_path, in_process=True))
    assert (
        "When search ended: 3 of 3 rungs, over all arms, were reached by fewer than 8 trials that finished."
        in caption(short)
    )
    plan = printed(plan_table(few))
    assert "pruning saves at most about 0 epochs (0 %): 8 trials of an arm must finish before it begins" in plan
    assert 'pruner = "none" is safer' in plan


def test_the_plan_counts_what_asha_is_expected_to_save(tmp_path: Path) -> None:
    """27 epochs, rungs 6 and 18: a trial takes 6 + 12 / 3 + 9 / 9 = 11 of them."""
    large = sweep_of(tmp_path, trials=48, pruner="cautious", population=3)
    assert saved(large) == pytest.approx(3 * 40 * 16)
    share = round(100 * 3 * 40 * 16 / (3 * (48 + 3) * 27))
    assert f"pruning saves at most about 1920 epochs ({share} %): 8 trials" in printed(plan_table(large))
    assert "safer" not in printed(plan_table(large))
    asha = sweep_of(tmp_path, trials=48, pruner="asha", population=3, control=0.5)
    assert saved(asha) == pytest.approx(3 * 45 * 16 / 2)
    assert "3 trials must reach a rung before it begins" in printed(plan_table(asha))
    assert "pruning saves" not in printed(plan_table(sweep_of(tmp_path, trials=48, pruner="none", control=0.0)))
