"""Early stopping."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regtune.core.records import Epoch
from regtune.regularizers import EarlyStopping
from regtune.training.lane import Lane
from regtune.training.recipe import Recipe
from tests.conftest import same, small_trial

TRACE = (0.50, 0.40, 0.42, 0.41, 0.39, 0.40, 0.41, 0.42)
Trace = Sequence[float | None]


def algorithm_7_1(trace: Trace, n: int, p: int) -> tuple[int, int]:
    """Return how many epochs are trained and i*, line by line from Goodfellow et al. (2016), steps being epochs.

    The budget is the one thing added: where fewer than n epochs are left they are trained without evaluation.
    """
    i = j = 0
    v = math.inf
    i_star = 0
    while j < p:
        if i + n > len(trace):
            i = len(trace)
            break
        i += n
        figure = trace[i - 1]
        v_new = math.nan if figure is None else figure
        if v_new < v:
            j = 0
            i_star = i
            v = v_new
        else:
            j += 1
    return i, i_star


def follow(method: EarlyStopping, trace: Trace) -> tuple[int, int]:
    """Return how many epochs were trained and which one is kept, as a recipe decides."""
    recipe = Recipe.of([method])
    epochs: list[Epoch] = []
    for number, value in enumerate(trace, start=1):
        accuracy = None if value is None else 1 - value
        epoch = Epoch(
            number=number, objective=0.0, train_accuracy=0.5, train_loss=0.0, val_accuracy=accuracy, val_loss=value,
            learning_rate=0.1, kept=0, seconds=0.0,
        )  # fmt: skip
        epochs.append(dataclasses.replace(epoch, kept=recipe.keep([*epochs, epoch])))
        if recipe.stop(epochs):
            break
    return len(epochs), epochs[-1].kept


@pytest.mark.parametrize(("patience", "evaluations", "best"), [(1, 3, 2), (2, 4, 2), (3, 8, 5), (4, 8, 5)])
def test_early_stopping_follows_algorithm_7_1(patience: int, evaluations: int, best: int) -> None:
    """The trace and the answers of the reference, which the transcription below must give too."""
    assert follow(EarlyStopping(patience=patience), TRACE) == (evaluations, best)
    assert algorithm_7_1(TRACE, 1, patience) == (evaluations, best)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    trace=st.lists(st.one_of(st.none(), st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])), min_size=1, max_size=24),
    patience=st.integers(1, 5),
    every=st.integers(1, 4),
    monitor=st.sampled_from(["val_loss", "val_error"]),
)
def test_early_stopping_is_the_literal_algorithm_on_any_trace(
    trace: list[float | None], patience: int, every: int, monitor: str
) -> None:
    """With ties and missing figures. Before any finite figure there is no i*: the first evaluation is kept."""
    trained, kept = follow(EarlyStopping(patience=patience, every=every, monitor=monitor), trace)
    expected, best = algorithm_7_1(trace, every, patience)
    assert trained == expected
    if best > 0:
        assert kept == best
    else:
        assert kept == (every if expected >= every else expected)


def test_early_stopping_counts_ties_and_missing_numbers_as_failures() -> None:
    assert follow(EarlyStopping(patience=2), (0.5, 0.5, None, 0.1)) == (3, 1)
    assert follow(EarlyStopping(patience=1, monitor="val_error"), (0.5, 0.5, 0.4)) == (2, 1)


def test_the_two_monitors_watch_their_own_figure() -> None:
    """The loss worsens from the first epoch on, the error keeps falling: they stop at different times."""
    recipes = {name: Recipe.of([EarlyStopping(patience=2, monitor=name)]) for name in ("val_loss", "val_error")}
    ends = {}
    for name, recipe in recipes.items():
        epochs: list[Epoch] = []
        for number in range(1, 7):
            epoch = Epoch(
                number=number, objective=0.0, train_accuracy=0.5, train_loss=0.0, val_accuracy=0.5 + 0.05 * number,
                val_loss=0.5 + 0.05 * number, learning_rate=0.1, kept=0, seconds=0.0,
            )  # fmt: skip
            epochs.append(dataclasses.replace(epoch, kept=recipe.keep([*epochs, epoch])))
            if recipe.stop(epochs):
                break
        ends[name] = (len(epochs), epochs[-1].kept)
    assert ends == {"val_loss": (3, 1), "val_error": (6, 6)}


@pytest.mark.parametrize("every", [1, 2, 3])
def test_training_goes_back_to_the_best_weights(every: int) -> None:
    """Weights and figures of the epoch that the algorithm names, bit for bit."""
    row = {"name": "early_stopping", "patience": 2, "monitor": "val_loss", "every": every}
    lane, snapshots = Lane((small_trial([row], epochs=30),)), []
    for _ in lane:
        snapshots.append(copy.deepcopy(lane.state.params))
    free = Lane((small_trial(epochs=30),))
    list(free)
    trained, best = algorithm_7_1([epoch.val_loss for epoch in free.epochs[0]], every, 2)
    outcome = lane.epochs[0][-1].outcome
    assert outcome is not None
    assert (len(snapshots), outcome.kept) == (trained, best)
    assert best < trained < 30
    assert same(lane.kept[0][0], snapshots[best - 1])
    assert outcome.metrics["val_loss"] == free.epochs[0][best - 1].val_loss
