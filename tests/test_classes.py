"""Data of some classes: these are told apart and numbered anew, the others may be learned from first, and no more."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from regtune.core.errors import Refused
from regtune.core.knobs import plain_settings
from regtune.core.records import Trial
from regtune.data import DATASETS, DataLocation, Examples, Pool, data_fingerprint
from regtune.data._classes import of_classes
from regtune.execution.ray.transfer import SharedData
from regtune.reports.tables.caption import data_words
from regtune.results.loader import load
from regtune.training.build import build_dataset, load_data, load_pool, split_data
from tests.conftest import small_trial
from tests.resuming import SMALL, ran

DIGITS = {"name": "digits", "train": 60, "validation": 40, "test": 300, "classes": [7, 2, 4]}


def trial_of(**changes: Any) -> Trial:
    return small_trial(data={**DIGITS, **changes})


def test_classes_are_numbered_anew_in_the_order_in_which_they_are_named() -> None:
    whole, kept = (load_pool(trial_of(classes=classes)) for classes in ([], [7, 2, 4]))
    assert (kept.classes, kept.names) == (3, ("7", "2", "4"))
    for part, old in ((kept.train, whole.train), (kept.test, whole.test)):
        assert part is not None
        assert old is not None
        for number, label in enumerate((7, 2, 4)):
            assert torch.equal(part.images[part.labels == number], old.images[old.labels == label])
        assert set(part.labels.tolist()) == {0, 1, 2}
    rest = kept.others
    assert rest is not None
    for number, label in enumerate((0, 1, 3, 5, 6, 8, 9)):
        images = whole.train.images[whole.train.labels == label]
        assert torch.equal(rest.images[rest.labels == number], images), "of the training examples alone"
    assert len(kept.train) + len(rest) == len(whole.train)
    assert data_fingerprint(kept) != data_fingerprint(dataclasses.replace(kept, others=None))


def test_splits_have_the_other_classes_and_nothing_of_them_elsewhere() -> None:
    trial = trial_of()
    splits = load_data(trial)
    assert (splits.classes, len(splits.train), len(splits.validation)) == (3, 60, 40)
    assert splits.others is not None
    assert splits.unlabelled is not None
    pool = load_pool(trial)
    assert len(splits.unlabelled) == len(pool.train) - 100
    assert splits.without_test().others is splits.others
    assert splits.others.source.shape[0] == len(splits.others), "no other picture is behind them"
    moved = SharedData.pack(splits).unpack()
    assert moved.others is not None
    assert torch.equal(moved.others.images, splits.others.images)
    assert load_data(trial_of(pixels="shuffled")).others is None
    sealed = build_dataset(trial).sealed(pool)
    again = split_data(trial, sealed)
    assert torch.equal(again.train.images, splits.train.images)
    assert sealed.test is None


def test_all_classes_are_what_was_there_before() -> None:
    assert "classes" not in plain_settings(DATASETS.find("digits", "data")())
    splits = load_data(small_trial(data={"name": "digits", "train": 60, "validation": 40}))
    assert (splits.classes, splits.names, splits.others) == (10, (), None)
    every = load_pool(trial_of(classes=[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]))
    assert every.others is None
    assert every.classes == 10


def test_superclasses_and_names_go_with_their_classes() -> None:
    some = Examples.of(images=torch.rand(8, 1, 2, 2), labels=torch.arange(8) % 4)
    pool = Pool(train=some, test=None, classes=4, names=("a", "b", "c", "d"), superclasses=(0, 2, 1, 2))
    kept = of_classes(pool, (3, 0), "data some")
    assert (kept.names, kept.superclasses, kept.test) == (("d", "a"), (1, 0), None)


@pytest.mark.parametrize("classes", [[3], [1, 1, 2], [2, 10]])
def test_classes_that_cannot_be_told_apart_are_refused(classes: list[int]) -> None:
    with pytest.raises(
        Refused, match=r"data digits\.classes: expected two or more different classes from 0 to 9"
    ) as said:
        build_dataset(trial_of(classes=classes)).restricted(load_pool(trial_of(classes=[])))
    assert str(classes) in str(said.value)
    assert "\n" not in str(said.value)


def test_a_sweep_trains_on_some_classes_and_its_caption_says_so(tmp_path: Any) -> None:
    data = 'name = "digits"\ntrain = 60\nvalidation = 40\ntest = 300\nclasses = [7, 2, 4]\n'
    begin, end = SMALL.index("name ="), SMALL.index("[network]")
    results = load(ran(tmp_path, SMALL[:begin] + data + SMALL[end:]).parent)
    assert set(results.trials["status"]) == {"ok"}
    assert "60 training examples of the classes 7, 2, 4" in data_words(results.counted_data, results.sweep.confirm)
    place = DataLocation()
    plain = {**results.plain_trials[next(iter(results.plain_trials))]}
    assert load_data(Trial.from_plain(plain), place).classes == 3
