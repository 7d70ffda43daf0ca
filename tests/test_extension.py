"""A sweep file that asks for more adds exactly that; one that asks for something else is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regtune.core.errors import Refused
from regtune.core.records import Json, TrialKey
from regtune.results.loader import load
from regtune.storage.compatibility import Changed, changed
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import write_log
from tests.resuming import SMALL, assert_same_results, by_key, ran, read, rows_of, trained_epochs

MORE = (
    SMALL.replace("trials = 2", "trials = 3")
    .replace("seeds = 2", "seeds = 3\naa = false")
    .replace("dropout = { dropout = {} }", "l2 = { l2 = {} }\ndropout = { dropout = {} }")
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("finished"))


def copied(log: Path, folder: Path, rows: list[Json] | None = None) -> Path:
    """Put rows, those of a log if not given, where a sweep in a folder has its log."""
    target = folder / "small" / "log.jsonl"
    write_log(target, read_log(log)[0] if rows is None else rows)
    return target


def test_more_of_everything_ends_as_the_bigger_sweep_from_the_beginning(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, said = copied(finished, tmp_path / "more"), list[str]()
    before = log.read_bytes()
    with trained_epochs(monkeypatch) as trained:
        ran(tmp_path / "more", MORE, say=said.append)
    assert log.read_bytes().startswith(before)
    new = read_log(log)[0][len(read_log(finished)[0]) :]
    asked = {TrialKey(*row["cell"]): row for row in new if row["event"] == "asked"}
    assert {key for key in asked if key.phase == "search"} == {
        TrialKey("baseline", "search", 2),
        TrialKey("dropout", "search", 2),
        *(TrialKey("l2", "search", number) for number in range(3)),
    }
    assert {id for id, _ in trained} == {row["id"] for row in asked.values()}
    sweep = Sweep.read(tmp_path / "more" / "small.toml")
    for key, row in asked.items():
        seed = sweep.search_seed if key.phase == "search" else sweep.confirm_seed
        assert row["trial"]["seed"] == seed(key.number)
    assert sorted(text.partition("added: ")[2] for text in said) == [
        "arms.baseline.trials: 2 -> 3",
        "arms.dropout.trials: 2 -> 3",
        "confirm.seeds: 2 -> 3",
        "new arm l2",
    ]
    (tmp_path / "whole").mkdir()
    assert_same_results(log, ran(tmp_path / "whole", MORE))
    before = log.read_bytes()
    ran(tmp_path / "more", MORE)
    assert log.read_bytes() == before


def test_a_new_choice_is_confirmed_anew_and_an_old_one_is_not(finished: Path, tmp_path: Path) -> None:
    """Whatever a new trial scores, it is better than 0 for the baseline and worse than 2 for dropout."""
    rows, _ = read_log(finished)
    for row in rows:
        if row["event"] == "ended" and row["cell"][1] == "search":
            row["outcome"]["metrics"]["val_accuracy"] = 0.0 if row["cell"][0] == "baseline" else 2.0
    log = copied(finished, tmp_path / "more", rows)
    text = SMALL.replace("trials = 2", "trials = 3")
    ran(tmp_path / "more", text)
    new = read_log(log)[0][len(rows) :]
    asked = [tuple(row["cell"]) for row in new if row["event"] == "asked"]
    assert asked == [
        ("baseline", "search", 2),
        ("dropout", "search", 2),
        ("baseline", "confirm", 0),
        ("baseline", "confirm", 1),
    ]
    results = load(log)
    trials, key = by_key(results), TrialKey("baseline", "confirm", 0)
    assert trials[key]["params"] == trials[TrialKey("baseline", "search", 2)]["params"]
    assert trials[key]["id"] == next(r["id"] for r in new if r.get("cell") == list(key))
    shown = results.epochs[(results.epochs["arm"] == "baseline") & (results.epochs["phase"] == "confirm")]
    recorded = [
        r["epoch"]["val_loss"] for r in new if r["event"] == "epoch" and r["cell"][:2] == ["baseline", "confirm"]
    ]
    assert shown["val_loss"].to_list() == recorded
    before = log.read_bytes()
    ran(tmp_path / "more", text)
    assert log.read_bytes() == before

    # Stopped when one of the two is confirmed again: the other one is of the old choice and does not count.
    whole, _ = read_log(log)
    ended = next(n for n, r in enumerate(whole) if n > len(rows) and r.get("cell") == ["baseline", "confirm", 1])
    cut = copied(finished, tmp_path / "cut", whole[:ended])
    status = [row["status"] for key, row in by_key(load(cut)).items() if key.phase == "confirm"]
    assert status == ["ok", "missing", "ok", "ok"]
    ran(tmp_path / "cut", text)
    assert_same_results(cut, log)


# (what is replaced, by what, the path that a refusal names; "" where nothing is refused and nothing added)
FREE = [
    ("checkpoint_seconds = 0", "checkpoint_seconds = 5"),
    ("[cluster]", "[cluster]\nretries = 9"),
    ("[cluster]", "[cluster]\nhours_per_trial = 2.5"),
    ("[cluster]", "[cluster]\npending = 3"),
    ("[cluster]", '[cluster]\nlabels = { "ray.io/accelerator-type" = "H100" }'),
    ("weights = false", "weights = true"),
    ("seeds = 2", "seeds = 2\nrelevant = 0.2"),
]
ADDS = [
    ("seeds = 2", "seeds = 4", "confirm.seeds: 2 -> 4"),
    ("trials = 2", "trials = 5", "arms.dropout.trials: 2 -> 5"),
    ("[search]", "l2 = { l2 = {} }\n[search]", "new arm l2"),
]
REFUSED = [
    ("epochs = 4", "epochs = 5", "training.epochs: 4 -> 5"),
    ("batch = 16", "batch = 8", "training.batch: 16 -> 8"),
    ("noise = 0.6", "noise = 0.7", "arms.baseline.template.data.noise: 0.6 -> 0.7"),
    ("widths = [12]", "widths = [12, 12]", "arms.baseline.template.network.widths"),
    ("high = 0.3", "high = 0.4", "arms.baseline.space.optimizer.learning_rate"),
    ("[optimizer]", "[optimizer]\nmomentum = 0.5", "arms.baseline.template.optimizer.momentum"),
    ('"random"', '"tpe"', "search.sampler: random -> tpe"),
    ('pruner = "none"', 'pruner = "asha"', "search.pruner: none -> asha"),
    ("dropout = {} }", "dropout = { p_hidden = 0.5 } }", "arms.dropout.space.dropout.p_hidden"),
    ("baseline = {}\n", "", "arms.baseline: "),
    ("[cluster]", "[cluster]\ncpus_per_trial = 2", "cluster.cpus_per_trial: 1 -> 2"),
    ("seeds = 2", 'seeds = 2\nretrain = "updates"', "confirm.retrain: none -> updates"),
    ("[data]", "seed = 3\n[data]", "seed: 0 -> 3"),
]


def compared(folder: Path, text: str) -> Changed:
    return changed(read(folder, SMALL).plain(), read(folder, text).plain())


@pytest.mark.parametrize(("old", "new"), FREE)
def test_terms_that_change_no_number_are_free(old: str, new: str, tmp_path: Path) -> None:
    assert old in SMALL
    assert compared(tmp_path, SMALL.replace(old, new)) == ([], [])


@pytest.mark.parametrize(("old", "new", "path"), REFUSED)
def test_what_makes_trials_incomparable_is_refused_with_its_path(old: str, new: str, path: str, tmp_path: Path) -> None:
    assert old in SMALL
    with pytest.raises(Refused) as caught:
        compared(tmp_path, SMALL.replace(old, new))
    text = str(caught.value)
    assert path in text
    assert " -> " in text
    assert text.endswith("give the changed sweep another name or move the folder away")
    assert len(text.splitlines()) == 1


L2 = SMALL.replace("[search]", "l2 = { l2 = {} }\n[search]")
LESS = [
    (L2, SMALL, ["arm l2"]),
    (SMALL, SMALL.replace("dropout = { dropout = {} }\n", ""), ["arm dropout"]),
    (SMALL, SMALL.replace("seeds = 2", "seeds = 1"), ["confirm.seeds: 2 -> 1"]),
    (SMALL, SMALL.replace("trials = 2", "trials = 1"), ["arms.baseline.trials: 2 -> 1", "arms.dropout.trials: 2 -> 1"]),
    (L2, SMALL.replace("seeds = 2", "seeds = 1"), ["confirm.seeds: 2 -> 1", "arm l2"]),
]


@pytest.mark.parametrize(("before", "after", "words"), LESS)
def test_what_is_asked_for_less_is_no_reason_to_refuse(
    before: str, after: str, words: list[str], tmp_path: Path
) -> None:
    one, other = read(tmp_path, before).plain(), read(tmp_path, after).plain()
    assert changed(one, other) == ([], words)


def test_more_and_less_and_refused_are_told_apart(tmp_path: Path) -> None:
    mixed = SMALL.replace("dropout = { dropout = {} }", "l2 = { l2 = {} }").replace("seeds = 2", "seeds = 1")
    one, other = read(tmp_path, SMALL).plain(), read(tmp_path, mixed.replace("trials = 2", "trials = 3")).plain()
    found = changed(one, other)
    assert found.less == ["confirm.seeds: 2 -> 1", "arm dropout"]
    assert found.more == ["arms.baseline.trials: 2 -> 3", "new arm l2"]
    with pytest.raises(Refused, match=r"batch: 16 -> 8; ") as caught:
        changed(one, read(tmp_path, mixed.replace("batch = 16", "batch = 8")).plain())
    assert "dropout" not in str(caught.value)


def test_seeds_of_a_race_are_not_lowered(tmp_path: Path) -> None:
    race = SMALL.replace("seeds = 2", "seeds = 5\nracing = true\nfirst = 3")
    with pytest.raises(Refused, match=r"confirm\.seeds: 5 -> 4"):
        changed(read(tmp_path, race).plain(), read(tmp_path, race.replace("seeds = 5", "seeds = 4")).plain())


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ("dropout = { dropout = {} }\n", "", {"baseline"}),
        ("seeds = 2", "seeds = 1\naa = false", {"baseline", "dropout"}),
    ],
)
def test_less_shows_less_trains_nothing_and_comes_back(
    old: str, new: str, left: set[str], finished: Path, tmp_path: Path
) -> None:
    log, said = copied(finished, tmp_path), list[str]()
    before = log.read_bytes()
    ran(tmp_path, SMALL.replace(old, new), say=said.append)
    assert len(said) == 1 and ": left out: " in said[0]
    assert log.read_bytes().startswith(before), "what is there stays"
    assert not [row for row in read_log(log)[0][len(read_log(finished)[0]) :] if "cell" in row]
    small = load(log)
    assert set(small.trials["arm"]) == left and small.sweep.arms.keys() == left
    assert (small.trials["phase"] == "confirm").sum() == 2, "two arms and a seed, or an arm and two"
    assert set(small.trials["status"]) == {"ok"}
    (tmp_path / "alone").mkdir()
    assert_same_results(log, ran(tmp_path / "alone", SMALL.replace(old, new)))
    after = log.read_bytes()
    ran(tmp_path, SMALL.replace(old, new))
    assert log.read_bytes() == after
    ran(tmp_path, SMALL)
    assert not [row for row in read_log(log)[0][len(read_log(finished)[0]) :] if "cell" in row]
    assert_same_results(log, finished)


def test_fewer_trials_choose_among_those_that_are_left(finished: Path, tmp_path: Path) -> None:
    rows, _ = read_log(finished)
    for row in rows:
        if row["event"] == "ended" and row["cell"][1] == "search":
            row["outcome"]["metrics"]["val_accuracy"] = 0.1 + 0.1 * row["cell"][2]
    choice = {
        tuple(r["cell"][:1]): r["params"] for r in rows if r["event"] == "asked" and r["cell"][1:] == ["search", 0]
    }
    log = copied(finished, tmp_path, rows)
    ran(tmp_path, SMALL.replace("trials = 2", "trials = 1"))
    results = load(log)
    assert {(arm,): knobs for arm, knobs in results.chosen.items()} == choice
    assert set(results.trials["status"]) == {"ok"} and len(results.trials) == 2 * (1 + 2)
    ran(tmp_path, SMALL)
    assert len(load(log).trials) == 2 * (2 + 2)


def test_an_arm_comes_back_only_as_it_was(finished: Path, tmp_path: Path) -> None:
    log, said = copied(finished, tmp_path), list[str]()
    ran(tmp_path, SMALL.replace("dropout = { dropout = {} }\n", ""))
    with pytest.raises(Refused, match=r"arms\.dropout\.space\.dropout\.p_hidden: .* -> nothing"):
        ran(tmp_path, SMALL.replace("dropout = {} }", "dropout = { p_hidden = 0.5 } }"))
    ran(tmp_path, SMALL, say=said.append)
    assert [text.partition(": added: ")[2] for text in said] == ["arm dropout again"]
    assert_same_results(log, finished)


def test_another_first_arm_is_refused(tmp_path: Path) -> None:
    text = SMALL.replace("baseline = {}\n", "").replace("dropout = {} }", "dropout = {} }\nbaseline = {}")
    with pytest.raises(Refused, match="the first arm, which others are compared with: baseline -> dropout;"):
        compared(tmp_path, text)


def test_a_refused_change_leaves_the_log_alone(finished: Path, tmp_path: Path) -> None:
    log = copied(finished, tmp_path)
    before = log.read_bytes()
    with pytest.raises(Refused, match=r"log\.jsonl: holds a sweep that differs in .*noise: 0\.6 -> 0\.7"):
        ran(tmp_path, SMALL.replace("noise = 0.6", "noise = 0.7"))
    assert log.read_bytes() == before


def test_free_terms_start_nothing_in_a_finished_sweep(finished: Path, tmp_path: Path) -> None:
    log = copied(finished, tmp_path)
    before = log.read_bytes()
    ran(tmp_path, SMALL.replace("[cluster]", "[cluster]\nretries = 9").replace("weights = false", "weights = true"))
    assert log.read_bytes() == before


ONE_LEAF = [change for change in REFUSED if change[2].startswith(("training.", "search.", "cluster.", "seed:"))]


@given(
    free=st.sets(st.sampled_from(FREE)),
    adds=st.sets(st.sampled_from(ADDS)),
    refused=st.sets(st.sampled_from(ONE_LEAF)),
)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_combination_is_judged_change_by_change(
    free: set[tuple[str, str]], adds: set[tuple[str, str, str]], refused: set[tuple[str, str, str]], tmp_path: Path
) -> None:
    text = SMALL
    for old, new, *_ in itertools.chain(free, adds, refused):
        text = text.replace(old, new)
    if not refused:
        found = compared(tmp_path, text)
        assert all(word in found.more for _, _, word in adds)
        assert bool(found.more) == bool(adds) and not found.less
        return
    with pytest.raises(Refused) as caught:
        compared(tmp_path, text)
    assert all(path in str(caught.value) for _, _, path in refused)
    assert not any(word in str(caught.value) for _, _, word in adds)


def test_the_header_is_that_of_the_newest_run(finished: Path, tmp_path: Path) -> None:
    log = copied(finished, tmp_path)
    ran(tmp_path, SMALL.replace("seeds = 2", "seeds = 3\naa = false"))
    assert [row["sweep"]["confirm"]["seeds"] for row in rows_of(log, "header")] == [2, 3]
    confirmed = [tuple(row["cell"]) for row in rows_of(log, "asked")][-2:]
    assert confirmed == [("baseline", "confirm", 2), ("dropout", "confirm", 2)]
