"""The weights of a confirmed trial as a file, and the network that it loads as: `regtune export`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regtune.core.columns import Column
from regtune.core.errors import Refused, nearest, shown
from regtune.core.records import Json, Outcome, Trial, TrialKey
from regtune.core.state import Tensors
from regtune.core.writing import write
from regtune.data import DataLocation, named
from regtune.execution.export_forms import FORMS, HEAD, call_of, described, normalizing
from regtune.execution.trained_again import Again, train_again
from regtune.networks import fresh
from regtune.results.best import best_confirmed
from regtune.results.loader import Results
from regtune.storage.checkpoints import Checkpoints
from regtune.training.build import DTYPES, arithmetic_of, build_network, build_optimizer
from regtune.training.objective import Objective
from regtune.training.recipe import Recipe, numbers
from regtune.training.train_step import TrainStep

TEST = "test_accuracy"
OURS = "regtune"  # the form that `load_network` loads
PIXELS = "in [0, 1]; the network normalizes them itself"
ROWS = "features of the table, a number scaled as in training or a category's 0 and 1: docs/tables.md"
SNIPPET = '''"""Loads the network of {key} of the sweep {sweep}: kept epoch {kept}, test accuracy {test}."""

import torch

from regtune import load_network

net = load_network("{file}")
pictures = torch.zeros(1, {shape})  # {inputs}
print(net(pictures).softmax(-1))  # [N, {classes}]{names}
'''


class Exported(nn.Module):
    """A trained network as its trial evaluated it, with what the recipe does in evaluation.

    `net` is the network itself. Calling this module with float pictures [N, C, H, W] in [0, 1] returns
    logits [N, classes].
    """

    def __init__(self, net: nn.Module, trial: Trial) -> None:
        super().__init__()
        self.net = net.eval()
        recipe, optimizer = Recipe.read(trial.recipe, trial.plugins), build_optimizer(trial)
        cpu = torch.device("cpu")
        self._knobs = {"optimizer": {}, "recipe": [numbers(method, cpu) for _, method in recipe.methods]}
        objective = Objective(net=self.net, lifted=False, arithmetic=arithmetic_of(trial))
        self._train_step = TrainStep(objective=objective, recipe=recipe, optimizer=optimizer, device=cpu)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits [N, classes] of pictures [N, C, H, W] in [0, 1]."""
        params: Tensors = dict(self.net.named_parameters())
        buffers: Tensors = dict(self.net.named_buffers())
        dtype = next(iter(params.values())).dtype
        return self._train_step.predict(params, buffers, self._knobs, pictures.to(dtype))


def export(
    results: Results,
    arm: str,
    number: int | None,
    folder: Path,
    *,
    form: str = OURS,
    place: DataLocation | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write the weights of a confirmed trial of an arm and a script that loads them; return both paths.

    `form` is "regtune", for `load_network`, or one of `export_forms.FORMS`, which need no regtune to be loaded.

    The trial is the one of that number, by default the best on validation examples by the metric of search (ties: the
    lower loss, then the lower number); test never chooses. If its weights were not kept, it is retrained on data at
    `place` (by default what the environment says), and `say` is told. The script has the numbers of that training; a
    warning says where they differ from the log. Raises Refused where there is no such trial or form, its weights are
    damaged, it cannot be retrained, or the network has no such form; NoRoom where a disk is full.
    """
    if form != OURS and form not in FORMS:
        raise Refused(f"--format: unknown format {shown(form)}{nearest(form, (OURS, *FORMS))}")
    row = best_confirmed(results, arm, number)
    key = TrialKey(arm, "confirm", int(row["number"]))
    try:
        saved = Checkpoints(results.path / "weights").load(key)
    except Refused as error:
        raise Refused(f"{error}; delete the file, and its trial is trained again") from error
    if saved is not None and saved.id == row["id"]:
        found = Again(saved.content, Outcome(status="ok", kept=row["kept"], metrics={TEST: row[TEST]}))
    else:
        found = train_again(results, key, place, say)
    content = torch.load(io.BytesIO(found.weights), weights_only=True)
    trial = Trial.from_plain(results.plain_trials[key])
    suffix, text, data, about = ".pt", SNIPPET, b"", dict[str, str]()
    if form == OURS:
        buffer = io.BytesIO()  # of a full disk torch itself would not say so
        torch.save({**content, "trial": json.dumps(results.plain_trials[key])}, buffer)
        data = buffer.getvalue()
    else:
        net, chosen = _network(content, trial, str(key)), FORMS[form]
        suffix, text = chosen.suffix, HEAD + chosen.script
        about = {"network": described(trial.network, net.net), "call": call_of(net.net)}
        about |= {"normalized": normalizing(net.net)}
        data = chosen.write(net, net.net, content["shape"])
    script = "_".join(["load", arm.replace("-", "_"), *([form] if form != OURS else [])])
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{arm}{suffix}", folder / f"{script}.py"]
    write(paths[0], data)
    write(
        paths[1],
        text.format(
            key=key,
            sweep=results.sweep.name,
            kept=found.outcome.kept,
            test=found.outcome.metrics[TEST],
            file=paths[0].name,
            shape=", ".join(map(str, content["shape"])),
            classes=content["classes"],
            names=named(tuple(content.get("names", ()))),  # none in older weights
            dtype=trial.dtype,
            inputs=ROWS if content.get("columns") else PIXELS,
            **about,
        ),
    )
    return paths


def load_network(path: str | Path) -> Exported:
    """Load a network from a file of `regtune export`, in eval mode on the CPU; raises Refused for other files."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        trial = Trial.from_plain(json.loads(content["trial"]))
    except OSError as error:
        raise Refused(f"{path}: expected a file of regtune export, given {error.strerror or error}") from error
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise Refused(f"{path}: expected a file of regtune export, given another: {shown(str(error), 100)}") from error
    return _network(content, trial, str(path))


def _network(content: Json, trial: Trial, where: str) -> Exported:
    shape: Any = tuple(content["shape"])
    columns = [Column(name=name, values=tuple(v), gaps=gaps) for name, v, gaps in content.get("columns", ())]
    net = fresh(build_network(trial), shape=shape, classes=content["classes"], seed=trial.seed, columns=columns)
    state = {**content["params"], **content["buffers"]}
    if state.keys() != net.state_dict().keys():
        raise Refused(f"{where}: expected the parameters of {trial.network['name']}, given others: a method added some")
    net.to(DTYPES[trial.dtype]).load_state_dict(state)
    return Exported(net, trial).eval()
