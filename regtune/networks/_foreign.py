"""A module of somebody else's as a network: normalized inputs, slots where it drops and where they are named."""

from __future__ import annotations

import contextlib
import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import UninitializedParameter

from regtune.core.errors import Refused, shown
from regtune.core.global_rng import seeded
from regtune.core.own_code import own_errors
from regtune.networks._advice import end_of_branch
from regtune.networks._base import Bend, Normalize, Slot, SlotKind
from regtune.networks._places import Now, Place, Seen, Stand, chosen, drops

UNSUITED = (nn.AlphaDropout, nn.FeatureAlphaDropout)  # which keep mean and variance, as no method here does
SHAKEN = 0.1  # the most that is added to parameters that let no picture through
PICTURES = 2  # of the passes in which slots are found


class Foreign(nn.Module):
    """Pictures in [0, 1] -> logits, by a module that knows of no slots.

    `rates` are those that its own modules had, by class; `notes` is what else was made of it. The slots come first, in
    the order in which pictures come by: that is their number.
    """

    def __init__(self, module: nn.Module, now: Now, channels: int, *, normalize: bool) -> None:
        super().__init__()
        self.slots = nn.ModuleList()
        self.normalize = Normalize(channels) if normalize else nn.Identity()
        self.module = module
        self.now = now
        self.rates: list[str] = []
        self.notes: list[str] = []

    def forward(self, x: Tensor, bend: Bend) -> Any:
        """Return what the module makes of pictures."""
        inputs = self.normalize(x)
        before = self.now.begin(bend)
        try:
            return self.module(inputs)
        finally:
            self.now.end(before)


def given_slots(
    module: nn.Module,
    *,
    where: str,
    shape: tuple[int, int, int],
    classes: int,
    hidden: tuple[str, ...],
    residual: tuple[str, ...],
    normalize: bool,
    last: bool = False,
    remedy: str = "",
) -> Foreign:
    """Return a module with slots in the place of its own modules that drop, and behind submodules named by patterns.

    With `last` there is a hidden one in front of the last layer, where none of its own is. Raises Refused, which begins
    with `where`, for a module that no trial can be made of; `remedy` is what may help where its forward fails.
    """
    _check(module, where)
    now = Now(where, remedy)
    net = Foreign(module, now, shape[0], normalize=normalize)
    numbers = iter(range(len(list(module.modules())) * 3 + 1))
    named: tuple[tuple[SlotKind, tuple[str, ...]], ...] = (("hidden", hidden), ("residual", residual))
    for kind, patterns in named:
        for name in chosen(module, patterns, f"network.{kind}"):
            part = module.get_submodule(name)
            if drops(part):
                raise Refused(
                    f"network.{kind}: expected no module that drops, given {name!r}; its slot is there already"
                )
            part.register_forward_hook(Place(kind, now, next(numbers), name).behind)
    net.rates = _stand_ins(net, now, numbers)
    x = torch.linspace(0, 1, PICTURES * shape[0] * shape[1] * shape[2]).view(PICTURES, *shape)
    _materialize(net, x)
    head = _look(net, x, classes)
    if head is not None:
        more: tuple[SlotKind, ...] = ("hidden", "features") if last and not head.dropped else ("features",)
        for kind in more:
            place = Place(kind, now, next(numbers), "its last layer")
            place.slots = [Slot(kind)]
            place.slots[0].followed = True
            net.slots.append(place.slots[0])
            head.layer.register_forward_pre_hook(place.in_front)
    _check_passes(net, x)
    return net.train()


def told(net: Foreign) -> Iterator[str]:
    """Yield what was made of a module and set aside."""
    yield from net.notes
    if net.rates:
        yield f"its own rates are set aside, a recipe says what is dropped: {', '.join(net.rates)}"


def _check(module: nn.Module, where: str) -> None:
    """Raise Refused for what can be seen of a module before it runs."""
    if unsuited := [type(part).__name__ for part in module.modules() if isinstance(part, UNSUITED)]:
        raise Refused(
            f"{where}: expected nn.Dropout, given nn.{unsuited[0]}, which no method stands for; replace or drop it"
        )
    frozen = [name for name, p in module.named_parameters() if not p.requires_grad]
    if frozen:
        raise Refused(
            f"{where}: expected parameters that all train, given requires_grad = False for {frozen[0]} and "
            f"{len(frozen) - 1} more; make them buffers, or leave that to transfer's freeze"
        )
    needed = [
        p.name
        for p in inspect.signature(module.forward).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if len(needed) > 1:
        raise Refused(
            f"{where}: expected a forward of one input, pictures [N, C, H, W], given {', '.join(needed)}; give the "
            f"others a default, or wrap it in a module that makes them"
        )


def _stand_ins(net: Foreign, now: Now, numbers: Iterator[int]) -> list[str]:
    """Put places where a module drops, and return the rates that they had; attention's own is switched off."""
    stands: dict[int, Stand] = {}
    had: dict[str, list[float]] = {}
    for name, part in [*net.named_modules(remove_duplicate=False)]:
        found = drops(part)
        if found is not None:
            kind, rate = found
            if id(part) not in stands:
                stands[id(part)] = Stand(Place(kind, now, next(numbers), name.removeprefix("module.")))
                had.setdefault(type(part).__name__, []).append(rate)
            *above, last = name.split(".")
            setattr(net.get_submodule(".".join(above)), last, stands[id(part)])
        elif isinstance(part, nn.MultiheadAttention):
            own = vars(part)  # its rate is a number, no module
            had.setdefault("the attention of MultiheadAttention, which has no slot,", []).append(own["dropout"])
            own["dropout"] = 0.0
            part.register_forward_hook(_no_fast_path)
    return [_rates(owner, found) for owner, found in had.items() if any(found)]


def _rates(owner: str, found: list[float]) -> str:
    """Return the rates of modules of a class, those at 0 left out, in words."""
    above = sorted(rate for rate in found if rate)
    text = f"{owner} {above[0]:.3g}" + (f" to {above[-1]:.3g}" if above[0] != above[-1] else "")
    return text if len(above) == 1 else f"{text} ({len(above)} times)"


def _no_fast_path(module: nn.Module, given: Any, output: Any) -> None:
    """Do nothing: where there is a hook torch's encoder runs its parts in evaluation too, instead of a kernel."""


def _materialize(net: Foreign, x: Tensor) -> None:
    """Have lazy layers find their shapes, in evaluation, so that nothing is counted."""
    if any(isinstance(p, UninitializedParameter) for p in net.parameters()):
        net.eval()
        with _forward(net, x), torch.no_grad():
            net(x, _straight)
        net.train()


class Head(NamedTuple):
    """The linear layer that gives logits, and whether what it is given comes straight from a hidden slot."""

    layer: nn.Linear
    dropped: bool


def _look(net: Foreign, x: Tensor, classes: int) -> Head | None:
    """Find the slots of a network in one pass, and the last layer, None where it is not linear; raises Refused."""
    net.train()
    seen = Seen(pictures=0)
    linear: list[tuple[nn.Linear, Tensor, Tensor]] = []
    bounded: list[Tensor] = []
    dropped: list[Tensor] = []

    def bend(signal: Any, slot: Slot) -> Any:
        dropped.extend([signal] if slot.kind == "hidden" else [])
        return signal

    def note(part: nn.Module, given: Any, output: Any) -> None:
        if isinstance(part, nn.Linear):
            linear.append((part, given[0], output))
        else:
            bounded.append(output)  # held, so that its memory is no other tensor's
            seen.bounded.add(output.untyped_storage().data_ptr())

    def begins(part: nn.Module, given: Any) -> None:
        seen.pictures = given[0].untyped_storage().data_ptr()

    hooks = [p.register_forward_hook(note) for p in net.module.modules() if isinstance(p, nn.Linear | nn.Sigmoid)]
    hooks.append(net.module.register_forward_pre_hook(begins))
    net.now.seen = seen
    try:
        logits = _pass(net, x, seed=1, bend=bend)
    finally:
        net.now.seen = None
        for hook in hooks:
            hook.remove()
    _check_logits(logits, classes, net.now.where)
    net.slots.extend(seen.slots)
    last = [(part, given) for part, given, output in linear if output is logits]
    once = [(part, given) for part, given in last if sum(part is other for other, *_ in linear) == 1]
    if not once:
        return None
    layer, given = once[0]
    return Head(layer=layer, dropped=any(given is each for each in dropped))


def _check_logits(logits: Any, classes: int, where: str) -> None:
    if not isinstance(logits, Tensor):
        raise Refused(
            f"{where}: expected its forward to return one tensor, logits [N, classes], given {type(logits).__name__}; "
            f"wrap it in a module that returns that alone"
        )
    if logits.ndim != 2 or len(logits) != PICTURES:
        raise Refused(
            f"{where}: expected logits [{PICTURES}, {classes}] of {PICTURES} pictures, given a tensor "
            f"{list(logits.shape)}; flatten or average it to one row for each picture"
        )
    if logits.shape[1] != classes:
        raise Refused(
            f"{where}: expected logits for {classes} classes, those of the data, given {logits.shape[1]}; set the size "
            f"of its last layer, in arguments if it takes one"
        )


def _check_passes(net: Foreign, x: Tensor) -> None:
    """Raise Refused for a module whose passes differ: in what it draws itself, or in where they come by."""
    where, calls = net.now.where, Counter[str]()

    def count(signal: Any, slot: Slot) -> Any:
        calls[slot.kind] += 1
        return signal

    first, second = (_pass(net, x, seed=seed) for seed in (1, 2))
    if not torch.equal(first, second) and not bool(first.isnan().any()):
        raise Refused(
            f"{where}: expected no random draws but those of nn.Dropout, StochasticDepth and DropPath, given others: "
            f"two passes over one batch differ; make torch.nn.functional.dropout an nn.Dropout, switch off the "
            f"dropout of recurrent layers, RReLU and the like"
        )
    net.eval()
    _pass(net, x, seed=1, bend=count)
    kinds: list[SlotKind] = [slot.kind for slot in net.slots if isinstance(slot, Slot)]
    if calls != Counter(kinds):
        raise Refused(
            f"{where}: expected every place to come by in evaluation as in training, {len(kinds)} slots, given "
            f"{calls.total()}; call the modules that drop whether it trains or not"
        )
    _check_branches(net, x)


def _check_branches(net: Foreign, x: Tensor) -> None:
    """Raise Refused for a residual place that no shortcut leads around."""
    residual = [place for place in net.now.places if place.kind == "residual"]
    params: dict[str, Tensor] = dict(net.named_parameters())
    if not _alive(net, x, params, []):  # as where the last layer begins with zeros
        params = {name: p + SHAKEN * torch.arange(p.numel()).sin().view_as(p).to(p) for name, p in params.items()}
    if not _alive(net, x, params, []) or _alive(net, x, params, residual):
        return
    wrong = next((place for place in residual if not _alive(net, x, params, [place])), residual[0])
    part = net.module.get_submodule(wrong.where)
    if isinstance(part, Stand):
        raise Refused(
            f"{net.now.where}: expected a shortcut around {wrong.where!r}, where it drops branches, given none: no "
            f"picture would reach the outputs; have it made without, as by arguments = {{ drop_path_rate = 0.0 }}"
        )
    end = end_of_branch(part, lambda: _alive(net, x, params, []))
    named = f"'{wrong.where}.{end}'" if end else "its last submodule, as 'layer1.*.bn2'"
    raise Refused(
        f"{net.now.where}: expected residual places behind the branch of a block, given {wrong.where!r}, without which "
        f"no picture reaches the outputs: does it hold the shortcut too? Name what is added to that, {named}, not the "
        f"whole block"
    )


def _alive(net: Foreign, x: Tensor, params: dict[str, Tensor], silent: list[Place]) -> bool:
    """Return whether pictures reach the outputs of a network in evaluation without what comes from some places."""
    slots = [slot for place in silent for slot in place.slots]

    def bend(signal: Any, slot: Slot) -> Any:
        return signal.bent(torch.zeros_like) if any(slot is each for each in slots) else signal

    logits = _pass(net, x, seed=1, bend=bend, params=params)
    return not torch.equal(logits[0], logits[1])


def _pass(
    net: Foreign, x: Tensor, *, seed: int, bend: Bend | None = None, params: dict[str, Tensor] | None = None
) -> Any:
    """Run a network on copies of its buffers, under a seed; raises Refused for whatever it raises."""
    params = dict(net.named_parameters()) if params is None else params
    buffers = {name: b.clone() for name, b in net.named_buffers()}
    with _forward(net, x), seeded(seed, "pass"), torch.no_grad():
        return functional_call(net, (params, buffers), (x, bend or _straight))


@contextlib.contextmanager
def _forward(net: Foreign, x: Tensor) -> Iterator[None]:
    where = f"{net.now.where}: its forward, on pictures {list(x.shape)}"
    try:
        with own_errors(where):
            yield
    except Refused:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:  # of a library's code
        more = f"; {net.now.remedy}" if net.now.remedy else ""
        raise Refused(f"{where}: {type(error).__name__}: {shown(str(error), 200)}{more}") from error


def _straight(signal: Any, slot: Slot) -> Any:
    return signal
