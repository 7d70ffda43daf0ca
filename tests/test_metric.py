"""`[search] metric` and `[confirm] metric`: what is chosen, pruned and told by each, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median_low
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from ray.tune.schedulers import AsyncHyperBandScheduler
from scipy import stats

from regtune.analysis.budget import optimism
from regtune.analysis.columns import metric_of
from regtune.analysis.comparison import Analysis, comparison
from regtune.analysis.sweeps import compare_sweeps
from regtune.analysis.tuning import tuning
from regtune.analysis.verdicts import against_baseline
from regtune.cli.progress import Progress
from regtune.core.errors import Refused
from regtune.core.halving import Score, Selection, off_is_as_good
from regtune.core.metric import ACCURACY, ASKED, AUROC, METRICS, NLL, Name
from regtune.core.records import Epoch, Outcome, TrialKey
from regtune.core.selection import score_of
from regtune.data import DataLocation
from regtune.execution.preflight import preflight
from regtune.reports.brief import brief
from regtune.reports.figures.catalog import drawn
from regtune.reports.figures.pairs import frame as pairs_frame
from regtune.reports.output import formatted
from regtune.reports.page.report import page
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.folder import folder_tables
from regtune.reports.tables.sweeps import caption_over_sweeps, table_over_sweeps
from regtune.results.loader import Results, load
from regtune.search.confirm import ConfirmScheduler
from regtune.search.search import SearchScheduler
from regtune.search.select import SelectScheduler
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import write_log
from tests.made_up import made_up_log
from tests.resuming import SMALL, assert_same_results, ran, read, trained_epochs

ARMS = ("base", "calm", "sure")


def with_metric(text: str, search: str = "", confirm: str = "") -> str:
    for table, name in (("search", search), ("confirm", confirm)):
        text = text.replace(f"[{table}]", f'[{table}]\nmetric = "{name}"') if name else text
    return text


class Named:
    def __init__(self, name: str) -> None:
        self.trial_id = name


def told(number: int, values: Mapping[str, float], *, end: bool = False) -> Epoch:
    """Return an epoch with these values of metrics by name; accuracy and loss are 0.5 and 1 if not given."""
    measured: dict[str, Any] = {"val_accuracy": 0.5, "val_loss": 1.0}
    measured |= {METRICS[name].val: value for name, value in values.items()}
    outcome = Outcome(status="ok", kept=number, metrics=measured) if end else None
    rest: dict[str, Any] = {"objective": 1.0, "train_accuracy": 0.5, "train_loss": 1.0, "learning_rate": 0.1}
    return Epoch(number=number, kept=number, seconds=0.0, outcome=outcome, **measured, **rest)


def told_of(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the rows of a table by arm."""
    return {str(row["arm"]): {str(k): v for k, v in row.items()} for row in frame.to_dict("records")}


# What is the default stays what it was.


def test_the_names_are_those_of_the_table_and_the_default_leaves_headers_and_ids_as_they_were(tmp_path: Path) -> None:
    assert list(METRICS) == list(get_args(Name))
    plain = read(tmp_path, SMALL)
    assert "metric" not in plain.plain()["search"] and "metric" not in plain.plain()["confirm"]
    asked = plain.arm("baseline").trial({}, seed=1, phase="search")
    for search, confirm in (("nll", "accuracy"), ("accuracy", "auroc")):
        other = read(tmp_path, with_metric(SMALL, search, confirm))
        assert other.arm("baseline").trial({}, seed=1, phase="search").id == asked.id, "nothing more is measured"
    other = read(tmp_path, with_metric(SMALL, "auroc"))
    assert other.arm("baseline").trial({}, seed=1, phase="search").metric == "auroc"
    with pytest.raises(Refused, match=r"search.metric: expected 'accuracy', .* or 'auroc', given 'acuracy'$"):
        read(tmp_path, with_metric(SMALL, "acuracy"))


def test_a_score_is_better_where_it_is_more_and_what_failed_is_the_worst() -> None:
    assert [NLL.score(0.3), NLL.score(None), NLL.score(math.nan), NLL.score(1e30)] == [-0.3, -1e6, -1e6, -1e6]
    assert [AUROC.score(0.7), AUROC.score(None)] == [0.7, 0.0]
    assert score_of("ok", {"val_loss": 0.3}, NLL) == Score(-0.3, 0.3)
    assert score_of("diverged", {}, NLL) == Score(-1e6, None) and score_of("lost", {}, NLL) == Score(None, None)
    good, bad = Score(-0.3, 0.3), Score(-1e6, None)
    assert off_is_as_good([bad, bad, good], [good, good, good]) and not off_is_as_good([good] * 3, [bad, bad, good])


# Search by it.


def rare(folder: Path, count: int = 900) -> Path:
    """Write pictures of which 5 % are of class 1, a little brighter in a few pixels than the rest."""
    draws = np.random.default_rng(0)
    labels = (np.arange(count) % 20 == 0).astype(np.int64)
    pictures = draws.normal(0.5, 0.12, size=(count, 4, 4))
    pictures[:, 0] += 0.12 * labels[:, None]
    np.savez(folder / "rare.npz", x=np.clip(255 * pictures, 0, 255).astype(np.uint8), y=labels)
    return folder


RARE = """
[data]
name = "npz"
path = "rare.npz"
train = 200
validation = 400
[network]
name = "mlp"
widths = [32]
[optimizer]
momentum = 0.0
learning_rate = { low = 0.002, high = 1.0, log = true }
[training]
epochs = 30
batch = 20
[arms]
baseline = {}
[search]
trials = 2
sampler = "grid"
levels = 2
pruner = "none"
[select]
seeds = 0
[confirm]
seeds = 1
aa = false
weights = false
"""


def test_where_one_class_has_95_percent_search_by_balanced_accuracy_picks_another_configuration(tmp_path: Path) -> None:
    """One learning rate learns to say the frequent class, the other tells classes apart at the cost of accuracy."""
    place, found = DataLocation(root=rare(tmp_path)), {}
    for name in ("accuracy", "balanced_accuracy"):
        text = with_metric(RARE, name, name)
        (tmp_path / name).mkdir()
        found[name] = load(ran(tmp_path / name, text, place=place))
    one, other = found["accuracy"], found["balanced_accuracy"]
    same = ["number", "val_accuracy", "val_loss"]
    searched = [each.trials[each.trials["phase"] == "search"][same].to_numpy().tolist() for each in found.values()]
    assert searched[0] == searched[1], "the trials are the same"
    assert one.choices.numbers != other.choices.numbers
    tested = [each.confirmed.iloc[0] for each in found.values()]
    assert tested[0]["test_accuracy"] >= 0.94 and tested[0]["test_balanced_accuracy"] <= 0.55
    assert tested[1]["test_balanced_accuracy"] > tested[0]["test_balanced_accuracy"] + 0.05
    chosen = [next(iter(each.choices.numbers.values())) for each in found.values()]
    scores = {row[0]: row[1] for row in searched[0]}
    assert scores[chosen[1]] < scores[chosen[0]]


def sweep_of(folder: Path, search: str, **settings: Any) -> Sweep:
    text = with_metric(SMALL, search).replace("trials = 2", "trials = 60").replace("epochs = 4", "epochs = 27")
    for name, value in settings.items():
        line = f"{name} = {json.dumps(value)}"
        before = next((row for row in text.splitlines() if row.startswith(f"{name} = ")), "[search]")
        text = text.replace(before, f"[search]\n{line}" if before == "[search]" else line)
    return read(folder, text)


@pytest.mark.parametrize("metric", list(METRICS))
def test_decisions_are_those_of_rays_asha_on_the_values_themselves(tmp_path: Path, metric: str) -> None:
    """Ray minimizes the loss and maximizes the others. Metrics of a trial have nothing to do with each other here."""
    sweep, draws, decisions = sweep_of(tmp_path, metric, pruner="asha"), np.random.default_rng(1), list[str]()
    mine = SearchScheduler(sweep).arms["baseline"]
    peer = AsyncHyperBandScheduler(
        time_attr="epoch", metric="value", mode="min" if metric == "nll" else "max", max_t=27, grace_period=6,
        reduction_factor=3, stop_last_trials=False,
    )  # fmt: skip
    for number in range(40):
        mine.ask(TrialKey("baseline", "search", number))
        handle: Any = Named(str(number))
        peer.on_trial_add(None, handle)
        values = {other: float(draws.random()) for other in METRICS}
        for at in range(1, 8):
            decided = mine.tell(number, told(at, values))
            theirs = peer.on_trial_result(None, handle, {"epoch": at, "value": values[metric]})
            assert decided == ("stop" if theirs == "STOP" and number >= 3 else "go")
            decisions.append(decided)
            if decided == "stop" or theirs == "STOP":
                break
    assert decisions.count("stop") > 15


def test_samplers_see_minus_the_loss_and_the_cautious_pruner_the_spread_of_trials_alone(tmp_path: Path) -> None:
    sweep, draws = sweep_of(tmp_path, "nll", pruner="cautious", sampler="tpe"), np.random.default_rng(2)
    alone, scheduler = sweep.pruner.judge(27, None), SearchScheduler(sweep)
    mine, stopped, losses = scheduler.arms["baseline"], 0, dict[int, list[float]]()
    for number in range(50):
        key, level = TrialKey("baseline", "search", number), draws.uniform(0.5, 2.0)
        mine.ask(key)
        for at in range(1, 28):
            loss = level + 0.02 * float(draws.normal())
            losses.setdefault(number, []).append(loss)
            epoch = told(at, {"nll": loss, "accuracy": float(draws.random())}, end=at == 27)
            decided = scheduler.tell(key, epoch) == "stop"
            assert decided == alone.ends(number, epoch, -loss)
            if decided or at == 27:
                scheduler.end(key, epoch.outcome or Outcome(status="pruned"))
                stopped += decided
                break
    assert 5 < stopped < 45
    for trial in mine._history():
        seen = [-loss for loss in losses[trial.number]]
        assert list(trial.intermediate_values.values()) == seen
        assert trial.value in (None, seen[-1])


def test_a_standard_error_of_one_trial_is_for_accuracies_only(tmp_path: Path) -> None:
    selected = SMALL.replace("seeds = 0", "seeds = 2\ncandidates = 1\nmost = 4")
    scores = [(n, Score(value, 1.0)) for n, value in enumerate((0.9, 0.89, 0.88, 0.2))]
    for metric, finalists in (("accuracy", [0, 1, 2]), ("balanced_accuracy", [0])):
        selection = Selection.of(read(tmp_path, with_metric(selected, metric)).recorded)
        assert selection is not None and selection.finalists(scores) == finalists


def searched(folder: Path, text: str, values: Mapping[str, Sequence[float]]) -> SelectScheduler:
    """Return select after a search whose trials ended with these losses; accuracies say the opposite."""
    sweep = read(folder, text)
    scheduler = SearchScheduler(sweep)
    for asked in iter(scheduler.ask, None):
        assert asked is not None
        loss = values[asked.key.arm][asked.key.number]
        scheduler.end(asked.key, Outcome(status="ok", kept=1, metrics={"val_accuracy": loss / 9, "val_loss": loss}))
    return SelectScheduler(sweep, scheduler)


def test_select_and_confirm_take_the_lowest_loss(tmp_path: Path) -> None:
    losses = {"baseline": (0.4, 0.3, 0.9), "dropout": (0.7, 0.8, 0.2)}
    text = with_metric(SMALL, "nll").replace("trials = 2", "trials = 3")
    assert searched(tmp_path, text, losses).choices.numbers == {"baseline": 1, "dropout": 2}
    scheduler = searched(
        tmp_path, text.replace("[select]\nseeds = 0", "[select]\nseeds = 2\ncandidates = 2\nmost = 2"), losses
    )
    after = {"baseline": {1: 0.9, 0: 0.1}, "dropout": {2: 0.3, 0: 0.35}}
    for asked in iter(scheduler.ask, None):
        assert asked is not None
        loss = after[asked.key.arm][asked.key.number // 100]
        scheduler.end(asked.key, Outcome(status="ok", kept=1, metrics={"val_accuracy": loss / 9, "val_loss": loss}))
    assert scheduler.choices.numbers == {"baseline": 0, "dropout": 2}


def test_a_race_goes_by_the_metric_of_confirm(tmp_path: Path) -> None:
    """Dropout is far better in likelihood, and no better in accuracy: its race is over at once."""
    text = SMALL.replace("seeds = 2", "seeds = 8\nracing = true\nfirst = 4")
    losses = {"baseline": (0.4, 0.3), "dropout": (0.7, 0.8)}
    counts = {}
    for name in ("accuracy", "nll"):
        scheduler = ConfirmScheduler(
            read(tmp_path, with_metric(text, "nll", name)),
            searched(tmp_path, with_metric(text, "nll", name), losses),
            lambda ended: None,
        )
        draws = np.random.default_rng(0)
        for asked in iter(scheduler.ask, None):
            assert asked is not None
            loss = 1.0 - 0.5 * (asked.key.arm == "dropout") + 0.01 * draws.random()
            scheduler.end(
                asked.key, Outcome(status="ok", kept=1, metrics={"test_accuracy": draws.random(), "test_loss": loss})
            )
        counts[name] = len(scheduler.planned)
    assert counts == {"accuracy": 16, "nll": 8}


# A whole sweep, and its words.

SWEEP = with_metric(
    SMALL.replace("seeds = 0", "seeds = 2").replace("seeds = 2\nweights", "seeds = 3\nweights"), "nll", "nll"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("nll"), SWEEP)


def test_the_words_of_a_sweep_by_likelihood(finished: Path, tmp_path: Path) -> None:
    results = load(finished)
    found, text = tables(results), brief([finished.parent], 120)
    assert metric_of(found.rows) == NLL
    rows = found.rows.set_index("arm")
    by_arm = results.confirmed.groupby("arm")["test_loss"]
    assert rows["test_loss"].to_dict() == pytest.approx(by_arm.mean().to_dict())
    assert list(found.scores.frame.columns)[:4] == ["arm", "verdict", "difference", "test NLL"]
    assert found.scores.frame["test NLL"].iloc[0].startswith(f"{rows['test_loss'].iloc[0]:.3f} [")
    for words in (
        "mean validation negative log-likelihood (NLL), trained on 3 fresh seeds",
        "Test negative log-likelihood (NLL) in nats, lower is better, at the kept epoch",
        "Difference: to baseline in nats, below 0 is better, paired",
    ):
        assert words in found.scores.caption
    assert "two standard errors of its best" not in found.scores.caption
    assert "Test set resampled" not in found.scores.caption
    assert "Verdicts are by test negative log-likelihood (NLL): lower is better." in text
    assert "Differences: nats of test negative log-likelihood (NLL), below 0 is better" in " ".join(text.split())
    assert "test accuracy %" in found.metrics.frame and "accuracy difference" in found.metrics.frame
    assert "test NLL" not in found.metrics.frame and "searched nats" in found.metrics.frame
    assert "below 0 is better, of accuracy above 0" in found.metrics.caption
    whole = page(folder_tables([results]), drawn(tables(results)))
    for words in (
        "alidation negative log-likelihood (NLL) (lower is better) of the search trials",
        "in nats, below 0",
    ):
        assert words in whole
    for figure in drawn(tables(results)):
        assert "alidation accuracy" not in figure.caption, figure.name
        assert "accuracy %" not in json.dumps(figure.spec or {}), figure.name
    plain = json.loads(formatted([finished.parent], "json"))["sweeps"][0]
    assert plain["arms"][0]["metric"] == "nll" and "test_loss_low" in plain["arms"][0]
    assert "metric" in formatted([finished.parent], "csv").splitlines()[0]
    assert "in percent" not in found.tuning.caption if found.tuning else False
    progress = Progress(read(tmp_path, SWEEP))
    for row in read_log(finished)[0]:
        progress.watch(row["event"], row)
    search = results.trials[(results.trials["phase"] == "search") & (results.trials["arm"] == "baseline")]
    best = progress.best.score("search", "baseline")
    assert best == pytest.approx(-search["val_loss"].min())


def test_what_search_promised_too_much_is_above_0_where_less_is_better(finished: Path) -> None:
    results = load(finished)
    rows = told_of(optimism(results))
    searches = results.trials[results.trials["phase"] == "search"].groupby("arm")["val_loss"].min()
    confirmed = results.confirmed.groupby("arm")["val_loss"].mean()
    for arm in results.sweep.arms:
        assert rows[arm]["searched"] == searches[arm]
        assert rows[arm]["optimism_validation"] == pytest.approx(confirmed[arm] - searches[arm])


def test_a_finished_sweep_run_again_adds_nothing_and_a_new_log_of_it_is_the_same(
    finished: Path, tmp_path: Path
) -> None:
    before = finished.read_bytes()
    ran(finished.parent.parent, SWEEP)
    assert finished.read_bytes() == before
    assert_same_results(ran(tmp_path, SWEEP), finished)


DRAWS = np.random.default_rng(5)
LOSSES: dict[str, NDArray[np.float64]] = {
    arm: 0.5 + shift + 0.02 * DRAWS.standard_normal(8) for arm, shift in zip(ARMS, (0.0, -0.1, 0.1), strict=True)
}
ACCURACIES = {arm: (0.9 + 0.01 * DRAWS.standard_normal(8)).tolist() for arm in ARMS}


def made_up(folder: Path, metric: str, racing: bool = False, **measured: Mapping[str, Any]) -> Results:
    terms = {"confirm": {"metric": metric, **({"racing": True, "first": 4} if racing else {})}}
    losses = {"test_loss": {arm: values.tolist() for arm, values in LOSSES.items()}}
    return load(made_up_log(folder, ACCURACIES, metrics={**losses, **measured}, terms=terms))


def test_verdicts_are_scipys_paired_t_test_of_losses_and_lower_is_better(tmp_path: Path) -> None:
    results = made_up(tmp_path, "nll")
    rows = told_of(comparison(results))
    for arm, verdict in (("calm", "better"), ("sure", "worse")):
        test = stats.ttest_rel(LOSSES[arm], LOSSES["base"])
        assert rows[arm]["difference"] == pytest.approx(float((LOSSES[arm] - LOSSES["base"]).mean()))
        assert rows[arm]["p"] == pytest.approx(test.pvalue) and rows[arm]["verdict"] == verdict
        assert rows[arm]["better"] == (LOSSES[arm] < LOSSES["base"]).mean()
    assert [row["test_accuracy_verdict"] for row in rows.values()] == ["", "unresolved", "unresolved"]
    pairs = pairs_frame(results)
    (pair,) = pairs[(pairs["row"] == "calm") & (pairs["column"] == "sure")].to_dict("records")
    assert pair["verdict"] == "better" and pair["difference"] < 0
    assert "calm" in brief([tmp_path], 100).split("Worse")[0]
    raced = against_baseline(made_up(tmp_path / "race", "nll", racing=True))
    assert {arm: found.verdict for arm, found in raced.items()} == {"calm": "better", "sure": "worse"}
    assert raced["calm"].mean < 0 < raced["sure"].mean and raced["calm"].high <= 0 <= raced["sure"].low


def test_relevant_is_in_the_unit_of_the_metric(tmp_path: Path) -> None:
    made_up(tmp_path, "nll")
    rows = [{k: v for k, v in row.items() if k != "crc"} for row in read_log(tmp_path / "log.jsonl")[0]]
    rows[0]["sweep"]["confirm"]["relevant"] = 0.05
    write_log(tmp_path / "log.jsonl", rows)
    found = tables(load(tmp_path))
    assert found.rows["relevant"].to_list() == ["", "better", "worse"]
    assert "better or worse by more than 0.05 nats, equal within them" in found.scores.caption


def test_an_undefined_value_is_left_out_and_said(tmp_path: Path) -> None:
    values = {arm: [0.7, 0.71, None, 0.7, 0.72, 0.73, 0.7, 0.69] for arm in ARMS}
    values["calm"] = [0.8, 0.82, 0.8, 0.79, 0.8, 0.81, 0.83, None]
    results = made_up(tmp_path, "auroc", test_auroc=values)
    found = tables(results)
    rows = found.rows.set_index("arm")
    assert rows["n"].to_list() == [7, 7, 7] and rows.loc["calm", "pairs"] == 6
    assert rows.loc["calm", "verdict"] == "better" and not rows["test_auroc"].isna().any()
    (said,) = [sentence for sentence in found.scores.sentences if "AUROC" in sentence]
    assert ": base 1, calm 1, sure 1." in said and "a class without an example in the split" in said
    nothing = tables(made_up(tmp_path / "none", "auroc", test_auroc={arm: [None] * 8 for arm in ARMS}))
    assert set(nothing.rows["verdict"]) == {"", "unresolved"}
    assert any("no result on test AUROC" in sentence for sentence in nothing.scores.sentences)


def test_ranks_over_sweeps_are_each_by_its_own_metric(tmp_path: Path) -> None:
    sweeps = [made_up(tmp_path / name, name) for name in ("nll", "accuracy")]
    found = compare_sweeps([Analysis(results=results) for results in sweeps])
    first = {arm: float(values.mean()) for arm, values in LOSSES.items()}
    second = {arm: float(np.mean(values)) for arm, values in ACCURACIES.items()}
    places = [stats.rankdata([first[a] for a in ARMS]), stats.rankdata([-second[a] for a in ARMS])]
    assert found.ranks.mean.to_list() == np.mean(places, axis=0).tolist()
    assert any(str(name).endswith("(NLL)") for name in table_over_sweeps(found))
    assert (
        "by the metric of its verdicts (test negative log-likelihood (NLL) in nats, lower is better; test accuracy"
        in (caption_over_sweeps(found))
    )


def test_tuning_curves_of_a_loss_are_the_median_of_the_lowest(finished: Path) -> None:
    results = load(finished)
    rows = told_of(tuning(results))
    for arm, mine in results.trials[results.trials["phase"] == "search"].groupby("arm"):
        row, losses = rows[str(arm)], mine["val_loss"].to_list()
        shares = sorted(math.exp(-min(a, b)) for a in losses for b in losses)
        assert row["best_of_2"] == pytest.approx(-math.log(median_low(shares)))
        assert row["best_of_2_low"] <= row["best_of_2"] <= row["best_of_2_high"]


# Changed later, or undefined from the beginning.


def test_confirm_metric_may_be_another_later_and_nothing_is_trained(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "later"
    log = folder / "small" / "log.jsonl"
    write_log(log, read_log(finished)[0])
    with trained_epochs(monkeypatch) as trained:
        for name in ("auroc", "macro_f1", "balanced_accuracy", "accuracy"):
            ran(folder, SWEEP.replace('[confirm]\nmetric = "nll"', f'[confirm]\nmetric = "{name}"'))
            found, metric = tables(load(log)), METRICS[name]
            assert metric_of(found.rows) == metric and metric.head("test") in found.scores.frame
    assert not trained
    with pytest.raises(Refused, match=r"search\.metric: nll -> nothing"):
        ran(folder, SWEEP.replace('[search]\nmetric = "nll"', "[search]"))


def test_what_an_older_log_lacks_is_named(finished: Path, tmp_path: Path) -> None:
    rows, _ = read_log(finished)
    for row in rows:
        if row["event"] == "ended":
            row["outcome"]["metrics"].pop("test_auroc", None)
    log = tmp_path / "small" / "log.jsonl"
    write_log(log, rows)
    text = SWEEP.replace('[confirm]\nmetric = "nll"', '[confirm]\nmetric = "auroc"')
    with pytest.raises(Refused) as refused:
        ran(tmp_path, text)
    said = str(refused.value)
    assert "\n" not in said and "confirm.metric: expected one that every confirmed trial in the log has" in said
    assert "(accuracy, balanced_accuracy, macro_f1, nll), given 'auroc': test_auroc was not recorded of" in said
    ran(tmp_path, text.replace('"auroc"', '"macro_f1"'))


def test_a_race_is_by_one_metric_from_its_beginning(tmp_path: Path) -> None:
    text = SMALL.replace("seeds = 2", "seeds = 4\nracing = true\nfirst = 4")
    ran(tmp_path, text)
    with pytest.raises(Refused, match=r"confirm\.metric: nothing -> nll"):
        ran(tmp_path, with_metric(text, confirm="nll"))


def test_a_split_without_a_class_is_refused_before_anything_starts(tmp_path: Path) -> None:
    place = DataLocation(root=rare(tmp_path, count=220))
    with np.load(tmp_path / "rare.npz") as whole:
        x, y = whole["x"], whole["y"]
    np.savez(tmp_path / "tested.npz", x=x, y=y, x_test=x[y == 0][:30], y_test=y[y == 0][:30])
    small = RARE.replace("train = 200", "train = 100")
    for table, which, text in (
        ("search", "validation", small.replace("validation = 400", "validation = 4")),
        ("confirm", "test", small.replace("validation = 400", "validation = 60").replace("rare.npz", "tested.npz")),
    ):
        with pytest.raises(Refused) as refused:
            preflight(read(tmp_path, with_metric(text, **{table: "auroc"})), place)
        assert str(refused.value) == (
            f"{table}.metric: expected {which} examples of every class, since 'auroc' is a mean over classes, given "
            f"none of class 1; add examples, or take 'accuracy' or 'nll'"
        )
        preflight(read(tmp_path, with_metric(text, "nll", "nll")), place)


def test_validation_metrics_that_were_asked_for_reach_tables_and_frames(tmp_path: Path) -> None:
    results = load(ran(tmp_path, with_metric(SMALL, "macro_f1")))
    assert results.epochs["val_macro_f1"].notna().all() and results.trials["val_macro_f1"].notna().any()
    assert not set(results.epochs.columns) & (set(ASKED) - {"val_macro_f1"})
    searches = results.trials[results.trials["phase"] == "search"]
    best = {str(arm): mine.set_index("number")["val_macro_f1"].idxmax() for arm, mine in searches.groupby("arm")}
    assert results.choices.numbers == best
    assert "none pruned" in tables(results).scores.caption
    assert "configuration of each arm with the best validation macro F1" in tables(results).scores.caption
    assert metric_of(tables(results).rows) == ACCURACY
