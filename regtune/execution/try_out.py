"""One trial in this process: try a recipe out, or train a recorded trial again."""

from __future__ import annotations

import tomllib
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import Knob
from regtune.core.own_code import own_errors
from regtune.core.records import Epoch, Trial
from regtune.core.search_space import KnobPath
from regtune.core.signals import Interrupted, sigint_marked
from regtune.data import DataLocation, Splits
from regtune.execution.rehearsal import rehearse_trial, told
from regtune.sweep.arms import Arm
from regtune.sweep.points import settable
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.trainer import train


def show_trial(
    path: Path, arm: str | None, settings: Sequence[str], seed: int, plugins: tuple[str, ...], place: DataLocation
) -> int:
    """Train one trial of a sweep file and print its epochs; return the exit code, see `trained`.

    Searched knobs that `settings` ("method.knob=value") does not give take their defaults.
    """
    sweep = Sweep.read(path, plugins)
    chosen = sweep.arm(arm or sweep.baseline, "--arm")
    trial = read_trial(chosen, settings, seed)
    print(f"trial {trial.id}: arm {chosen.name}, recipe {list(trial.recipe)}, optimizer {trial.optimizer}, seed {seed}")
    with own_errors(f"data {trial.data['name']}"):
        data = load_data(trial, place)
    for text in told(rehearse_trial(trial, data, f"arms.{chosen.name}")):
        print(f"note: {text}")
    return trained(trial, data)


def trained(trial: Trial, data: Splits) -> int:
    """Train a trial and print its epochs, and the traceback of whatever is raised; return the exit code.

    Raises Refused where the trial is refused, and Interrupted at Ctrl-C.
    """
    try:
        with sigint_marked():
            for epoch in train(trial, data=data):
                print(epoch_line(epoch), flush=True)
    except (Refused, Interrupted):
        raise
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


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
            raise Refused(f"--set {path}: {KnobPath.of(path).owner} is off; add --set {idle[path]}")
    return arm.trial({path: value for path, value in values.items() if path not in idle}, seed=seed, phase="search")


def _knob(known: Mapping[str, Mapping[str, Knob]], arm: Arm, path: str) -> Knob:
    prefix, name = KnobPath.of(path)
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


def epoch_line(epoch: Epoch) -> str:
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
