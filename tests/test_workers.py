"""Which trial gets a worker that has become free."""

from __future__ import annotations

from collections.abc import Set
from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial as TuneTrial

from regtune.execution.ray.adapters import LaneScheduler


def chosen(starting: Set[str], waiting: Set[str], running: Set[str] = frozenset()) -> str | None:
    """Return what is chosen of trials that were handed out in the order of their names."""
    names = sorted(starting | waiting | running)
    trials = [
        SimpleNamespace(trial_id=name, config={"avoid": []}, status=TuneTrial.RUNNING if name in running else "PENDING")
        for name in names
    ]

    class Controller:
        """As much of Tune's as is looked at."""

        def __init__(self) -> None:
            actors = SimpleNamespace(is_actor_started=lambda actor: actor in starting | running)
            # A trial that waits for room has an actor as well: one that Ray has not begun to start.
            held = {id(trial): trial.trial_id for trial in trials if trial.trial_id != "d"}
            self._tune_controller = SimpleNamespace(
                _actor_manager=actors, _trial_to_actor=SimpleNamespace(get=lambda trial: held.get(id(trial)))
            )

        def get_live_trials(self) -> list[Any]:
            return trials[::-1]

    pool: Any = SimpleNamespace(in_order=lambda: names, elsewhere=lambda avoid: False, over=False)
    trial = LaneScheduler(pool).choose_trial_to_run(Controller())
    return trial.trial_id if trial is not None else None


def test_the_longest_waiting_trial_without_a_starting_worker_gets_a_free_one() -> None:
    assert chosen(starting=set(), waiting={"a", "b"}) == "a"
    assert chosen(starting={"a", "b"}, waiting={"c", "d"}) == "c"
    assert chosen(starting={"b"}, waiting={"c"}, running={"a"}) == "c"
    assert chosen(starting={"a"}, waiting={"d"}) == "d", "Tune has asked for no worker for it yet"


def test_a_worker_that_starts_is_not_ended_for_a_free_one() -> None:
    assert chosen(starting={"a", "b"}, waiting=set()) is None
    assert chosen(starting=set(), waiting=set(), running={"a"}) is None
