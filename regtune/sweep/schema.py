"""The shape of a sweep file: its tables, their settings and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from regtune.core.metric import Name
from regtune.core.records import Balance, Retrain

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


class TrainingConfig(_Table):
    """`[training]`: what all trials have in common; see also `records.Trial`."""

    epochs: int = Field(ge=1, le=1_000_000, description="epochs of a full training")
    batch: int = Field(ge=1, le=10_000_000, description="examples in a batch")
    dtype: str = Field(default="float32", pattern="^(float32|float64)$", description="`float32` or `float64`")
    autocast: bool = Field(default=False, description="compute the network in bfloat16 where that is safe")
    channels_last: bool = Field(default=False, description="keep pictures in channels-last memory format")
    compiled: bool = Field(
        default=False,
        description="compile the network and its objective, in lanes all but augmentation, with `torch.compile`",
    )
    tightness: bool = Field(
        default=False,
        description="measure at the end of every trial how tightly the classes lie in the last hidden layer (NC1 and "
        "CDNV); no other number changes; the logits must be the output of an `nn.Linear`",
    )
    balance: Balance = Field(
        default="none",
        description='where classes are unequal: "weights" weighs the loss of each example by its class, "sampler" '
        "draws classes equally often",
    )


class SearchConfig(_Table):
    """`[search]`: trials per arm or per searched knob, where their knobs come from, and which are pruned."""

    model_config = ConfigDict(extra="allow")  # what a pruner of a plugin may have, see `pruner.read_pruner`

    trials: int | None = Field(
        default=None, ge=1, le=MAX_TRIALS, description="search trials of each arm; give this or `trials_per_knob`"
    )
    trials_per_knob: int | None = Field(
        default=None, ge=1, le=1000, description="search trials of each arm for each knob that it searches"
    )
    sampler: str = Field(default="paired", description="name of the sampler that suggests the knobs of a trial")
    levels: int = Field(default=3, ge=2, le=100, description='values of each range on the grid of `sampler = "grid"`')
    pruner: str = Field(
        default="cautious",
        description='which search trials end early: "cautious", "asha", "epochs", "none", or one of a plugin',
    )
    stop_after: int | None = Field(
        default=None, ge=1, description='with `pruner = "epochs"`, and only then: the epochs that every trial gets'
    )
    grace: float = Field(
        default=0.2, ge=0.2, le=1, description='"cautious" and "asha": share of the epochs before the first rung'
    )
    factor: float = Field(
        default=3.0,
        ge=1.1,
        le=100,
        description='"cautious" and "asha": ratio between rungs; one in `factor` trials passes a rung',
    )
    population: int = Field(
        default=3,
        ge=1,
        le=MAX_TRIALS,
        description='"cautious" and "asha": trials that must have reached a rung before one is pruned there',
    )
    control: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description='"cautious" and "asha": share of trials that are never pruned, to measure what pruning costs',
    )
    repeats: int = Field(default=1, ge=1, le=100, description="repeats of the whole sweep, each with the next seed")
    first: Any = Field(default=[], description="points to try first in every arm: a list of tables of knobs")
    metric: Name = Field(
        default="accuracy", description="validation metric by which search and select choose and prune"
    )
    stream: str | None = Field(
        default=None,
        pattern=NAME,
        description="draw the same points as a sweep of this name and seed; by default the sweep's own name",
    )


class SelectConfig(_Table):
    """`[select]`: the best few of each arm are trained again before one of them is chosen, see `core.selection`."""

    candidates: int = Field(
        default=4, ge=1, le=MAX_SELECT, description="number of best configurations of an arm to train again"
    )
    most: int = Field(
        default=8,
        ge=1,
        le=MAX_SELECT,
        description="maximum of them, if more are within two standard errors of the best; at least `candidates`",
    )
    seeds: int = Field(
        default=5,
        ge=0,
        le=MAX_SELECT,
        description="further seeds, shared by all arms, on which they are trained in rounds (the better half stays in "
        "from round to round); 0: no select, the best score of search decides",
    )


class ConfirmConfig(_Table):
    """`[confirm]`: fresh seeds on which the chosen configuration of each arm is trained again."""

    seeds: int = Field(default=20, ge=0, le=10_000, description="fresh seeds of each arm; with `racing` the most")
    retrain: Retrain = Field(
        default="none",
        description="train every confirm trial a second time, on train + validation: for as many updates, as many "
        "epochs, or until the training loss is matched",
    )
    retrain_cap: int = Field(
        default=100, ge=1, le=1_000_000, description='with `retrain = "loss"`: the most epochs that it may take'
    )
    splits: Literal["one", "fresh"] | None = Field(
        default=None,
        description='"fresh": each seed of select and confirm draws its own train and validation examples, the same '
        'in all arms; "one": the split of search; by default "fresh" where the test split is fixed, else "one"',
    )
    weights: Literal[True, False, "best"] = Field(
        default=True,
        description='weights of confirmed trials to keep for `regtune export`: all, none, or the "best" of each arm',
    )
    racing: bool = Field(
        default=False, description="add seeds only where the difference to the baseline is not resolved yet"
    )
    first: int = Field(default=5, ge=3, le=10_000, description="with `racing`: seeds that every arm gets")
    metric: Name = Field(default="accuracy", description="what verdicts are about, on test examples")
    relevant: float | None = Field(
        default=None, gt=0, le=100, description='the least difference that matters, in points (of "nll" in nats)'
    )
    scope: Scope | None = Field(
        default=None,
        description="what verdicts are about: searches of this kind, or the configuration that this one found; by "
        "default searches, if the other settings allow it",
    )
    aa: bool | None = Field(
        default=None, description="train a copy of the baseline beside the arms; by default where it is possible"
    )


class ClusterConfig(_Table):
    """`[cluster]`: what one trial takes, and what is done for it where machines fail."""

    cpus_per_trial: int = Field(default=1, ge=1, le=1024, description="CPUs, and threads, of a trial")
    gpus_per_trial: float = Field(
        default=0.0, ge=0, le=1, description='GPU, or share of one; above 0 the trial trains on "cuda", else on "cpu"'
    )
    labels: dict[str, str] = Field(
        default={}, description='labels that a node must have, as { "ray.io/accelerator-type" = "H100" }'
    )
    retries: int = Field(
        default=3, ge=0, le=1000, description="how often a trial is resumed after a fault of a machine"
    )
    checkpoint_seconds: float = Field(default=60.0, ge=0, description="seconds between two checkpoints of a trial")
    hours_per_trial: float | None = Field(
        default=None,
        gt=0,
        description="time limit in hours for one attempt of a trial; in a lane its share of the lane's time counts",
    )
    lane_width: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        default="auto",
        description='trials that train side by side as one program; "auto" measures it, 1 trains one by one',
    )
    pending: int = Field(
        default=4,
        ge=1,
        le=10_000,
        description="workers that may wait for nodes of an autoscaler: more bring nodes faster",
    )


class SweepFile(_Table):
    """The whole file; the open tables are checked against the knobs of what they name."""

    name: str | None = Field(
        default=None, pattern=NAME, description="name of the sweep and its results folder; by default that of the file"
    )
    include: str | None = Field(
        default=None,
        description="a sweep file beside this one: what it says holds where this one says nothing, see "
        "[Several files](#several-files-and-settings-by-hand)",
    )
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="seed of the sweep")
    plugins: list[str] = Field(default=[], description="modules with your own methods, networks, data sets, samplers")
    reuse: list[str] = Field(default=[], description="results folders whose trials are reused where they are the same")
    data: dict[str, Any] = Field(description="`name` of a data set, and its settings")
    network: dict[str, Any] = Field(description="`name` of a network, and its settings")
    optimizer: dict[str, Any] = Field(description="`name` of an optimizer (`sgd` if not given), and its knobs")
    training: TrainingConfig
    base: dict[str, Any] = Field(default={}, description="methods that every arm has")
    arms: dict[str, Any] = Field(description="the arms by name; the first is what the others are compared with")
    search: SearchConfig = SearchConfig()
    select: SelectConfig = SelectConfig()
    confirm: ConfirmConfig = ConfirmConfig()
    cluster: ClusterConfig = ClusterConfig()
