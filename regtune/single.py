"""One trial in this process: try a recipe out, or train a recorded trial again."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution

from regtune.arms import Arm
from regtune.build import load_data
from regtune.data import Place
from regtune.errors import Refused, nearest, shown
from regtune.log import read_log
from regtune.machine import describe, differences
from regtune.optimizers import OPTIMIZERS
from regtune.records import ONE_OF, SWITCH, Cell, Epoch, Plain, Trial
from regtune.regularizers import REGULARIZERS
from regtune.space import Knob, knobs
from regtune.store import Results, load
from regtune.sweep import Sweep
from regtune.training import train


def show(
    path: Path, arm: str | None, settings: Sequence[str], seed: int, plugins: tuple[str, ...], place: Place
) -> None:
    """Train one trial of a sweep file and print its epochs.

    Searched knobs that `settings` ("method.knob=value") does not give take their defaults.
    """
    sweep = Sweep.read(path, plugins)
    chosen = sweep.arm(arm or sweep.baseline, "--arm")
    trial = read_trial(chosen, settings, seed)
    print(f"trial {trial.id}: arm {chosen.name}, recipe {list(trial.recipe)}, optimizer {trial.optimizer}, seed {seed}")
    for epoch in train(trial, data=load_data(trial, place)):
        print(line(epoch))


def read_trial(arm: Arm, settings: Sequence[str], seed: int) -> Trial:
    """Return a search trial of an arm with knobs set by hand; raises Refused.

    Where nothing is set, switches are off and a group has its first choice, which is "none" if it has that.
    """
    known, values = settable(arm), {}
    for path in arm.space:
        k = _knob(known, arm, path)
        values[path] = k.plain(k.default)
    given = {}
    for text in settings:
        path, equals, value = text.partition("=")
        if not equals:
            raise Refused(f"--set {text}: expected method.knob=value")
        given[path] = _value(_knob(known, arm, path), value, f"--set {path}")
    values |= given
    idle = arm.idle(values)
    for path in given:
        if path in idle:
            raise Refused(f"--set {path}: {path.partition('.')[0]} is off; add --set {idle[path]}")
    return arm.trial({path: value for path, value in values.items() if path not in idle}, seed=seed, phase="search")


def settable(arm: Arm) -> dict[str, dict[str, Knob]]:
    """Return what may be set by hand: the knobs of every method of the arm, of the optimizer, and the choices."""
    found = {
        row["name"]: dict(knobs(REGULARIZERS.find(row["name"], "recipe", arm.template.plugins)))
        for row in arm.template.recipe
    }
    found["optimizer"] = knobs(OPTIMIZERS[arm.template.optimizer["name"]])
    for path, space in arm.space.items():
        owner, _, word = path.partition(".")
        if word in (SWITCH, ONE_OF) and isinstance(space, CategoricalDistribution):
            first = space.choices[0]
            legal = tuple(map(str, space.choices)) if word == ONE_OF else None
            choice = Knob(name=word, kind=type(first), default=first, legal=legal, space=None, meaning="what is in")
            found.setdefault(owner, {})[word] = choice
    return found


def _knob(known: Mapping[str, Mapping[str, Knob]], arm: Arm, path: str) -> Knob:
    prefix, _, name = path.partition(".")
    if prefix not in known:
        raise Refused(f"--set {path}: unknown method {shown(prefix)} in arm {arm.name}{nearest(prefix, known)}")
    if name not in known[prefix]:
        raise Refused(f"--set {path}: unknown knob {shown(name)}{nearest(name, known[prefix])}")
    return known[prefix][name]


def _value(k: Knob, given: str, where: str) -> Any:
    """Return the plain value of a knob of a text that is read as TOML."""
    try:
        value = tomllib.loads(f"value = {given}")["value"]
    except (ValueError, RecursionError):  # no TOML: a word, or a number or nesting beyond measure
        value = given
    return k.plain(k.read(value, where))


def line(epoch: Epoch) -> str:
    """Return an epoch in a line."""

    def percent(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.2f} %"

    more = "".join(f"{name} {percent(value)}, " for name, value in epoch.asked.items())
    text = (
        f"epoch {epoch.number}: val {percent(epoch.val_accuracy)}, {more}train {percent(epoch.train_accuracy)}, "
        f"kept {epoch.kept}, {epoch.seconds:.2f} s"
    )
    if epoch.outcome:
        text += f"\n{epoch.outcome.status} {epoch.outcome.message}".rstrip()
        text += "".join(f"\n  {name} {value}" for name, value in epoch.outcome.metrics.items())
    return text


def repeat(folder: Path, row: str, place: Place) -> int:
    """Train a recorded trial again and say whether every number of every epoch is identical.

    Returns the exit code: 0 if identical, 1 if not, 3 if the machine makes that no surprise.
    """
    results = load(folder)
    cell = find(results, row)
    trial = Trial.from_plain(results.plain_trials[cell])
    header, recorded = recorded_epochs(results, cell)
    if not recorded:
        raise Refused(f"--row {row}: expected a trial with epochs, this one ended before its first")
    print(f"{cell}: {trial.id}, {len(recorded)} recorded epochs")
    differing = []
    epochs = train(trial, data=load_data(trial, place))
    for then in recorded:  # a pruned trial would go on; only what is recorded is trained again
        epoch = next(epochs, None)
        now = _as_recorded(epoch.numbers(), then) if epoch else dict.fromkeys(then, "nothing")
        differing += [
            f"epoch {then['number']} {name}: {then[name]} then, {now[name]} now"
            for name in then
            if then[name] != now[name]
        ]
    unlike = differences(header, describe())
    if not differing:
        print(f"identical: every number of {len(recorded)} epochs")
        return 0
    print(f"{len(differing)} numbers differ, the first: {differing[0]}")
    if unlike:
        print(f"not comparable bit for bit, because {'; '.join(unlike)}")
        return 3
    print("not identical although software and processor are the same")
    return 1


def _as_recorded(now: Plain, then: Plain) -> Plain:
    """Return the numbers of an epoch without metrics that were not yet measured when the log was written."""
    if not now["outcome"] or not then["outcome"]:
        return now
    known = then["outcome"]["metrics"]
    metrics = {name: value for name, value in now["outcome"]["metrics"].items() if name in known}
    return now | {"outcome": now["outcome"] | {"metrics": metrics}}


def find(results: Results, row: str) -> Cell:
    """Return the recorded cell of an id or of `arm/phase/number`; raises Refused."""
    by_name = {str(cell): cell for cell in results.plain_trials}
    ids = {Trial.from_plain(trial).id: cell for cell, trial in results.plain_trials.items()}
    found = by_name.get(row) or ids.get(row)
    if found is None:
        raise Refused(f"--row: unknown trial {shown(row)}{nearest(row, [*by_name, *ids])[:200]}")
    return found


def recorded_epochs(results: Results, cell: Cell) -> tuple[Plain, list[Plain]]:
    """Return the header under which a cell was trained, where its worker was, and the numbers of its epochs."""
    header, then, epochs = results.header, results.header, list[Plain]()
    rows, _ = read_log(results.path / "log.jsonl")
    for row in rows:
        if row["event"] == "header":
            header = row
        if "cell" not in row or Cell(*row["cell"]) != cell:
            continue
        if row["event"] == "asked":
            epochs = []
        elif row["event"] == "started":
            place = row["where"]
            then = {
                **header,
                "packages": {**header["packages"], "torch": place["torch"]},
                "machine": {**header["machine"], "processor": place["processor"]},
            }
        elif row["event"] == "epoch":
            epochs.append(Epoch.from_plain(row["epoch"]).numbers())
    return then, epochs
