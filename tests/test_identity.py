"""What a network of a script or a notebook is known again by: all that decides what it computes."""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regtune.api.given_network import given_network
from regtune.core.errors import Refused
from tests.test_compare import compared

SCALE = {"alpha": 0.01}
LOCK = threading.Lock()


class Scaled(nn.Module):
    """Scales its logits by what no weight and no line of its repr shows."""

    factor = 1.0

    def __init__(self, alpha: float = 0.01, more: object = None) -> None:
        super().__init__()
        self.alpha, self.more = alpha, more
        self.drop, self.head = nn.Dropout(), nn.Linear(36, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(x.flatten(1)))
        return logits * self.alpha * self.factor


class Holder:
    """Holds a value as an object of the user's."""

    def __init__(self, value: object) -> None:
        self.value = value


def by_closure(alpha: object) -> object:
    return lambda: Scaled(more=alpha)


def by_default(alpha: object) -> object:
    def make(given: object = alpha) -> nn.Module:
        return Scaled(more=given)

    return make


def by_attribute(alpha: object) -> object:
    torch.manual_seed(0)
    return Scaled(more=alpha)


def by_partial(alpha: object) -> object:
    return functools.partial(Scaled, more=alpha)


def by_method(alpha: object) -> object:
    class Maker:
        def __init__(self) -> None:
            self.alpha = alpha

        def make(self) -> nn.Module:
            return Scaled(more=self.alpha)

    return Maker().make


WAYS = [by_closure, by_default, by_attribute, by_partial, by_method]
VALUES: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
    (lambda: 0.01, lambda: 1.0),
    (lambda: [1, (2, {"a": 3})], lambda: [1, (2, {"a": 4})]),
    (lambda: {"b", "a"}, lambda: {"b", "c"}),
    (lambda: torch.arange(3), lambda: torch.arange(3) + 1),
    (lambda: np.arange(3), lambda: np.arange(3) + 1),
    (lambda: Holder(Holder(1)), lambda: Holder(Holder(2))),
    (lambda: nn.ReLU, lambda: nn.GELU),
    (lambda: functools.partial(nn.LeakyReLU, 0.1), lambda: functools.partial(nn.LeakyReLU, 0.2)),
    (lambda: torch.device("cpu"), lambda: torch.device("meta")),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("values", VALUES)
def test_values_that_it_holds_tell_networks_apart(
    way: Callable[[object], object], values: tuple[Callable[[], Any], Callable[[], Any]]
) -> None:
    one, same, other = (given_network(way(make())) for make in (values[0], *values))
    assert one.name == same.name != other.name
    assert one.doubt == ""


def test_globals_that_the_code_names_count_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def scaled() -> nn.Module:
        return Scaled(SCALE["alpha"])

    def make() -> nn.Module:
        return scaled()

    before = given_network(make).name
    monkeypatch.setitem(globals(), "VALUES", [])
    assert given_network(make).name == before
    monkeypatch.setitem(SCALE, "alpha", 1.0)
    assert given_network(make).name != before


def test_attributes_of_classes_and_modules_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import plugin_modules

    def make() -> nn.Module:
        return nn.Sequential(Scaled(), nn.Linear(plugin_modules.SIDE, 2))

    live, names = Scaled(), list[str]()
    for _ in range(2):
        names += [given_network(make).name, given_network(live).name]
        monkeypatch.setattr(Scaled, "factor", 2.0)
    monkeypatch.setattr(plugin_modules, "SIDE", 7)
    names += [given_network(make).name]
    assert len(set(names)) == 5


def test_what_a_function_reads_elsewhere_counts_as_far_as_the_module_shows_it(tmp_path: Path) -> None:
    file = tmp_path / "alpha"

    def make() -> nn.Module:
        return Scaled(float(file.read_text()))

    names = []
    for text in ("0.01", "0.01", "1.0"):
        file.write_text(text)
        names.append(given_network(make).name)
    assert names[0] == names[1] != names[2]


def test_two_functions_of_one_line_are_two() -> None:
    one, other = (lambda: Scaled(0.01)), (lambda: Scaled(1.0))
    assert given_network(one).name != given_network(other).name


def test_a_copy_of_a_live_module_is_the_same_in_whatever_mode() -> None:
    def hook(module: nn.Module, given: object, made: Tensor) -> Tensor:
        return made

    for made in (Scaled(), nn.LSTM(3, 4), nn.TransformerEncoderLayer(8, 2)):
        name = given_network(made).name
        assert given_network(copy.deepcopy(made).eval()).name == name
        made.register_forward_hook(hook)
        hooked = given_network(made).name
        assert hooked != name
        next(made.parameters()).requires_grad_(False)
        assert given_network(made).name != hooked


def test_another_process_knows_it_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            from torch import nn
            from regtune.api.given_network import given_network
            WORDS = {"one", "two", "three"}
            class Net(nn.Module):
                def __init__(self, words):
                    super().__init__()
                    self.words, self.head = words, nn.Linear(3, 2)
            def block(words):
                return Net(words)
            given = given_network(lambda: block(WORDS))
            print(given.name, given.doubt)
            """
        )
    )
    runs = [subprocess.run([sys.executable, script], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout.startswith("given_network_")
    assert runs[0].stdout == runs[1].stdout


def test_what_no_call_can_be_known_by_needs_a_name(tmp_path: Path) -> None:
    def make() -> nn.Module:
        with LOCK:
            return Scaled()

    said = (
        r"^net: expected values that the same call can be known by, given net\.LOCK, <unlocked _thread\.lock .*; give "
    )
    with pytest.raises(Refused, match=said):
        compared(tmp_path / "results", make)
    assert not (tmp_path / "results").exists()
    assert compared(tmp_path / "results", make, name="mine").path.name == "mine"


def test_another_partial_is_another_comparison(tmp_path: Path) -> None:
    first = compared(tmp_path, functools.partial(Scaled, alpha=0.01))
    with pytest.raises(Refused, match=r"^name: expected one that no other comparison has, .* is of another network"):
        compared(tmp_path, functools.partial(Scaled, alpha=1.0), name=first.path.name)
    assert compared(tmp_path, functools.partial(Scaled, alpha=0.01)).path == first.path
