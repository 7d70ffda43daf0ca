"""A recipe: a tuple of regularizers with the same hooks, composed by each hook's law."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.knobs import knobs, read_settings
from regtune.core.records import Epoch, Json
from regtune.core.registry import name_of
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import Splits
from regtune.networks import NETWORKS, Slot, slots
from regtune.regularizers import HOOKS, REGULARIZERS, Forward, Gradient, Regularizer, Statistics, Step, overrides
from regtune.training import shapes

C = TypeVar("C")
Steps = Mapping[str, Step]  # what each method of a recipe sees, by site


def numbers(value: Any, device: torch.device) -> Tensors:
    """Return the float knobs of a configured value as float32 0-dim tensors by name."""
    return {
        name: torch.tensor(getattr(value, name), dtype=torch.float32, device=device)
        for name, k in knobs(type(value)).items()
        if k.kind is float
    }


def with_numbers(value: C, tensors: Mapping[str, Tensor]) -> C:
    """Return a configured value with its float knobs replaced by tensors."""
    return dataclasses.replace(value, **tensors) if tensors else value  # type: ignore[type-var]  # C is one of our dataclasses


@dataclass(frozen=True)
class Recipe:
    """Regularizers with the sites of their noise: the method's name and which occurrence it is.

    A site does not depend on the place in the recipe, so adding a method leaves the draws of the others
    as they were.
    """

    methods: tuple[tuple[str, Regularizer], ...]
    _by_hook: dict[str, list[tuple[str, Regularizer]]] = dataclasses.field(init=False, repr=False, compare=False)

    @classmethod
    def of(cls, regularizers: Iterable[Regularizer]) -> Recipe:
        """Return the recipe of these regularizers, in this order."""
        seen: Counter[str] = Counter()
        methods = []
        for method in regularizers:
            name = name_of(type(method))
            methods.append((f"{name}.{seen[name]}", method))
            seen[name] += 1
        return cls(tuple(methods))

    @classmethod
    def read(cls, rows: Sequence[Json], plugins: Sequence[str] = (), where: str = "recipe") -> Recipe:
        """Return the recipe of plain rows; raises Refused in one line."""
        return cls.of(method_from_row(row, plugins, f"{where}[{i}]") for i, row in enumerate(rows))

    def _check_slots(self, net: nn.Module, where: str) -> None:
        present = {slot.kind for slot in slots(net)}
        for site, method in self.methods:
            if method.needs and present.isdisjoint(method.needs):
                raise Refused(
                    f"{where}: {name_at(site)} needs a network with a slot of kind "
                    f"{' or '.join(method.needs)}, this one as configured has {', '.join(sorted(present)) or 'none'}; "
                    f"networks: {', '.join(NETWORKS.all())}"
                )

    def check(self, net: nn.Module, data: Splits, where: str) -> None:
        """Raise Refused if a method makes no sense for this network, as configured, and this data."""
        self._check_slots(net, where)
        for site, method in self.methods:
            if data.columns and method.on_tables:
                instead = f"take {method.on_tables}, or leave it out"
                raise Refused(f"{where}.{name_at(site)}: expected pictures, given a table; {instead}")
            try:
                method.check(net, data)
            except Refused as error:
                raise Refused(f"{where}.{name_at(site)}.{error}") from error

    def __post_init__(self) -> None:
        """Sort the methods by the hooks that they have."""
        by_hook = {hook: [(s, m) for s, m in self.methods if overrides(m, hook)] for hook in HOOKS}
        object.__setattr__(self, "_by_hook", by_hook)

    def steps(self, now: Step, memory: Mapping[str, Tensors], plain: Recipe | None = None) -> Steps:
        """Return what each method sees of a step, by site; `plain` is this recipe with plain numbers."""
        hosts: dict[str, Regularizer] = dict(plain.methods) if plain else {}
        return {
            site: dataclasses.replace(now, noise=now.noise.at(site), memory=memory.get(site, {}), host=hosts.get(site))
            for site, _ in self.methods
        }

    @property
    def pretraining(self) -> list[tuple[str, Regularizer]]:
        """The methods that train on another task first, by site."""
        return self._by_hook["pretrain"]

    def wants_unlabelled(self) -> bool:
        """Any wants."""
        return any(method.wants_unlabelled() for _, method in self.methods)

    def prepare(self, net: nn.Module, data: Splits) -> nn.Module:
        """Compose."""
        for site, method in self.methods:
            net = shapes.module(method.prepare(net, data), f"{name_at(site)}.prepare")
        return net

    def begin(self, state: TrainState, data: Splits) -> dict[str, Tensors]:
        """Return what each method remembers at first, by site; copies, since weights are updated in place."""
        return {
            site: {name: value.clone() for name, value in shapes.tensors(begun, f"{name_at(site)}.begin").items()}
            for site, method in self._by_hook["begin"]
            for begun in (method.begin(state, data),)
        }

    def augment(self, x: Tensor, y: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        """Compose."""
        for site, method in self._by_hook["augment"]:
            given = method.augment(x, y, steps[site])
            x, y = shapes.batch(given, x, y, f"{name_at(site)}.augment")
        return x, y

    def bend(self, x: Any, slot: Slot, steps: Steps) -> Any:
        """Compose; features are left as they are."""
        for site, method in self._by_hook["bend"] if slot.kind != "features" else ():
            x = shapes.bent(method.bend(x, slot, steps[site]), x, f"{name_at(site)}.bend at {slot.label}")
        return x

    def penalty(self, steps: Steps, forward: Mapping[str, Any]) -> Number:
        """Add; `forward` has the fields that `Forward` adds to `Step`."""
        total: Number = 0.0
        without = {name: value for name, value in forward.items() if name != "unlabelled"}
        for site, method in self._by_hook["penalty"]:
            given = forward if method.wants_unlabelled() else without
            added = method.penalty(Forward(**vars(steps[site]), **given))
            total = total + shapes.scalar(added, f"{name_at(site)}.penalty")
        return total

    def descend(self, gradient: Gradient, steps: Steps) -> Gradient:
        """Compose: the first method is the innermost."""
        for site, method in self._by_hook["descend"]:
            gradient = shapes.function(method.descend(gradient, steps[site]), f"{name_at(site)}.descend")
        return gradient

    def project(self, state: TrainState, steps: Steps) -> TrainState:
        """One after the other, then each remembers what it must."""
        for site, method in self._by_hook["project"]:
            state = shapes.state(method.project(state, steps[site]), state, f"{name_at(site)}.project")
        renewed = {
            site: shapes.tensors(method.remember(state, steps[site]), f"{name_at(site)}.remember", steps[site].memory)
            for site, method in self._by_hook["remember"]
        }
        return state._replace(memory={**state.memory, **renewed})

    def evaluate(
        self, params: Tensors, buffers: Tensors, statistics: Statistics, steps: Steps
    ) -> tuple[Tensors, Tensors]:
        """Compose."""
        for site, method in self._by_hook["evaluate"]:
            found = method.evaluate(params, buffers, statistics, steps[site])
            params, buffers = shapes.both(found, f"{name_at(site)}.evaluate")
        return params, buffers

    def schedule(self, progress: Number) -> Number:
        """Multiply."""
        factor: Number = 1.0
        for site, method in self._by_hook["schedule"]:
            factor = factor * shapes.scalar(method.schedule(progress), f"{name_at(site)}.schedule")
        return factor

    def stop(self, epochs: Sequence[Epoch]) -> bool:
        """Any stops."""
        return any(shapes.truth(m.stop(epochs), f"{name_at(site)}.stop") for site, m in self._by_hook["stop"])

    def keep(self, epochs: Sequence[Epoch]) -> int:
        """Keep the newest epoch if every method does, else stay with the previous answer."""
        newest = epochs[-1].number
        answers = [shapes.epoch(m.keep(epochs), newest, f"{name_at(site)}.keep") for site, m in self._by_hook["keep"]]
        if all(answer == newest for answer in answers) or len(epochs) == 1:
            return newest
        return epochs[-2].kept


def name_at(site: str) -> str:
    """Return the name of the method at a site of a recipe: `dropout` for `dropout.0`."""
    return site.rpartition(".")[0]


def method_from_row(row: Json, plugins: Sequence[str], where: str) -> Regularizer:
    """Return the regularizer of a plain row `{name, knob: value, ...}`; raises Refused."""
    if not isinstance(row, dict) or "name" not in row:
        raise Refused(f"{where}: expected a table with the name of a regularizer, given {row!r}")
    cls = REGULARIZERS.find(row["name"], f"{where}.name", plugins)
    settings = {name: value for name, value in row.items() if name != "name"}
    return cls(**read_settings(cls, settings, f"{where}.{row['name']}"))
