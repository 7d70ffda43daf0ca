"""A sweep that is repeated as a whole: other seeds throughout, a log each, and a table over whole searches."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console
from scipy import stats
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.analysis.repeat_scores import repeat_scores
from regtune.analysis.repeats import counted_repeats
from regtune.cli.dry_run import forecast_all
from regtune.cli.plan import plan_table
from regtune.cli.progress import Progress
from regtune.core.errors import Refused
from regtune.core.records import TrialKey
from regtune.core.selection import in_control_share
from regtune.execution.limits import Limit
from regtune.execution.optuna_mirror import Mirror
from regtune.execution.ray.jobs import job_id, progress
from regtune.execution.repeats import run_all
from regtune.execution.run import RunOptions, run
from regtune.execution.watch import Watch
from regtune.reports.formats import SWEEPS
from regtune.reports.output import formatted, write_folder
from regtune.reports.page.sections import sections
from regtune.reports.tables.catalog import tables
from regtune.reports.tables.folder import folder_tables, read_folder, repeats_in
from regtune.reports.tables.repeats import repeats_as_text, repeats_caption, repeats_sentences
from regtune.results.loader import Results, load
from regtune.samplers import SAMPLERS
from regtune.search.search import SearchScheduler
from regtune.storage.layout import repeats_of
from regtune.storage.log import read_log
from regtune.sweep.schema import MAX_SEED, MAX_TRIALS
from regtune.sweep.sweep import Sweep
from tests.conftest import write_log
from tests.made_up import RATE, made_up_log, with_terms
from tests.resuming import SMALL, Stopped, assert_same_results, read, stop_at
from tests.test_run import numbers

REPEATED = SMALL.replace("trials = 2", "trials = 2\nrepeats = 3")


def ran(folder: Path, text: str = REPEATED, *, limit: Limit | None = None, **watched: Any) -> list[Path]:
    return run_all(read(folder, text), folder, RunOptions(in_process=True, limit=limit or Limit()), **watched)


def words(shown: Any) -> str:
    """Return what is drawn, its blanks made one."""
    console = Console(file=io.StringIO(), width=300)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().replace("│", " ").split())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return ran(tmp_path_factory.mktemp("repeats"))


# Seeds


def test_no_seed_of_a_trial_is_met_twice(tmp_path: Path) -> None:
    """Over all phases and repeats, the second training of a trial included, and all of them fit into 32 bits."""
    ends = (0, 1, 2, MAX_TRIALS - 2, MAX_TRIALS - 1)
    for first in (0, MAX_SEED - 99):
        text = f"seed = {first}\n" + REPEATED.replace("repeats = 3", "repeats = 100")
        every = read(tmp_path, text).every_repeat()
        assert [sweep.seed for sweep in every] == list(range(first, first + 100))
        drawn = [seed(number) for s in every for seed in (s.search_seed, s.confirm_seed) for number in ends]
        drawn += [-1 - seed for seed in drawn]
        assert len(set(drawn)) == len(drawn)
        assert all(-(2**31) <= seed < 2**31 for seed in drawn)


@pytest.mark.parametrize("sampler", ["grid", "paired", "qmc", "random", "tpe"])
def test_every_sampler_searches_elsewhere_in_every_repeat(tmp_path: Path, sampler: str) -> None:
    text = REPEATED.replace('"random"', f'"{sampler}"').replace("trials = 2", "trials = 9\nlevels = 9")
    searched = []
    for sweep in read(tmp_path, text).every_repeat():
        scheduler = SearchScheduler(sweep)
        asked = iter(scheduler.ask, None)
        searched.append([a.params for a in asked if a is not None and a.key.arm == "dropout"])
    assert {len(params) for params in searched} == {9}
    for one, other in itertools.combinations(searched, 2):
        same = [first == second for first, second in zip(one, other, strict=True)]
        assert sum(same) <= (2 if sampler == "grid" else 0), "a grid has 81 points, which may meet"
    if sampler != "grid":
        every = [params[RATE] for repeat in searched for params in repeat]
        assert len(set(every)) == len(every)


def test_all_samplers_are_among_these() -> None:
    assert set(SAMPLERS.all()) == {"grid", "paired", "qmc", "random", "tpe"}


def test_the_control_share_is_drawn_anew_and_the_first_stays_as_it_was() -> None:
    drawn = [[in_control_share("arm", number, 0.5, repeat) for number in range(400)] for repeat in (1, 2, 3, 12)]
    assert drawn[0] == [in_control_share("arm", number, 0.5) for number in range(400)]
    for one, other in itertools.combinations(drawn, 2):
        assert 150 < sum(a == b for a, b in zip(one, other, strict=True)) < 250  # 5 standard deviations of 10


# Running


def test_repeats_have_folders_of_their_own_and_the_first_is_the_sweep_without_them(
    undisturbed: list[Path], tmp_path: Path
) -> None:
    own = undisturbed[0].parent
    assert undisturbed == [own / "log.jsonl", own / "repeat-2" / "log.jsonl", own / "repeat-3" / "log.jsonl"]
    assert repeats_of(own) == [log.parent for log in undisturbed]
    assert repeats_of(own / "repeat-2") == [own / "repeat-2"]
    alone = run(read(tmp_path, SMALL), tmp_path, in_process=True)
    assert numbers(read_log(alone)[0]) == numbers(read_log(undisturbed[0])[0])
    headers = [load(log).header["sweep"] for log in (alone, *undisturbed)]
    assert headers[0] == headers[1]
    assert [(header["seed"], header.get("repeat")) for header in headers[1:]] == [(0, None), (1, 2), (2, 3)]


def test_no_two_repeats_share_a_seed_or_a_number(undisturbed: list[Path]) -> None:
    trials = [load(log).trials for log in undisturbed]
    for one, other in itertools.combinations(trials, 2):
        assert set(one["seed"]).isdisjoint(other["seed"])
        assert set(one["val_loss"]).isdisjoint(other["val_loss"])


def test_running_again_adds_nothing(undisturbed: list[Path]) -> None:
    before = [log.read_bytes() for log in undisturbed]
    assert ran(undisturbed[0].parent.parent) == undisturbed
    assert [log.read_bytes() for log in undisturbed] == before


def test_more_repeats_add_the_new_ones_only_and_fewer_leave_all(undisturbed: list[Path], tmp_path: Path) -> None:
    two = ran(tmp_path, REPEATED.replace("repeats = 3", "repeats = 2"))
    before = [log.read_bytes() for log in two]
    three = ran(tmp_path)
    assert [log.read_bytes() for log in three[:2]] == before
    assert_same_results(three[2], undisturbed[2])
    said = list[str]()
    assert len(ran(tmp_path, SMALL, say=said.append)) == 1
    assert [path.name for path in repeats_of(tmp_path / "small")] == ["small", "repeat-2", "repeat-3"]
    assert len(said) == 2
    assert said[1].endswith(
        "small/repeat-3: not resumed, search.repeats asks for 1; the table has every repeat that is there"
    )


@pytest.mark.parametrize("key", [TrialKey("dropout", "search", 1), TrialKey("baseline", "confirm", 1)])
def test_a_second_repeat_that_was_stopped_goes_on(undisturbed: list[Path], tmp_path: Path, key: TrialKey) -> None:
    @contextlib.contextmanager
    def watching(sweep: Sweep) -> Iterator[Watch]:
        yield stop_at(key, 3) if sweep.repeat == 2 else lambda event, row: None

    with pytest.raises(Stopped):
        ran(tmp_path, watching=watching)
    (first, second) = repeats_of(tmp_path / "small")
    before = (first / "log.jsonl").read_bytes()
    results = [load(first), load(second)]
    assert [r.repeat for r in counted_repeats(results).counted] == [1]
    assert counted_repeats(results).left_out[0].startswith("Repeat 2 is left out, since ")
    again = ran(tmp_path)
    assert again[0].read_bytes() == before
    for one, other in zip(again, undisturbed, strict=True):
        assert_same_results(one, other)


def test_a_repeat_is_extended_like_a_sweep_and_until_then_it_does_not_count(tmp_path: Path) -> None:
    text = REPEATED.replace("repeats = 3", "repeats = 2")
    ran(tmp_path, text)
    more = read(tmp_path, text.replace("\nseeds = 2", "\nseeds = 3"))
    run(more, tmp_path, in_process=True)
    results = [load(path) for path in repeats_of(tmp_path / "small")]
    assert counted_repeats(results).left_out == [
        "Repeat 2 is left out, since it does not have yet: confirm.seeds: 2 -> 3; a hidden copy of the baseline. "
        "The same command resumes it."
    ]
    run_all(more, tmp_path, RunOptions(in_process=True))
    assert not counted_repeats([load(path) for path in repeats_of(tmp_path / "small")]).left_out


def test_a_folder_with_another_sweep_is_refused(undisturbed: list[Path], tmp_path: Path) -> None:
    write_log(tmp_path / "small" / "repeat-2" / "log.jsonl", read_log(undisturbed[2])[0])
    with pytest.raises(Refused, match=r"repeat-2/log.jsonl: holds a sweep that differs in .*seed: 2 -> 1"):
        ran(tmp_path)


def test_a_limit_holds_for_each_repeat_and_ends_it(tmp_path: Path) -> None:
    said = list[str]()
    logs = ran(tmp_path, say=said.append, limit=Limit(hours=0))
    assert [text.partition(":")[0] for text in said] == ["repeat 1 of 3", "repeat 2 of 3", "repeat 3 of 3"]
    results = [load(log) for log in logs]
    assert {r.limit for r in results} == {"the limit of 0 hours is reached"}
    assert len(counted_repeats(results).counted) == 3
    frame = repeat_scores(results)
    assert frame is not None
    assert frame["n"].to_list() == [0, 0]
    sentences = " ".join(repeats_sentences(results, frame))
    assert "Repeat 3: Search ended early, since the limit of 0 hours is reached" in sentences
    with pytest.raises(Stopped):
        run(read(tmp_path, REPEATED), tmp_path, in_process=True, watch=stop_at(TrialKey("baseline", "search", 1), 1))
    assert [r.repeat for r in counted_repeats([load(log) for log in logs]).counted] == [2, 3]


def test_every_repeat_has_studies_of_its_own(tmp_path: Path) -> None:
    sweep, url = read(tmp_path, REPEATED), f"sqlite:///{tmp_path}/search.db"
    for one in sweep.every_repeat():
        Mirror(one, url)
        Mirror(one, url)
    names = {f"small/{repeat}{arm}" for repeat in ("", "repeat-2/", "repeat-3/") for arm in ("baseline", "dropout")}
    assert set(optuna.get_all_study_names(url)) == names


# What is said before and while it runs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            REPEATED.replace("repeats = 3", "repeats = 0"),
            "search.repeats: expected greater than or equal to 1, given 0",
        ),
        (REPEATED.replace("repeats = 3", "repeats = 101"), "search.repeats: expected less than or equal to 100"),
        (REPEATED.replace("repeats = 3", 'repeats = "3"'), "search.repeats: expected a valid integer, given '3'"),
        (REPEATED.replace("repeats = 3", "repeat = 3"), "search.repeat: unknown setting (did you mean 'repeats'?)"),
        (
            f"seed = {MAX_SEED - 1}\n{REPEATED}",
            "search.repeats: expected at most 2 with seed = 99999: each takes the next seed, up to 100000; given 3; "
            "lower seed",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        read(tmp_path, text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_plan_and_dry_run_tell_of_repeats(undisturbed: list[Path], tmp_path: Path) -> None:
    plan = words(plan_table(read(tmp_path, REPEATED)))
    assert "8 trials, at most 32 epochs" in plan
    assert "3 repeats of all this, seed = 0 to 2: 24 trials, at most 96 epochs" in plan
    assert "repeats" not in words(plan_table(read(tmp_path, SMALL)))
    write_log(tmp_path / "small" / "log.jsonl", read_log(undisturbed[0])[0])
    write_log(tmp_path / "small" / "repeat-4" / "log.jsonl", [])
    dry = words(forecast_all(read(tmp_path, REPEATED), tmp_path, RunOptions()))
    assert dry.startswith("3 repeats of the sweep, seed = 0 to 2")
    assert dry.count("nothing was started") == 3
    assert dry.count("baseline 2 0 0 2 0 0") == 1
    assert dry.count("baseline 0 0 2 0 0 2") == 2
    assert "repeat-4: not resumed" in dry
    assert not (tmp_path / "small" / "repeat-2").exists()


def test_the_display_says_which_repeat_is_under_way_and_a_job_finds_its_line(tmp_path: Path) -> None:
    sweep = read(tmp_path, REPEATED)
    line = Progress(sweep.nth(2)).line()
    assert line.startswith("repeat 2 of 3: search 0/4, confirm 0/4, failed 0")
    assert "regtune · small · repeat 2 of 3" in words(Progress(sweep.nth(2)))
    assert "repeat" not in Progress(read(tmp_path, SMALL)).line()
    raced = Progress(read(tmp_path, REPEATED.replace("seeds = 2", "seeds = 9\nracing = true"))).line()
    for text in (line, raced, Progress(read(tmp_path, SMALL)).line()):
        assert progress(["something", text, "else"]) == text


def test_a_job_is_the_same_with_more_repeats(tmp_path: Path) -> None:
    assert job_id(read(tmp_path, SMALL)) == job_id(read(tmp_path, REPEATED))


def test_the_command_runs_all_and_prints_the_table_over_searches_first(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(REPEATED)
    call = ["run", str(tmp_path / "small.toml"), "--in-process", "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    own = tmp_path / "results" / "small"
    table = (own / "table.md").read_text()
    assert "\nWhich arms beat baseline over repeated searches: what such a search finds" in done.output
    assert table not in done.output
    assert table in CliRunner().invoke(app, [*call, "--full"]).output
    assert table.startswith("Which arms beat baseline over repeated searches")
    order = [
        table.index(f" Sweep small{mark}: ") for mark in (", over repeated searches", "", ", repeat 2", ", repeat 3")
    ]
    assert order == sorted(order)
    assert f"written: {own}/table.md, table.csv, searches.csv, log.jsonl" in done.output
    assert (own / "repeat-3" / "table.md").read_text() in table
    assert CliRunner().invoke(app, ["table", str(own), "--full"]).output == table
    assert CliRunner().invoke(app, ["table", str(own / "repeat-3"), "--full"]).output in table


# The table over searches


def made_up(folder: Path, scores: Mapping[str, Sequence[Sequence[float] | None]], **options: Any) -> list[Results]:
    """Return a repeat for each place of these lists: the confirmed scores of its arms, None for one that found nothing.

    Every repeat has at least one arm with scores.
    """
    for place in range(max(map(len, scores.values()))):
        repeat = place + 1
        mine = {arm: each[place] for arm, each in scores.items()}
        seeds = max(len(values) for values in mine.values() if values is not None)
        to = folder if repeat == 1 else folder / f"repeat-{repeat}"
        confirmed = {arm: [None] * seeds if values is None else values for arm, values in mine.items()}
        rate = {arm: [{RATE: 0.01 * repeat}] for arm in confirmed}
        made_up_log(to, confirmed, search=("ok",), knobs=rate, repeat=repeat, **options)
        rows = read_log(to / "log.jsonl")[0]
        for row in rows:
            if row["event"] == "ended" and mine[row["cell"][0]] is None:
                row["outcome"]["status"] = "failed"
        write_log(to / "log.jsonl", [{k: v for k, v in row.items() if k != "crc"} for row in rows])
    return [load(path) for path in repeats_of(folder)]


BASE = ([0.50, 0.52], [0.55, 0.53], [0.49, 0.50], [0.54, 0.56])
GOOD = ([0.60, 0.63], [0.66, 0.62], [0.58, 0.61], [0.65, 0.63])
EVEN = ([0.51, 0.52], [0.52, 0.55], [0.50, 0.51], [0.57, 0.56])


def test_the_statistics_are_those_of_the_means_of_repeats_by_hand(tmp_path: Path) -> None:
    frame = repeat_scores(made_up(tmp_path, {"base": BASE, "good": GOOD, "even": EVEN}))
    assert frame is not None
    means = {arm: [sum(v) / 2 for v in each] for arm, each in (("base", BASE), ("good", GOOD), ("even", EVEN))}
    rows = {row["arm"]: row for row in frame.to_dict("records")}
    assert list(rows) == ["base", "good", "even"]
    ps = {}
    for arm, row in rows.items():
        n, mean, sd = 4, sum(means[arm]) / 4, stats.tstd(means[arm])
        half = stats.t.ppf(0.975, 3) * sd / math.sqrt(n) / (mean * (1 - mean))  # on the logit scale
        odds = [mean / (1 - mean) * math.exp(way * half) for way in (-1, 1)]
        assert (row["n"], row["seeds_least"], row["seeds_most"]) == (4, 2, 2)
        assert row["test_accuracy"] == pytest.approx(mean)
        assert row["test_accuracy_sd"] == pytest.approx(sd)
        assert (row["test_accuracy_low"], row["test_accuracy_high"]) == pytest.approx([o / (1 + o) for o in odds])
        assert json.loads(row["scores"]) == pytest.approx({str(k): v for k, v in enumerate(means[arm], start=1)})
        assert json.loads(row["knobs"]) == {RATE: pytest.approx([0.01, 0.02, 0.03, 0.04])}
        if arm != "base":
            gains = [a - b for a, b in zip(means[arm], means["base"], strict=True)]
            ps[arm] = stats.ttest_1samp(gains, 0).pvalue
            half = stats.t.ppf(1 - 0.05 / 2 / 2, 3) * stats.sem(gains)  # Bonferroni of two
            gain = sum(gains) / 4
            assert (row["pairs"], row["difference"], row["p"]) == (4, pytest.approx(gain), pytest.approx(ps[arm]))
            assert (row["difference_low"], row["difference_high"]) == pytest.approx((gain - half, gain + half))
    assert rows["good"]["p_holm"] == pytest.approx(2 * ps["good"])
    assert rows["even"]["p_holm"] == pytest.approx(ps["even"])
    assert [rows[arm]["verdict"] for arm in rows] == ["", "better", "unresolved"]
    assert math.isnan(rows["good"]["further"]) and rows["even"]["further"] > 0
    text = repeats_as_text(frame)
    assert text["knobs chosen"][1] == "learning_rate=0.01..0.04"
    assert text["verdict"][2].startswith("unresolved (+")


def test_an_arm_that_found_nothing_in_a_repeat_is_compared_over_the_others(tmp_path: Path) -> None:
    results = made_up(tmp_path, {"base": BASE, "other": (GOOD[0], None, *GOOD[2:]), "never": (None,) * 4})
    assert len(counted_repeats(results).counted) == 4, "what has nothing to confirm is not open"
    frame = repeat_scores(results)
    assert frame is not None
    assert frame["n"].to_list() == [4, 3, 0]
    assert frame["pairs"].to_list() == [0, 3, 0]
    assert list(json.loads(frame["scores"][1])) == ["1", "3", "4"]
    assert json.loads(frame["knobs"][1]) == {RATE: [0.01, None, 0.03, 0.04]}
    text = repeats_as_text(frame)
    assert text["knobs chosen"][1] == "learning_rate=0.01..0.04 (in 3)"
    assert text["difference"][1].endswith(" over 3 repeats")
    assert text["verdict"].to_list() == ["", "better", "unresolved"]
    assert "never: no result on test accuracy" in " ".join(repeats_sentences(results, frame))


def test_a_baseline_that_found_nothing_leaves_no_comparison(tmp_path: Path) -> None:
    results = made_up(tmp_path, {"base": (None,) * 3, "other": GOOD[:3]})
    frame = repeat_scores(results)
    assert frame is not None
    assert frame["verdict"].to_list() == ["", "unresolved"]
    assert "No arm can be compared with base" in " ".join(repeats_sentences(results, frame))


@pytest.mark.parametrize("repeats", [1, 2])
def test_below_three_repeats_there_is_no_p_value_and_no_verdict(tmp_path: Path, repeats: int) -> None:
    results = made_up(tmp_path, {"base": BASE[:repeats], "good": GOOD[:repeats]})
    frame = repeat_scores(results)
    if repeats == 1:
        assert frame is None
        assert formatted([tmp_path], "md") == SWEEPS["md"]([tables(each) for each in results])
        return
    assert frame is not None
    assert frame[["p", "p_holm", "difference_low"]].isna().all(axis=None)
    assert frame["verdict"].to_list() == ["", "unresolved"]
    assert frame["note"][1] == "fewer than 3 pairs"
    assert "good: fewer than 3 repeats shared with base, so no interval" in formatted([tmp_path], "md")


def test_equal_differences_resolve_nothing(tmp_path: Path) -> None:
    tied = ([0.6, 0.6],) * 4
    results = made_up(tmp_path, {"base": tied, "same": tied, "more": ([0.7, 0.7],) * 4})
    frame = repeat_scores(results)
    assert frame is not None
    assert frame["note"].to_list() == ["", "identical scores", "all differences are equal"]
    assert frame["verdict"].to_list() == ["", "unresolved", "unresolved"]
    sentences = " ".join(repeats_sentences(results, frame))
    assert "the difference to base is the same for all repeats" in sentences
    assert "base, same, more: all repeats have the same score" in sentences


def test_a_repeat_that_is_not_over_or_of_another_plan_is_left_out_and_named(tmp_path: Path) -> None:
    made_up(tmp_path, {"base": BASE, "good": GOOD})
    made_up_log(tmp_path / "repeat-2", {"base": [0.5, None], "good": [0.6, 0.6]}, search=("ok",), repeat=2)
    made_up_log(tmp_path / "repeat-3", {"base": [0.5], "good": [0.6]}, search=("ok",), repeat=3)
    made_up_log(tmp_path / "repeat-4", {"base": [0.5, 0.6], "good": [0.6, 0.6]}, search=("ok",), epochs=5, repeat=4)
    results = [load(path) for path in repeats_of(tmp_path)]
    found = counted_repeats(results)
    assert [r.repeat for r in found.counted] == [1]
    assert found.left_out[0] == (
        "Repeat 2 is left out, since trials are not finished: 1 of confirm. The same command resumes it."
    )
    assert "Repeat 3 is left out, since it does not have yet: confirm.seeds: 1 -> 2" in found.left_out[1]
    assert "Repeat 4 is left out, since it holds a sweep that differs in arms.base.template.epochs" in found.left_out[2]
    text = formatted([tmp_path], "md")
    assert all(sentence in text for sentence in found.left_out)
    assert "1 repeats of search" not in text and "1 repeat of search" in text


def test_a_repeat_that_ended_before_its_first_trial_is_as_if_it_was_not_there(tmp_path: Path) -> None:
    made_up(tmp_path, {"base": BASE[:2], "good": GOOD[:2]})
    before = formatted([tmp_path], "md")
    write_log(tmp_path / "repeat-3" / "log.jsonl", [])
    assert formatted([tmp_path], "md") == before
    assert write_folder(read_folder(tmp_path))[1] == 8
    (tmp_path / "repeat-3" / "log.jsonl").write_bytes(b"damaged\n")
    with pytest.raises(Refused, match=r"repeat-3/log\.jsonl:1: expected a row"):
        formatted([tmp_path], "md")


def test_no_repeat_that_counts_says_nothing(tmp_path: Path) -> None:
    for repeat, folder in ((1, tmp_path), (2, tmp_path / "repeat-2")):
        made_up_log(folder, {"base": [0.5, None], "good": [0.6, 0.6]}, search=("ok",), repeat=repeat)
    text = formatted([tmp_path], "md")
    assert "No repeat is finished yet, so there is no result." in text
    assert '"verdict": "unresolved"' in formatted([tmp_path], "json")


def test_the_caption_says_what_the_inference_is_over(tmp_path: Path) -> None:
    results = made_up(tmp_path, {"base": BASE, "good": GOOD})
    caption = repeats_caption(results)
    for said in (
        "4 repeats of search and confirm",
        "(seed = 0, 1, 2, 3)",
        "1 trials per arm of at most 4 epochs",
        "on 2 fresh seeds",
        "The inference is over whole searches with fresh seeds, search and confirm together, on this split of the data "
        "and this test set",
    ):
        assert said in caption
    assert "Racing" not in caption
    raced = [with_terms(each, racing=True, first=3) for each in results]
    assert "Racing within each repeat" in repeats_caption(raced)


def test_choices_are_ranges_or_counts(tmp_path: Path) -> None:
    for repeat, knobs in enumerate(({"aug.one_of": "mixup", RATE: 0.1}, {"aug.one_of": "none", RATE: 0.1}), start=1):
        folder = tmp_path if repeat == 1 else tmp_path / f"repeat-{repeat}"
        rows = [{**knobs, "mixup.on": repeat == 1, **({"mixup.n": 2} if repeat == 1 else {})}]
        made_up_log(folder, {"base": [0.5, 0.6]}, search=("ok",), knobs={"base": rows}, repeat=repeat)
    frame = repeat_scores([load(path) for path in repeats_of(tmp_path)])
    assert frame is not None
    text = repeats_as_text(frame)["knobs chosen"][0]
    assert "learning_rate=0.1" in text
    assert "mixup ×1 none ×1" in text
    assert "mixup.n=2 (in 1)" in text


def test_every_format_has_the_table_over_searches_first(tmp_path: Path) -> None:
    made_up(tmp_path / "a", {"base": BASE[:3], "good": GOOD[:3]}, name="a")
    made_up(tmp_path / "b", {"base": BASE[:3], "good": GOOD[:3]}, name="b")
    made_up_log(tmp_path / "c", {"base": [0.5, 0.6]}, name="c")
    both, mixed = [tmp_path / "a", tmp_path / "b"], [tmp_path / "a", tmp_path / "c"]
    assert formatted(both, "md").count(", over repeated searches:") == 2
    each = [load(path) for folder in mixed for path in repeats_of(folder)]
    assert len(each) == 4
    for form, begin in (("html", "<table>"), ("latex", r"\begin{table}"), ("md", "\n\n| arm")):
        over_searches_their_spread_and_over_sweeps = 3
        shown = SWEEPS[form]([tables(results) for results in each])
        expected = over_searches_their_spread_and_over_sweeps + shown.count(begin)
        assert formatted(mixed, form).count(begin) == expected
    first, last = json.loads(formatted(mixed, "json"), parse_constant=pytest.fail)["sweeps"]
    assert first["arms"][1]["verdict"] == "better"
    assert first["arms"][0]["difference"] is None
    assert first["arms"][0]["knobs"] == {RATE: [0.01, 0.02, 0.03]}
    assert [repeat["arms"][0]["n"] for repeat in first["repeats"]] == [2] * 3
    assert "repeats" not in last
    lines = formatted(both, "csv").splitlines()
    assert lines[0].startswith("sweep,arm,knobs,scores,")
    assert [line.split(",")[:2] for line in lines[1:]] == [["a", "base"], ["a", "good"], ["b", "base"], ["b", "good"]]
    assert formatted(both[:1], "csv").startswith("arm,knobs,scores,")
    with pytest.raises(Refused, match=r"^--format csv: expected folders that all have repeats or none, given 1 of 2"):
        formatted(mixed, "csv")
    alone = formatted([tmp_path / "a" / "log.jsonl"], "csv")
    assert alone.startswith("arm,knobs,n,"), "a log is of one repeat"


def test_a_report_asks_whether_it_holds_for_whole_searches(tmp_path: Path) -> None:
    results = made_up(tmp_path, {"base": BASE[:3], "good": GOOD[:3]})
    ids = [section.id for section in sections(folder_tables(repeats_in(tmp_path)), [])]
    assert ids == ["which", "sure", "searches", "cost", "why", "failed"]
    table, spread = sections(folder_tables(results), [])[2].tables
    assert spread.frame["seeds"].to_list() == [6]
    assert table.frame["repeats"].to_list() == [3, 3]
    assert "searches" not in [section.id for section in sections(folder_tables(results[:1]), [])]


def test_a_run_writes_the_tables_of_all_repeats(tmp_path: Path) -> None:
    made_up(tmp_path, {"base": BASE[:2], "good": GOOD[:2]})
    written, confirmed, failed = write_folder(read_folder(tmp_path))
    assert (confirmed, failed) == (8, [])
    assert written == [tmp_path / name for name in ("table.md", "table.csv", "searches.csv")]
    assert written[0].read_text() == formatted([tmp_path], "md")
    assert (tmp_path / "repeat-2" / "table.csv").exists()
    alone = made_up_log(tmp_path / "other", {"base": [0.5, 0.6]})
    assert write_folder(read_folder(alone)) == ([alone / "table.md", alone / "table.csv"], 2, [])


def test_only_folders_of_repeats_with_a_log_are_repeats(tmp_path: Path) -> None:
    for name in ("repeat-10", "repeat-2", "repeat-1", "repeat-02", "repeat-x", "repeat-3"):
        (tmp_path / name).mkdir()
        if name != "repeat-3":
            write_log(tmp_path / name / "log.jsonl", [])
    assert [path.name for path in repeats_of(tmp_path)[1:]] == ["repeat-2", "repeat-10"]
    assert repeats_of(tmp_path / "nowhere") == [tmp_path / "nowhere"]
