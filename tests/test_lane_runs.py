"""Whole sweeps by lanes: the same decisions, trials that are reproduced bit for bit, and faults of one among many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regtune.analysis.comparison import comparison
from regtune.core.records import Json, Outcome, Trial, TrialKey
from regtune.data import DataLocation
from regtune.execution import lane_work
from regtune.execution.attempt import Report, ReportPlan
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneAnswer, LaneQueue, LaneReport, LaneTerms, OpenLane, PhaseJob, Work
from regtune.execution.lane_width import measured_width, step_bytes
from regtune.execution.lane_work import OwnSplits
from regtune.execution.limits import Limit
from regtune.execution.local import run_here
from regtune.execution.reproduce import recorded_epochs
from regtune.execution.run import RunOptions, lane_terms, run
from regtune.execution.trial_queue import Task
from regtune.results.loader import Results, load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.trainer import train
from tests.command_line import called
from tests.conftest import ASHA, SWEEP, small_trial, untimed
from tests.schedulers import Rows, Singles, Twins
from tests.test_splits import FRESH, own_sweep

UNPRUNED = SWEEP.replace("population = 1", 'pruner = "none"')
PLAN = ReportPlan(rungs=(), checkpoint_seconds=0.0, trial_seconds=None, weights=False)


def sweep_of(folder: Path, text: str, width: int | None) -> Sweep:
    folder.mkdir(exist_ok=True)
    lanes = "" if width is None else f"[cluster]\nlane_width = {width}\ncheckpoint_seconds = 0\n"
    (folder / "small.toml").write_text(text + lanes)
    return Sweep.read(folder / "small.toml")


def ran(folder: Path, text: str, width: int | None, **terms: Any) -> Results:
    return load(run(sweep_of(folder, text, width), folder / "results", in_process=True, **terms))


def near(one: Results, two: Results) -> None:
    keys = ["arm", "phase", "number", "epoch"]
    first, second = (results.epochs.sort_values(keys, ignore_index=True) for results in (one, two))
    assert first[keys].equals(second[keys])
    assert first["val_loss"].to_list() == pytest.approx(second["val_loss"].to_list(), rel=1e-3)
    assert first["train_loss"].to_list() == pytest.approx(second["train_loss"].to_list(), rel=1e-3)


def widths(results: Results) -> set[str]:
    rows, _ = read_log(results.path / "log.jsonl")
    return {row["where"].get("lane", "1") for row in rows if row["event"] == "started"}


@pytest.mark.parametrize("terms", ["", "racing = true\nfirst = 3\n"])
def test_a_sweep_by_lanes_has_the_trials_of_one_by_one(tmp_path: Path, terms: str) -> None:
    one, two = (ran(tmp_path / str(width), UNPRUNED + terms, width) for width in (1, 3))
    assert one.trials["status"].to_list() == two.trials["status"].to_list()
    assert one.trials["params"].to_list() == two.trials["params"].to_list()
    assert (widths(one), widths(two)) == ({"1"}, {"3"})
    near(one, two)


def test_trials_with_splits_of_their_own(tmp_path: Path) -> None:
    path, place = own_sweep(tmp_path, FRESH.replace("population = 1", 'pruner = "none"')), DataLocation(root=tmp_path)
    text = path.read_text().replace("[data]", "[data]\nlabel_noise = 0.25")
    one, two = (ran(tmp_path / str(width), text, width, place=place) for width in (1, 3))
    assert one.chosen == two.chosen
    near(one, two)


def test_one_that_diverges_ends_as_it_does_alone(tmp_path: Path) -> None:
    text = UNPRUNED.replace("high = 0.3", "high = 1000.0")
    one, two = (ran(tmp_path / str(width), text, width) for width in (1, 3))
    assert {"diverged", "ok"} <= set(one.trials["status"])
    assert one.trials["status"].to_list() == two.trials["status"].to_list()


def test_a_pruned_trial_makes_room_for_another(tmp_path: Path) -> None:
    results = ran(tmp_path, ASHA.replace("trials = 4", "trials = 12"), 3)
    status = Counter(results.trials[results.trials["phase"] == "search"]["status"])
    assert status["pruned"] > 3 and status["ok"] > 3
    assert status.total() == 36
    pruned = results.trials[results.trials["status"] == "pruned"]
    assert set(pruned["epochs"]) == {2}, "a pruned trial trains not one epoch beyond its rung"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return what a sweep by lanes of three ends as."""
    return ran(tmp_path_factory.mktemp("whole"), UNPRUNED, 3)


@pytest.mark.parametrize(
    "cut", [pytest.param(9, marks=pytest.mark.slow), 30, pytest.param(47, marks=pytest.mark.slow), 80, 110]
)
def test_a_run_killed_anywhere_ends_as_the_undisturbed_one(tmp_path: Path, whole: Results, cut: int) -> None:
    """Bit for bit, though checkpoints bring trials back into other slots, beside others."""

    class Killed(Exception):
        pass

    rows = 0

    def watch(event: str, row: Json) -> None:
        nonlocal rows
        rows += 1
        if rows == cut:
            raise Killed

    with pytest.raises(Killed):
        ran(tmp_path / "killed", UNPRUNED, 3, watch=watch)
    again = ran(tmp_path / "killed", UNPRUNED, 3)
    keys = ["arm", "phase", "number", "epoch"]
    drop = ["seconds", "data_share"]
    ours, theirs = (each.epochs.sort_values(keys, ignore_index=True).drop(columns=drop) for each in (again, whole))
    pd.testing.assert_frame_equal(ours, theirs)
    pd.testing.assert_frame_equal(untimed(comparison(again)), untimed(comparison(whole)))


def test_a_row_is_trained_again_in_a_lane_of_its_width(tmp_path: Path) -> None:
    ran(tmp_path, UNPRUNED, 3)
    for row in ("dropout/search/2", "mixup/confirm/1"):
        done = called("trial", "results/small", "--row", row, folder=tmp_path)
        assert done.returncode == 0, done.stdout
        assert "identical: every number of 6 epochs" in done.stdout
    # It is the width that does it: alone the bits are others.
    results = load(tmp_path / "results" / "small")
    cell = TrialKey("mixup", "confirm", 1)
    _, recorded, width = recorded_epochs(results, cell)
    alone = [epoch.numbers() for epoch in train(Trial.from_plain(results.plain_trials[cell]))]
    assert (width, alone == recorded) == (3, False)


PLUGIN = '''
from dataclasses import dataclass
import torch
from regtune.regularizers import Regularizer
from regtune.core.knobs import knob

@dataclass(frozen=True, kw_only=True)
class Picky(Regularizer):
    """Raises for one of several between two epochs."""

    def stop(self, epochs):
        if len(epochs) == 3 and epochs[0].val_loss > LIMIT:
            raise RuntimeError("not this one")
        return False
'''
PICKY_KEEP = PLUGIN.replace("def stop", "def keep").replace("return False", "return len(epochs)")


@pytest.mark.parametrize("plugin", [PLUGIN, PICKY_KEEP], ids=["stop", "keep"])
def test_what_one_of_several_raises_between_epochs_is_its_own_end_alone(
    plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its neighbours train on, with the bits that they have without it."""
    name = f"picky_{[PLUGIN, PICKY_KEEP].index(plugin)}"
    monkeypatch.syspath_prepend(str(tmp_path))
    plain = ran(tmp_path / "plain", UNPRUNED, 3)
    first = plain.epochs[(plain.epochs["arm"] == "mixup") & (plain.epochs["epoch"] == 1)]
    searched = first[first["phase"] == "search"]["val_loss"].sort_values().to_list()
    limit = (searched[-1] + searched[-2]) / 2
    (tmp_path / f"{name}.py").write_text(plugin.replace("LIMIT", repr(limit)))
    text = f'plugins = ["{name}"]\n' + UNPRUNED.replace("mixup = { mixup = {} }", "mixup = { mixup = {}, picky = {} }")
    results = ran(tmp_path / "picky", text, 3)
    trials = results.trials[results.trials["phase"] == "search"]
    failed = trials[trials["status"] == "failed"]
    assert failed["arm"].to_list() == ["mixup"]
    assert failed["message"].iloc[0].startswith(f"RuntimeError: not this one ({name}.py:")
    assert failed["epochs"].to_list() == [2], "the third was not yielded"
    assert (trials["status"] == "ok").sum() == 11
    rows, _ = read_log(results.path / "log.jsonl")
    assert not [row for row in rows if row["event"] == "fault"]
    started = Counter(tuple(row["cell"]) for row in rows if row["event"] == "started")
    assert set(started.values()) == {1}, "none began again"
    number = int(failed["number"].iloc[0])
    ours, theirs = (
        each.epochs[(each.epochs["phase"] == "search") & (each.epochs["number"] != number)] for each in (results, plain)
    )
    assert ours["val_loss"].to_list() == theirs["val_loss"].to_list()


RAISES = {
    "an assertion before training": """
    def prepare(self, net, data):
        assert self.how < 0.5, "no"
        return net
""",
    "its own check": """
    def __post_init__(self):
        if isinstance(self.how, float) and 0.2 < self.how < 0.8:
            raise KeyError("how")
""",
    "a hook at every step": """
    def penalty(self, step):
        raise ZeroDivisionError("never")
""",
}


@pytest.mark.parametrize("width", [None, 1, 3])
@pytest.mark.parametrize("what", RAISES)
def test_whatever_a_method_raises_ends_its_trials_and_not_the_sweep(
    what: str, width: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"raising_{list(RAISES).index(what)}_{width}"
    (tmp_path / f"{name}.py").write_text(
        "from dataclasses import dataclass\nfrom optuna.distributions import FloatDistribution\n"
        "from regtune.core.knobs import knob\nfrom regtune.regularizers import Regularizer\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Raising(Regularizer):\n"
        '    """Raises."""\n\n'
        '    how: float = knob(default=0.1, space=FloatDistribution(0.0, 1.0), meaning="how")\n\n'
        f"{RAISES[what]}"
    )
    text = UNPRUNED.replace("mixup = { mixup = {} }", "raising = { raising = {} }").replace("epochs = 6", "epochs = 2")
    results = ran(tmp_path / "sweep", f'plugins = ["{name}"]\n' + text.replace("trials = 4", "trials = 6"), width)
    searched = results.trials[results.trials["phase"] == "search"]
    status = Counter(searched[searched["arm"] == "raising"]["status"])
    assert status["failed"] > 0
    assert (status["ok"] > 0) == (what != "a hook at every step")
    assert set(searched[searched["arm"] == "baseline"]["status"]) == {"ok"}


def test_one_that_fails_has_the_epochs_that_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "late_plugin.py").write_text(PLUGIN.replace("LIMIT", "0.0").replace("Picky", "Late"))
    text = 'plugins = ["late_plugin"]\n' + UNPRUNED.replace("mixup = { mixup = {} }", "late = { late = {} }")
    results = ran(tmp_path / "sweep", text, 3)
    failed = results.trials[results.trials["status"] == "failed"]
    assert set(failed["epochs"]) == {2}, "the third was not yielded"


@pytest.mark.parametrize("terms", ["retrain = 'epochs'\n", "[training]"])
def test_at_a_fixed_width_what_cannot_share_a_lane_trains_alone(tmp_path: Path, terms: str) -> None:
    text = UNPRUNED.replace("epochs = 6", "epochs = 2")
    text = text.replace("[training]", "[training]\nchannels_last = true") if terms == "[training]" else text + terms
    results = ran(tmp_path, text, 3)
    confirmed = results.trials[results.trials["phase"] == "confirm"]
    assert set(confirmed["status"]) == {"ok"}
    assert "[" in terms or (confirmed["retrain_epochs"] > 0).all()


def test_no_trial_is_lost_by_a_fault_that_may_be_a_neighbour_s(tmp_path: Path) -> None:
    queue, log = queue_of(tmp_path, LaneTerms(), scheduler=Singles("search", 4), retries=0)
    work = queue.begin()
    assert work is not None
    lane = OpenLane(queue, work)
    lane.fault("its worker died")
    lane.end()
    assert not [row for row in log.rows if row["event"] in ("fault", "ended")]
    again = queue.begin()
    assert again is not None
    assert len(again.tasks) == 1, "each by itself"
    OpenLane(queue, again).fault("its worker died")
    events = [row["event"] for row in log.rows if row.get("cell") == list(again.tasks[0].key)]
    assert events == ["asked", "fault", "ended"], "a log that can be read"


def test_a_fault_of_the_machine_gives_all_back_and_the_third_attempt_is_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = list[int]()

    class Weak(Lane):
        """No machine for more than one."""

        def __next__(self) -> Any:
            lanes.append(sum(not one.ended for one in self.members))
            if lanes[-1] > 1:
                raise MemoryError("no more of it")
            return super().__next__()

    monkeypatch.setattr(lane_work, "Lane", Weak)
    log = Rows(tmp_path / "log.jsonl")
    scheduler = Twins(count=2, phase="search")
    phase = PhaseController(scheduler=scheduler, log=log, retries=3)
    run_here([job_of(phase, LaneTerms(width=2), PLAN)])
    faults = Counter(tuple(row["cell"]) for row in log.rows if row["event"] == "fault")
    assert set(faults.values()) == {2}, "after that each was alone"
    ends = [row["outcome"]["status"] for row in log.rows if row["event"] == "ended"]
    assert ends == ["ok"] * 4


def test_a_limit_ends_each_by_itself(tmp_path: Path) -> None:
    log = Rows(tmp_path / "log.jsonl")
    phase = PhaseController(scheduler=Twins(count=1), log=log, retries=0)
    plan = ReportPlan(rungs=(), checkpoint_seconds=1e9, trial_seconds=0.0, weights=False)
    run_here([job_of(phase, LaneTerms(width=2), plan)])
    messages = {row["outcome"]["message"] for row in log.rows if row["event"] == "ended"}
    assert messages == {"it ran for longer than its limit of 0 h (cluster.hours_per_trial)"}


def job_of(phase: PhaseController, terms: LaneTerms, plan: ReportPlan = PLAN) -> PhaseJob:
    return PhaseJob(controller=phase, data=load_data(small_trial()), plan=plan, terms=terms)


def queue_of(
    tmp_path: Path, terms: LaneTerms, lanes: int = 1, retries: int = 3, **changes: Any
) -> tuple[LaneQueue, Rows]:
    log = Rows(tmp_path / "log.jsonl")
    scheduler = changes.pop("scheduler", None) or Twins(**changes)
    phase = PhaseController(scheduler=scheduler, log=log, retries=retries)
    return LaneQueue(job_of(phase, terms), lanes=lanes), log


def test_what_is_measured_is_written_down_and_holds_for_every_lane_of_the_kind(tmp_path: Path) -> None:
    queue, log = queue_of(tmp_path, LaneTerms(most=4), count=9)
    first = queue.begin()
    assert first is not None
    assert (first.width, len(first.tasks)) == (None, 4)
    assert queue.begin() is None, "others of the kind wait for the answer"
    ended = [(task.key, Report(outcome=Outcome(status="ok"))) for task in first.tasks]
    answer = queue.exchange(first, LaneReport(width=4, reports=ended, free=4), {})
    assert len(answer.tasks) == 4
    assert [row["width"] for row in log.rows if row["event"] == "lane"] == [4]
    again = queue.begin()
    assert again is not None and again.width == 4


@pytest.mark.parametrize("ahead", [True, False])
def test_a_lane_is_short_of_trials_only_where_all_are_known(ahead: bool, tmp_path: Path) -> None:
    queue, _ = queue_of(tmp_path, LaneTerms(width=4, ahead=ahead), count=3)
    work = queue.begin()
    assert work is not None and work.may_refill != ahead


@pytest.mark.parametrize("may_refill", [True, False])
def test_a_lane_that_may_get_trials_keeps_its_slots_until_it_was_told(
    may_refill: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[int]()

    def narrowed(lane: Lane, places: Sequence[int]) -> None:
        begun.append(len(lane.members[places[0]].epochs))

    monkeypatch.setattr(Lane, "narrowed", narrowed)
    trial = small_trial()
    task = Task(key=TrialKey("a", "search", 0), trial=trial, resume=None, avoid=())
    plan = ReportPlan(rungs=(), report_seconds=0.0, checkpoint_seconds=60.0, trial_seconds=None, weights=False)
    given = Work(kind="k", tasks=(task,), width=4, may_refill=may_refill)
    lane_work.work(given, load_data(trial), plan, lambda told: LaneAnswer())
    assert begun == [1 if may_refill else 0], "told after its first epoch that nobody comes"


def test_lanes_that_train_at_once_share_what_there_is(tmp_path: Path) -> None:
    queue, _ = queue_of(tmp_path, LaneTerms(), lanes=3, count=5)  # of ten cells five trials
    work = queue.begin()
    assert work is not None
    assert len(work.tasks) == 2


def test_without_looking_ahead_a_lane_of_one_is_asked_for_as_it_begins(tmp_path: Path) -> None:
    queue, log = queue_of(tmp_path, LaneTerms(width=1, ahead=False), count=3)
    work = queue.begin()
    assert work is not None
    assert len(work.tasks) == 1
    assert len([row for row in log.rows if row["event"] == "asked"]) == 1


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, float]]:
    """Have a step of a lane take so many seconds, by width."""
    seconds: dict[int, float] = {1: 0.1, 4: 0.2, 8: 0.3}
    monkeypatch.setattr("regtune.execution.lane_width._seconds", lambda lane: seconds[lane.width])
    yield seconds


@pytest.mark.parametrize(("taken", "width"), [({}, 8), ({8: 0.9}, 1), ({1: 0.0001}, 1), ({1: 0.3, 4: 0.9}, 4)])
def test_the_width_is_the_one_that_is_fastest(slow: dict[int, float], taken: dict[int, float], width: int) -> None:
    """Not where nothing is gained, nor where there is little to train; of a slow network four are tried."""
    slow |= taken
    trials = [small_trial(seed=seed, epochs=90) for seed in range(8)]
    assert measured_width(trials, OwnSplits(load_data(trials[0])), most=8) == width
    short = [replace(trial, epochs=30) for trial in trials]  # of 720 steps measuring may take 14, three times a lane's
    assert measured_width(short, OwnSplits(load_data(trials[0])), most=8) == 1


def test_a_lane_is_as_wide_as_memory_allows(slow: dict[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations count: of a convolution they are many times the weights."""
    trials = [small_trial(seed=seed, epochs=90) for seed in range(8)]
    data = load_data(trials[0])
    one = step_bytes(Lane(trials[:1], data=data))
    monkeypatch.setattr("regtune.execution.lane_width._memory", lambda trial: 2 * 5 * one)
    slow[5] = 0.2
    assert measured_width(trials, OwnSplits(data), most=8) == 5
    monkeypatch.setattr("regtune.execution.lane_width._memory", lambda trial: 2 * 3 * one)
    assert measured_width(trials, OwnSplits(data), most=8) == 1
    conv = small_trial(network={"name": "convnet", "channels": [8]})
    weights = sum(leaf.nbytes for leaf in Lane((conv,)).state.params.values())
    few, many = (step_bytes(Lane((replace(conv, batch=batch),), data=load_data(conv))) for batch in (4, 32))
    activations = 4 * 28 * 8 * 6 * 6  # of one feature map, of the further examples
    assert few > 3 * weights
    assert many - few > 2 * activations


@pytest.mark.parametrize("changes", [{"channels_last": True}, {"retrain": "epochs", "phase": "confirm"}])
def test_what_cannot_share_a_lane_trains_alone(slow: dict[int, float], changes: dict[str, Any]) -> None:
    trials = [small_trial(seed=seed, epochs=90, **changes) for seed in range(8)]
    assert measured_width(trials, OwnSplits(load_data(trials[0])), most=8) == 1


def test_code_that_draws_from_global_states_trains_alone(slow: dict[int, float]) -> None:
    recipe = [{"name": "pixel_noise"}]
    trials = [small_trial(recipe, seed=s, epochs=90, plugins=("tests.plugin_noise",)) for s in range(8)]
    assert measured_width(trials, OwnSplits(load_data(trials[0])), most=8) == 1


def test_idle_slots_are_left_out_at_the_end_and_no_bit_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ASHA.replace("trials = 4", "trials = 12")
    narrow = list[int]()

    class Told(Lane):
        def __next__(self) -> Any:
            narrow.append(self.width)
            return super().__next__()

    monkeypatch.setattr(lane_work, "Lane", Told)
    ours = ran(tmp_path / "narrowed", text, 9)
    assert min(narrow) < 9 == max(narrow)
    monkeypatch.setattr(Lane, "narrowed", lambda lane, places: None)
    narrow.clear()
    theirs = ran(tmp_path / "wide", text, 9)
    assert set(narrow) == {9}
    assert widths(ours) == widths(theirs) == {"9"}
    keys, drop = ["arm", "phase", "number", "epoch"], ["seconds", "data_share"]
    one, two = (each.epochs.sort_values(keys, ignore_index=True).drop(columns=drop) for each in (ours, theirs))
    pd.testing.assert_frame_equal(one, two)
    pd.testing.assert_frame_equal(untimed(comparison(ours)), untimed(comparison(theirs)))


def test_a_lane_that_was_narrowed_takes_no_further_trials(tmp_path: Path) -> None:
    queue, _ = queue_of(tmp_path, LaneTerms(width=2), scheduler=Singles("search", 9))
    work = queue.begin()
    assert work is not None
    ended = [(work.tasks[0].key, Report(outcome=Outcome(status="ok")))]
    assert queue.exchange(work, LaneReport(width=2, reports=ended, last=True, free=1), {}).tasks == []
    assert len(queue.exchange(work, LaneReport(width=2, free=1), {}).tasks) == 1


def test_in_the_middle_of_an_epoch_no_checkpoint_is_made() -> None:
    tasks = [
        Task(key=TrialKey("a", "search", seed), trial=small_trial(seed=seed), resume=None, avoid=()) for seed in (1, 2)
    ]
    slots = lane_work._Slots(OwnSplits(load_data(tasks[0].trial)), 2, PLAN)
    slots.fill(tasks)
    slots.epoch()
    assert [report.checkpoint for _, report in slots.told(sound=False)] == [None, None]
    slots.epoch()
    assert all(report.checkpoint is not None for _, report in slots.told())


def test_where_results_decide_what_is_tried_no_more_than_a_lane_is_asked_for(tmp_path: Path) -> None:
    text = SWEEP.replace('sampler = "random"', 'sampler = "tpe"')
    sweep = sweep_of(tmp_path, text, 3)
    assert lane_terms(sweep, "search", RunOptions()) == LaneTerms(width=3, ahead=False)
    assert lane_terms(sweep, "confirm", RunOptions()) == LaneTerms(width=3, ahead=True)
    assert lane_terms(sweep.in_lanes("auto"), "search", RunOptions()).width == 1
    assert lane_terms(sweep_of(tmp_path, SWEEP, None), "search", RunOptions(limit=Limit(hours=1.0))).width == 1
    queue, log = queue_of(tmp_path, LaneTerms(width=3, ahead=False), scheduler=Singles("search", 9))
    work = queue.begin()
    assert work is not None
    assert len(work.tasks) == len([row for row in log.rows if row["event"] == "asked"]) == 3
    task = queue._phase.ask()
    assert task is not None
    assert task.key.number == 3, "the fourth was not asked for"
