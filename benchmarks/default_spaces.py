"""Whether the default of every method, and the ends of its default ranges, make sense in short and in long trainings.

    nice -n 10 python benchmarks/default_spaces.py --to results/published

trains the baseline, every regularizer at its defaults, and with one searched knob after the other at either
end of its default range (others at their defaults), in two settings and at three budgets, with one thread and by lanes.
The learning rate is the one of `RATES` at which the baseline is best. Writes what each loses against the baseline in
points of validation accuracy of the kept epoch, a mean over seeds that both share, to default_spaces.csv, and the table
of it to default_spaces.md. Less than `MOST` is expected, except where the method's card has a line "Range: ..." that
says why not. With `--methods` and `--epochs` a part is trained, and the rest stays what the file has.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import torch
from optuna.distributions import BaseDistribution

from regtune.core.errors import Refused
from regtune.core.knobs import knobs, plain_settings
from regtune.core.records import Json, Trial
from regtune.data import Splits
from regtune.optimizers import SGD
from regtune.regularizers import REGULARIZERS
from regtune.sweep.ranges import read_searched
from regtune.training.assembly import common, start
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.process import prepare_process

MOST = 20.0  # points that a default, or an end of a default range, may lose
UPDATES = 10  # an epoch: 200 training examples in batches of 20
SEEDS = {7: 2, 70: 1, 700: 1}  # by epochs: short trainings differ more between seeds
RATES = (0.01, 0.03, 0.1)
DEFAULT = "default"
KEYS = ["setting", "updates", "method", "at"]
CAPTION = """\
What a method loses against the baseline, in points of validation accuracy; below 0 it gains. Each at its defaults, and
with one searched knob at an end of its default range, at the learning rate that is best for the baseline of these:
{rates}. Losses above {most:g} points are bold; the cards of these methods say why. A dash: the network has no place for
the method; nothing: not trained. Ranges that are shares of the training are those of each budget, as the number says.
Means of {seeds} seeds.
mlp: residual, 3 layers of 64 units, 200 digits; convnet: 8 and 16 channels, 200 made-up pictures of 6 x 6, 4 classes.
Superclasses are pairs of neighbouring classes. `transfer` goes from MNIST (in REGTUNE_DATA) to digits, and from digits
to made-up pictures.

    nice -n 10 python benchmarks/default_spaces.py --to results/published
"""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A network and its data; `given` are knobs of methods whose default does not go with these data."""

    name: str
    data: Json
    network: Json
    given: dict[str, Json] = field(default_factory=dict)


SETTINGS = (
    Setting(
        name="mlp",
        data={"name": "digits", "train": 200, "validation": 397},
        network={"name": "mlp", "widths": [64, 64, 64], "residual": True},
        given={"transfer": {"source": "mnist"}},  # its default, digits, are the data
    ),
    Setting(
        name="convnet",
        data={"name": "synthetic", "train": 200, "validation": 200, "test": 2, "side": 6, "noise": 0.3},
        network={"name": "convnet", "channels": [8, 16], "batch_norm": False},
    ),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row of the table: a method, which knob is at which end of its default range, and the value there."""

    method: str
    at: str
    row: Json
    value: float | None = None


def cases(names: Sequence[str], epochs: int, given: dict[str, Json]) -> Iterator[Case]:
    """Yield every method at its defaults and at each end of each of its ranges."""
    for name in names:
        row = {"name": name, **given.get(name, {})}
        yield Case(method=name, at=DEFAULT, row=row)
        for knob, space in spaces(name, epochs).items():
            for end in ("low", "high"):
                value = getattr(space, end)
                yield Case(method=name, at=f"{knob} {end}", row=row | {knob: value}, value=value)


def spaces(method: str, epochs: int) -> dict[str, BaseDistribution]:
    """Return the default ranges of a method in a budget of so many epochs."""
    return read_searched(knobs(REGULARIZERS.all()[method]), {}, method, epochs=epochs)[1]


def trial(setting: Setting, epochs: int, seed: int, rate: float, recipe: Sequence[Json]) -> Trial:
    """Return one trial."""
    return Trial(
        data=setting.data,
        network=setting.network,
        optimizer={"name": "sgd", **plain_settings(SGD(learning_rate=rate))},
        epochs=epochs,
        batch=20,
        seed=seed,
        recipe=tuple(recipe),
    )


def accuracies(trials: Sequence[Trial], data: Splits) -> list[float]:
    """Return the validation accuracy of the kept epoch of each, in percent, 0 where it diverged; lanes where they can.

    What shares a lane does not depend on which methods are trained.
    """
    groups: dict[str, list[int]] = {}
    for place, each in enumerate(trials):
        groups.setdefault(repr(common(each, own_splits=False)), []).append(place)
    found = [0.0] * len(trials)
    for places in groups.values():
        for number in Lane([trials[place] for place in places], data=data):
            for place, epoch in zip(places, number, strict=True):
                if epoch is not None and epoch.outcome is not None:
                    found[place] = 100 * (epoch.outcome.metrics.get("val_accuracy") or 0.0)
    return found


def applies(case: Case, setting: Setting, data: Splits) -> bool:
    """Return whether the network has a place for the method."""
    try:
        start(trial(setting, 1, 0, 0.1, [case.row]), data)
    except Refused:
        return False
    return True


def measured(setting: Setting, epochs: int, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield frames of a row per case, method by method: `KEYS`, `value`, the baseline, its rate, and the loss."""
    seeds = range(SEEDS[epochs])
    data = load_data(trial(setting, epochs, 0, 0.1, []))
    if not data.superclasses:  # neighbouring digits, as neighbours are among the made-up pictures
        data = replace(data, superclasses=tuple(label // 2 for label in range(data.classes)))
    tried = {rate: accuracies([trial(setting, epochs, seed, rate, []) for seed in seeds], data) for rate in RATES}
    rate = max(tried, key=lambda each: sum(tried[each]))
    baseline = sum(tried[rate]) / len(seeds)
    for name in names:
        mine = [case for case in cases([name], epochs, setting.given) if applies(case, setting, data)]
        every = [trial(setting, epochs, seed, rate, [case.row]) for case in mine for seed in seeds]
        means = torch.tensor(accuracies(every, data)).reshape(len(mine), len(seeds)).mean(1).tolist()
        yield pd.DataFrame(
            [
                dict(zip(KEYS, (setting.name, epochs * UPDATES, name, case.at), strict=True))
                | {"value": case.value, "rate": rate, "baseline": baseline, "loss": baseline - mean}
                for case, mean in zip(mine, means, strict=True)
            ]
        )


def table(rows: pd.DataFrame) -> str:
    """Return the table in Markdown, with its caption."""
    columns = [(setting.name, epochs * UPDATES) for setting in SETTINGS for epochs in SEEDS]
    found = {tuple(row[key] for key in KEYS): row for row in rows.to_dict("records")}
    heads = [f"{setting} {updates:,}" for setting, updates in columns]
    lines = ["| method | at | " + " | ".join(heads) + " |", "|---|---|" + "---:|" * len(heads)]
    of = [rows[(rows["setting"] == setting) & (rows["updates"] == updates)] for setting, updates in columns]
    told = [f"{part['baseline'].iloc[0]:.1f} % at {part['rate'].iloc[0]:g}" if len(part) else "" for part in of]
    lines.append("| baseline | accuracy and rate | " + " | ".join(told) + " |")
    places = set(zip(rows["setting"], rows["method"], strict=True))
    for method, at in dict.fromkeys(sorted(zip(rows["method"], rows["at"], strict=True))):
        mine = [found.get((*column, method, at)) for column in columns]
        values = list(dict.fromkeys(f"{row['value']:g}" for row in mine if row and row["value"] == row["value"]))
        cells = [
            _cell(row["loss"]) if row else "" if (setting, method) in places else "–"
            for row, (setting, _) in zip(mine, columns, strict=True)
        ]
        place = f"{at} = {', '.join(values)}" if values else at
        lines.append(f"| `{method}` | {place} | " + " | ".join(cells) + " |")
    seeds = ", ".join(f"{count} (at {epochs * UPDATES:,} updates)" for epochs, count in SEEDS.items())
    caption = CAPTION.format(rates=", ".join(map(str, RATES)), most=MOST, seeds=seeds)
    return caption + "\n" + "\n".join(lines) + "\n"


def _cell(loss: float) -> str:
    return f"**{loss:.1f}**" if loss > MOST else f"{loss:.1f}"


def main() -> None:
    """Train what is asked for and write rows and table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="the folder of rows and table")
    parser.add_argument("--methods", nargs="*", default=sorted(REGULARIZERS.all()), help="train these only")
    parser.add_argument("--epochs", nargs="*", type=int, default=list(SEEDS), help="train these budgets only")
    given = parser.parse_args()
    prepare_process(1)
    file = given.to / "default_spaces.csv"
    rows = pd.read_csv(file) if file.exists() else pd.DataFrame()
    for epochs in given.epochs:
        for setting in SETTINGS:
            for more in measured(setting, epochs, given.methods):
                both = pd.concat([rows, more], ignore_index=True)
                rows = both.drop_duplicates(KEYS, keep="last").sort_values(KEYS, ignore_index=True)
                rows.to_csv(file, index=False)
            print(f"{setting.name}, {epochs} epochs: {time.process_time():.0f} CPU s so far", file=sys.stderr)
    (given.to / "default_spaces.md").write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
