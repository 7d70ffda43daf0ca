"""The shape of a sweep file: its tables, their settings and defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from regtune.core.metric import Name
from regtune.core.records import Retrain

MAX_TRIALS = 10_000  # per arm; confirm seeds start behind it
MAX_SELECT = 100  # candidates of an arm, and seeds of select; these lie before those of confirm
MAX_SEED = 100_000  # seeds of trials are 20,000 for each seed of a sweep, and stay below 2^31
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"  # of a sweep
Scope = Literal["searches", "configuration"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    def unsaid(self, *names: str) -> set[str]:
        """Return which of these settings have their default: headers leave them out, as older ones have to."""
        return {name for name in names if getattr(self, name) == type(self).model_fields[name].default}


class Training(_Table):
    """`[training]`: what every trial shares.

    `autocast`, `channels_last` and `compiled` are about speed: see `records.Trial`. With `tightness` every trial
    ends with how tightly classes lie in the last hidden layer, see `records.Outcome`; it changes no other number.
    It asks for a network whose logits are the output of an `nn.Linear`.
    """

    epochs: int = Field(ge=1, le=1_000_000)
    batch: int = Field(ge=1, le=10_000_000)
    dtype: str = Field(default="float32", pattern="^(float32|float64)$")
    autocast: bool = False
    channels_last: bool = False
    compiled: bool = False
    tightness: bool = False


class Search(_Table):
    """`[search]`: trials per arm or per searched knob, where their knobs come from, and which end early.

    `sampler` is a file in `samplers`, `levels` the values of a range on its grid. `pruner` is a file in `pruners`: for
    "cautious" and "asha", `grace` is the share of the epochs before the first rung, `factor` the ratio between rungs
    and the share that goes on, `population` the trials a rung must have seen before it prunes, `control` the share of
    trials that go on whatever they say; for "epochs", `stop_after` is the number of epochs that every trial gets. The
    pruner of a plugin may have further settings, its knobs.
    `repeats` is how often all of it is done, each time with the next seed. `first` are points that are known already.
    `metric` is what search and select choose and prune by, on validation examples, see `metric.METRICS`. What is drawn
    differs from sweep to sweep by its name; it is that of a sweep called `stream` where one is given.
    """

    model_config = ConfigDict(extra="allow")  # what a pruner of a plugin may have, see `pruner.read_pruner`

    trials: int | None = Field(default=None, ge=1, le=MAX_TRIALS)
    trials_per_knob: int | None = Field(default=None, ge=1, le=1000)
    sampler: str = "paired"
    levels: int = Field(default=3, ge=2, le=100)
    pruner: str = "cautious"
    stop_after: int | None = Field(default=None, ge=1)
    grace: float = Field(default=0.2, ge=0.2, le=1)
    factor: float = Field(default=3.0, ge=1.1, le=100)
    population: int = Field(default=3, ge=1, le=MAX_TRIALS)
    control: float = Field(default=0.0, ge=0, le=1)
    repeats: int = Field(default=1, ge=1, le=100)
    first: Any = []
    metric: Name = "accuracy"
    stream: str | None = Field(default=None, pattern=NAME)


class Select(_Table):
    """`[select]`: the best few of each arm, trained again before one of them is chosen, see `core.selection`.

    The best `candidates` of an arm, and all within two standard errors of its best up to `most`, are trained on up to
    `seeds` further seeds that all arms share, the better half of them going on from round to round; the choice is by
    the mean of the metric of search. With `seeds` = 0 there is no select: the best score of search decides.
    """

    candidates: int = Field(default=4, ge=1, le=MAX_SELECT)
    most: int = Field(default=8, ge=1, le=MAX_SELECT)
    seeds: int = Field(default=5, ge=0, le=MAX_SELECT)


class Confirm(_Table):
    """`[confirm]`: fresh seeds on which the best configuration of each arm is trained again.

    `retrain` has each of these trials train a second time, on train + validation, in the same way in all arms: see
    `trainer.Training`. `retrain_cap` is how many epochs matching the loss may take. `splits` is "one" for the split of
    search, "fresh" for one of its own for each seed, the same in all arms; a `Sweep` has one of them, see
    `parts.splits_of`. `weights` keeps those of confirmed trials beside the log, for `regtune export`: of all, or
    with "best" of each arm those of the trial that is best on validation examples, see `kept_weights`. With `racing`
    every arm gets `first` seeds, and then, up to `seeds`, those whose difference to the baseline is not
    resolved: see `statistics.racing`. `metric` is what verdicts are by, on test examples; without a race it may be
    another at any time. `relevant` is the least difference that matters, in its unit (points, of "nll" nats), and may
    be set at any time: see `statistics.relevance`. `scope` says what verdicts are about: "searches", of which this one
    is a draw, see `resampling`, or the "configuration" that it has found; the first where nothing is `scope.lacking`
    and no log says otherwise, see `begun`.
    `aa` has a copy of the baseline trained beside the arms, see `copies`; by default where `lacking_copy` is empty.
    """

    seeds: int = Field(default=20, ge=0, le=10_000)
    retrain: Retrain = "none"
    retrain_cap: int = Field(default=100, ge=1, le=1_000_000)
    splits: Literal["one", "fresh"] | None = None
    weights: Literal[True, False, "best"] = True
    racing: bool = False
    first: int = Field(default=5, ge=3, le=10_000)
    metric: Name = "accuracy"
    relevant: float | None = Field(default=None, gt=0, le=100)
    scope: Scope | None = None
    aa: bool | None = None


class Cluster(_Table):
    """`[cluster]`: what one trial takes, and what is done for it where machines fail.

    With a share of a GPU it trains on "cuda", else on "cpu". `labels` are those that a node must have, as in
    {"ray.io/accelerator-type" = "H100"}. After a fault of the machine a trial goes on from its newest
    checkpoint, `retries` times at most; there is one every `checkpoint_seconds`. An attempt that takes longer
    than `hours_per_trial` has failed. `pending` trials wait for nodes that an autoscaler may bring: more bring nodes
    faster, and let a sampler that learns know less.
    """

    cpus_per_trial: int = Field(default=1, ge=1, le=1024)
    gpus_per_trial: float = Field(default=0.0, ge=0, le=1)
    labels: dict[str, str] = {}
    retries: int = Field(default=3, ge=0, le=1000)
    checkpoint_seconds: float = Field(default=60.0, ge=0)
    hours_per_trial: float | None = Field(default=None, gt=0)
    pending: int = Field(default=4, ge=1, le=10_000)


class SweepFile(_Table):
    """The whole file; the open tables are checked against the knobs of what they name. `reuse` are results folders."""

    name: str | None = Field(default=None, pattern=NAME)
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    plugins: list[str] = []
    reuse: list[str] = []
    data: dict[str, Any]
    network: dict[str, Any]
    optimizer: dict[str, Any]
    training: Training
    base: dict[str, Any] = {}
    arms: dict[str, Any]
    search: Search = Search()
    select: Select = Select()
    confirm: Confirm = Confirm()
    cluster: Cluster = Cluster()
