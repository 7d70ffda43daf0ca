"""What a regularizer is: a frozen dataclass that changes training through 13 hooks; by default none does anything.

A training, with the hooks of all methods of a recipe in it; `->` says how those of several go together:

    net = pretrain(net, data)                                   -> composed, in recipe order
    net = prepare(net, data)                                    -> composed
    memory = begin(state, data)                                 -> each its own
    for each step, at its share `progress` of the budget:
        rate = learning_rate * schedule(progress)               -> multiplied
        x, y = augment(x, y)                                    -> composed, in recipe order
        logits = net(x), at each slot bend(x, slot)             -> composed, in recipe order
        objective = cross_entropy(logits, y) + penalty()        -> added
        gradients = descend(gradient of the objective)(weights) -> composed, the first innermost
        state = project(optimizer(state, gradients, rate))      -> one after the other
        memory = remember(state)                                -> each its own
    after each epoch, on validation and training examples:
        measure the network at evaluate(weights, buffers)       -> composed
        kept = keep(epochs), the last epoch if stop(epochs)     -> the newest if all say so; any stops

In addition, `check(net, data)` refuses settings that make no sense, with the remedy. State of a method beside the
weights is in `step.memory`. `pretraining_key` says which trials share what `pretrain` learned, `reads` what a method
reads beside the data, `wants_unlabelled` that `penalty` is to see pictures without labels too.

Hooks return values and edit nothing in place. Float knobs are 0-dim tensors inside `train`: use torch
operations on them and never branch in Python on their value. Random numbers come from `step.noise`
only, each draw of a step under its own site name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import isfunction
from types import CodeType
from typing import Any, ClassVar

from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.knobs import plain_settings
from regtune.core.records import Epoch, Json
from regtune.core.registry import name_of
from regtune.core.rng import Rng
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import Splits
from regtune.networks import Slot

HOOKS = (
    "pretrain",
    "prepare",
    "augment",
    "bend",
    "penalty",
    "descend",
    "project",
    "begin",
    "remember",
    "evaluate",
    "schedule",
    "stop",
    "keep",
)
NEAR = 0.8  # how alike a name must be to that of a hook to be a slip of the pen
Gradient = Callable[[Tensors], Tensors]
Statistics = Callable[[Tensors], Tensors]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a hook may see of the moment: its own noise, the share of the budget that is done
    (0 <= progress < 1), the learning rate, whether this is training or evaluation, whether this step is
    the last of an epoch, and what the method remembers.

    `host` is the method with plain numbers when the trial runs alone, so that it may decide on the host
    to skip work where skipping and masking give the same bits; None in a lane. `spared` names parameters that are no
    weights although they are no vectors, see `core.state.weights`.
    """

    noise: Rng
    progress: Number
    learning_rate: Number
    training: bool = True
    ends_epoch: bool = False
    memory: Tensors = field(default_factory=dict)
    host: Any = None
    spared: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Forward(Step):
    """What a penalty may see: a step and its forward pass.

    `inputs` [N, C, H, W] and `targets` [N, classes] as augmented, `logits` [N, classes], `taps` the
    tensors [N, ...] that reached the input and hidden slots outside residual branches, by slot label, before
    any bending. `features` returns what enters the last layer [N, d], bent: for `inputs` itself that of
    the forward pass, for other inputs [N, C, H, W] by a second one, which leaves no trace in buffers; see
    `networks.with_head`. `unlabelled` are as many pictures [N, C, H, W] that are in no split, drawn anew for each step
    and augmented like the inputs, each draw for itself; None unless the method wants them, and where there are none.
    """

    params: Tensors
    inputs: Tensor
    targets: Tensor
    logits: Tensor
    taps: Tensors
    features: Callable[[Tensor], Tensor]
    unlabelled: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A network after pretraining, and how many examples went through it, those of all passes together.

    Without any nothing was done, unless weights were `loaded`: those are noted, but not kept once more.
    """

    net: nn.Module
    examples: int
    loaded: bool = False


@dataclass(frozen=True, kw_only=True)
class Regularizer:
    """The base of every regularizer: all hooks neutral. A method overrides the ones it needs.

    `needs` names the kinds of slots that the method bends; a network must have one of them. `weighs` says that the
    method acts on weights proper alone, see `core.state.weights`. What is of pictures alone names in `on_tables` the
    method that does for rows of a table what it does for pictures.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    on_tables: ClassVar[str] = ""
    weighs: ClassVar[bool] = False

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused, with the remedy, for settings that make no sense for this network and data."""

    def pretrain(self, net: nn.Module, data: Splits, noise: Rng) -> Pretrained:
        """Return the network after training on another task, given the one with its initial weights and the data.

        What it returns is kept and given to every trial that asks for the same, so it is to be a function of the
        weights, the data, the knobs and `noise`. The given network may be changed in place: it is a copy.
        """
        return Pretrained(net=net, examples=0)

    def pretraining_key(self) -> Json:
        """Return what `pretrain` is a function of beside the weights, the data and `noise`: all knobs.

        A method leaves out knobs that matter afterwards only, and adds what it reads from elsewhere.
        """
        return plain_settings(self)

    def reads(self) -> dict[str, str]:
        """Return hashes of what it reads beside the data of a trial, by what that is called; most read nothing.

        They stand in the header of a log, so that what was trained on another content is known.
        """
        return {}

    def wants_unlabelled(self) -> bool:
        """Return whether `penalty` is to see pictures without labels; not by float knobs, which differ in a lane."""
        return False

    def prepare(self, net: nn.Module, data: Splits) -> nn.Module:
        """Return the network to train, given the one built and the data."""
        return net

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Return inputs [N, C, H, W] in [0, 1] and targets [N, classes], rows that sum to 1."""
        return x, y

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        """Return the output of a slot: a tensor, in a residual slot a `Branch`."""
        return x

    def penalty(self, step: Forward) -> Number:
        """Return a scalar that is added to the training objective."""
        return 0.0

    def descend(self, gradient: Gradient, step: Step) -> Gradient:
        """Return a function weights -> gradients, given the one that computes the gradients of the objective.

        The first call of the given function is at the current weights; only it updates buffers.
        """
        return gradient

    def project(self, state: TrainState, step: Step) -> TrainState:
        """Return the state after an update, moved to where it is allowed to be."""
        return state

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        """Return the initial state of the method (its memory), by name."""
        return {}

    def remember(self, state: TrainState, step: Step) -> Tensors:
        """Return the memory of the method after an update, with the same names and shapes as at the start.

        New tensors, or those of `step.memory`: never those of the state, which the next update changes.
        """
        return step.memory

    def evaluate(
        self, params: Tensors, buffers: Tensors, statistics: Statistics, step: Step
    ) -> tuple[Tensors, Tensors]:
        """Return the weights and buffers to evaluate and keep, given the current ones.

        `statistics(params)` returns the buffers of these weights with normalization statistics recomputed
        over the training data.
        """
        return params, buffers

    def schedule(self, progress: Number) -> Number:
        """Return the factor of the learning rate at this share of the budget."""
        return 1.0

    def stop(self, epochs: Sequence[Epoch]) -> bool:
        """Return whether training ends after the newest of these epochs."""
        return False

    def keep(self, epochs: Sequence[Epoch]) -> int:
        """Return the number of the epoch whose weights count: the newest, or the previous answer."""
        return epochs[-1].number


def overrides(method: Regularizer | type[Regularizer], hook: str) -> bool:
    """Return whether a method has its own version of a hook."""
    cls = method if isinstance(method, type) else type(method)
    return getattr(cls, hook) is not getattr(Regularizer, hook)


def check_hooks(cls: type[Regularizer]) -> None:
    """Raise Refused for a public method that is called nearly like a hook: nothing would ever call it.

    One that the class itself calls is a helper, whatever its name.
    """
    own = [owner for owner in cls.__mro__ if issubclass(owner, Regularizer) and owner is not Regularizer]
    written = {name: value for owner in own for name, value in vars(owner).items() if isfunction(value)}
    called = {name for function in written.values() for name in _names_in(function.__code__)}
    for name in written.keys() - called:
        near = get_close_matches(name.lower(), (*HOOKS, "check"), n=1, cutoff=NEAR)
        if near and not hasattr(Regularizer, name) and not name.startswith("_"):
            raise Refused(
                f"regularizer {name_of(cls)}: expected methods that are hooks, or that it calls itself, given "
                f"{name!r}, which nothing calls (did you mean {near[0]!r}?); a helper is called _{name}"
            )


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names that a function looks up, those inside of its own functions too."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_in(inner)
