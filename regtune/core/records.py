"""What regtune writes down: frozen rows that turn into strict JSON and back without loss."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from regtune.core.html import html_table
from regtune.core.late_knobs import read_back, written
from regtune.core.metric import ASKED, Metric

# Of a sweep; trials of select are as those of search, trials of rivals as those of confirm.
PhaseName = Literal["search", "select", "confirm", "rivals"]
PHASES: tuple[PhaseName, ...] = ("search", "select", "confirm", "rivals")
Status = Literal["ok", "pruned", "diverged", "failed", "lost"]
Json = dict[str, Any]
BAD_ENDS = ("failed", "diverged", "lost")  # how a trial ends badly
OPEN = ("missing", "running", "interrupted")  # of a planned trial: it has not ended
Retrain = Literal["none", "updates", "epochs", "loss"]
Balance = Literal["none", "weights", "sampler"]

# How the path of a choice ends among the searched knobs of a trial: `dropout.switch` is true or false,
# `mixing.one_of` is the name of a method of the group `mixing`, or "none".
SWITCH = "switch"
ONE_OF = "one_of"
NONE = "none"
SAME = "same"  # of a started row: the cell that held the same trial before, whose numbers this one has
FIRST = "first"  # of an arm: the points that are searched before any that a sampler draws


def finite(value: float) -> float | None:
    """Return the number, or None where JSON has no word for it (infinity, not a number)."""
    return value if math.isfinite(value) else None


class TrialKey(NamedTuple):
    """The key of a planned trial, `cell` in logs: the `number`-th trial of an arm in a phase.

    In select and rivals several trials have the knobs of one search trial: see `halving.join_number`.
    """

    arm: str
    phase: PhaseName
    number: int

    def __str__(self) -> str:
        """Return the form used on the command line: `mixup/search/3`."""
        return f"{self.arm}/{self.phase}/{self.number}"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything that determines the numbers of one training run, as plain JSON values.

    `data` and `network` hold a `name` and settings. `recipe` is a tuple of tables, each the `name` of a regularizer
    with its knobs; the empty tuple is the baseline. `optimizer` holds a `name`, its settings and the learning rate.
    `phase` decides whether the test split is used ("confirm" only). `threads` is the number of CPU threads, `device`
    is "cpu" or "cuda", `dtype` is "float32" or "float64". `autocast` computes the network in bfloat16 where that is
    safe, `channels_last` keeps pictures in that order of memory, `compiled` has the network and its objective compiled.
    `retrain` is "none" or, in confirm, how the trial trains again on train + validation: for as many "updates", as many
    "epochs", or until the "loss" is matched, for `retrain_cap` epochs at most. With `tightness` the outcome says how
    tightly classes lie in the last hidden layer. `metric` is empty, or one of `metric.CLASSWISE` that is measured on
    validation examples too. `balance` says what is done where classes are unequal, see `training.balance`: "none",
    "weights" or "sampler". `plugins` names the user's modules in which things of those names are found.
    """

    data: Json
    network: Json
    optimizer: Json
    epochs: int
    batch: int
    seed: int
    recipe: tuple[Json, ...] = ()
    phase: Literal["search", "confirm"] = "search"
    threads: int = 1
    device: str = "cpu"
    dtype: str = "float32"
    autocast: bool = False
    channels_last: bool = False
    compiled: bool = False
    retrain: Retrain = "none"
    retrain_cap: int = 100
    tightness: bool = False
    metric: str = ""
    balance: Balance = "none"
    plugins: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of a hash of the content: equal trials have equal ids."""
        text = json.dumps(self.plain(), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def plain(self) -> Json:
        """Return the strict-JSON form."""
        row = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        later = {"tightness": False, "metric": "", "balance": "none"}  # not written as they were before: ids stay
        row = {name: value for name, value in row.items() if name not in later or value != later[name]}
        return row | {"recipe": [written(method) for method in self.recipe], "plugins": list(self.plugins)}

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what is not as it is by default."""
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        told = {name: getattr(self, name) for name in usual}
        rows = [(name, _in_words(value)) for name, value in told.items() if value != usual[name] or name == "recipe"]
        return html_table((), rows, f"trial {self.id}")

    @classmethod
    def from_plain(cls, row: Mapping[str, Any]) -> Trial:
        """Return the trial of a plain row."""
        lists = {"recipe": tuple(map(read_back, row["recipe"])), "plugins": tuple(row["plugins"])}
        return cls(**{**row, **lists})


def _in_words(value: Any) -> str:
    """Return a setting in short: what a table names, and then its settings; a list item by item."""
    if isinstance(value, Mapping):
        name = str(value.get("name", ""))
        rest = ", ".join(f"{key} = {_in_words(each)}" for key, each in value.items() if key != "name")
        return ": ".join(filter(None, (name, rest)))
    if isinstance(value, list | tuple):
        return "; ".join(map(_in_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended: "ok", "pruned", "diverged", "failed" by its own fault, "lost" to faults of the machine.

    `kept` is the number of the epoch whose weights count. `metrics` are taken there, on clean data with hard labels
    in eval mode: `train_accuracy`, `train_loss` on the whole training split, `val_accuracy`, `val_loss`, `val_ece`
    and that of `metric`, and in confirm `test_accuracy`, `test_loss`, `test_ece` and all of `classwise` at the kept
    epoch and `test_accuracy_last`, `test_loss_last` at the last one. Accuracies are fractions, losses negative
    log-likelihoods in nats, `*_ece` expected calibration errors, see `evaluation.calibration_error`. `weight_norm`
    is the Euclidean length of the weights kept, without biases and what normalization layers have, `zero_share` the
    share of exact zeros among them, `distance` how far they are from those with which training began, as the recipe
    evaluates both. `test_right` says which test examples were right at the kept epoch, in the text of
    `bitset.pack_bits`, see `loader.right_answers`; it is empty in search. On request, `train_nc1`, `train_cdnv` and
    `val_nc1`, `val_cdnv` say how tightly the classes of each split lie in the input of the last layer, see
    `neural_collapse.NeuralCollapse`; classes that a split lacks are left out, and None stands where they are undefined.

    After retraining `kept` and `val_*` are those of the first training, all else is taken at the end of the second,
    whose length is `retrain_epochs`: `train_*` are then of training and validation examples together, on which it
    trained, and `val_*` still of validation examples that had not been trained on. Where it started from the weights of
    the first, there is no `distance`. `target_reached` is 1.0 or 0.0 where it had a loss to match. None stands for a
    number that is not finite or not defined. Where an exception ended the trial, `traceback` has a line for each of its
    frames from the first that is the user's on, see `own_code`.
    """

    status: Status
    message: str = ""
    kept: int = 0
    metrics: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    test_right: str = ""
    traceback: str = ""

    def plain(self) -> Json:
        """Return the strict-JSON form."""
        row = {**vars(self), "metrics": dict(self.metrics)}
        return row if self.traceback else {k: v for k, v in row.items() if k != "traceback"}  # older rows have none


PRETRAINING = ("pretrained", "pretraining_examples", "pretraining_seconds")
TIMES = ("seconds", "data_share", "pretraining_seconds")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training data and what was measured after it.

    `number` counts from 1. `objective` is the mean training objective, with the recipe's bends and penalties: never
    compare it across arms. `train_*` are clean metrics on a fixed subset of at most 1,000 training examples, `val_*` on
    the whole validation split, beside accuracy and loss that of the trial's `metric` alone. `learning_rate` is that of
    the first step. `kept` is the number of the epoch that the recipe would keep if training ended here. `branches` and
    `gradients` are how many residual branches were really run and how many gradients evaluated, per update. `stage` is
    "retrain" in the second training of a trial that has one: the validation examples are then training examples too.
    `seconds` is wall time, `data_share` the share of it that batches and augmentation took of the updates alone.
    `pretrained` is the key of what the trial was pretrained by, on its first epoch, with the examples and seconds that
    took, none for weights from a file; trials with one key share it. See `training.pretraining`.
    `outcome` is set on the last epoch only. None stands for a number that is not finite or not defined.
    """

    number: int
    objective: float | None
    train_accuracy: float | None
    train_loss: float | None
    val_accuracy: float | None
    val_loss: float | None
    val_balanced_accuracy: float | None = None
    val_macro_f1: float | None = None
    val_auroc: float | None = None
    learning_rate: float | None
    kept: int
    seconds: float
    branches: float = 0.0
    gradients: float = 1.0
    stage: Literal["train", "retrain"] = "train"
    data_share: float = 0.0
    pretrained: str = ""
    pretraining_examples: int = 0
    pretraining_seconds: float = 0.0
    outcome: Outcome | None = None

    def plain(self) -> Json:
        """Return the strict-JSON form, in which metrics that were not asked for do not stand."""
        row = {name: value for name, value in vars(self).items() if value is not None or name not in ASKED}
        if not self.pretrained:
            row = {name: value for name, value in row.items() if name not in PRETRAINING}
        return row | {"outcome": self.outcome.plain() if self.outcome else None}

    @classmethod
    def from_plain(cls, row: Mapping[str, Any]) -> Epoch:
        """Return the epoch of a plain row."""
        outcome = row["outcome"]
        return cls(**{**row, "outcome": Outcome(**outcome) if outcome else None})

    @property
    def asked(self) -> dict[str, float | None]:
        """The metrics on validation examples that were asked for and are defined, by name."""
        return {name: value for name in ASKED if (value := getattr(self, name)) is not None}

    def on_validation(self, metric: Metric) -> float | None:
        """Return a metric on the validation examples."""
        return getattr(self, metric.val)  # type: ignore[no-any-return]  # a field for each metric

    def numbers(self) -> Json:
        """Return what two runs of one trial must agree on: everything but the times."""
        return {name: value for name, value in self.plain().items() if name not in TIMES}
