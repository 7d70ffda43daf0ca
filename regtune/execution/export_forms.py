"""A trained network in forms that need no regtune: ONNX, a program of torch.export, a plain `state_dict`.

The first two are what the trial evaluated, with all that its recipe does then. A `state_dict` is weights alone.
"""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.networks import Foreign, Normalize, Slot

PICTURES, LOGITS, BATCH = "pictures", "logits", "N"
TRIED = 4  # pictures that a program is traced with; it takes any number
EXTRA = "onnxscript"  # which torch's exporter takes
HEAD = (
    '"""Loads the network of {key} of the sweep {sweep}: kept epoch {kept}, test accuracy {test}. Without regtune."""\n'
)
ONNX = """
import numpy
import onnxruntime

session = onnxruntime.InferenceSession("{file}")
pictures = numpy.zeros((1, {shape}), numpy.{dtype})  # {inputs}
(logits,) = session.run(None, {{"pictures": pictures}})
print(logits)  # [N, {classes}]{names}
"""
PT2 = """
import torch

net = torch.export.load("{file}").module()
pictures = torch.zeros(1, {shape}, dtype=torch.{dtype})  # {inputs}
print(net(pictures).softmax(-1))  # [N, {classes}]{names}
"""
STATE_DICT = """
import torch

state = torch.load("{file}", weights_only=True)
for name, value in state.items():
    print(name, tuple(value.shape))

# With the network that was trained as `net`:
{network}
# net.load_state_dict(state)
# net.eval()
# pictures = torch.zeros(1, {shape}, dtype=torch.{dtype})  # in [0, 1]
# {normalized}
# print({call}.softmax(-1))  # [N, {classes}]{names}
"""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form: `write` returns the bytes of a network, which is given as it evaluates pictures, alone (it is called with
    a bend beside them) and with the shape of one. They go into a file that ends in `suffix`; `script` loads it.
    """

    suffix: str
    write: Callable[[nn.Module, nn.Module, Sequence[int]], bytes]
    script: str


def _onnx(net: nn.Module, alone: nn.Module, shape: Sequence[int]) -> bytes:
    try:
        importlib.import_module(EXTRA)
    except ModuleNotFoundError as error:
        raise Refused(f"--format onnx: it takes {error.name}; pip install 'regtune[onnx]'") from error
    program = _program(net, shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about its own parts
            made = torch.onnx.export(program, input_names=[PICTURES], output_names=[LOGITS], verbose=False)
    except Exception as error:  # torch raises many kinds for operations that ONNX does not have
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise Refused(
            f"--format onnx: expected a network that ONNX has the operations of, given {said}; --format pt2 may do"
        ) from error
    if made is None:
        raise Refused("--format onnx: expected a model of torch's exporter, given none; --format pt2 may do")
    return bytes(made.model_proto.SerializeToString())


def _pt2(net: nn.Module, alone: nn.Module, shape: Sequence[int]) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(_program(net, shape), buffer)
    return buffer.getvalue()


def _program(net: nn.Module, shape: Sequence[int]) -> torch.export.ExportedProgram:
    """Return what a network does as a program; raises Refused for one that torch cannot trace."""
    pictures = torch.zeros(TRIED, *shape, dtype=next(net.parameters()).dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(net, (pictures,), dynamic_shapes=({0: torch.export.Dim(BATCH)},))
    except Exception as error:  # torch raises many kinds for what it cannot trace
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise Refused(
            f"--format: expected a network that torch.export can trace for any number of pictures, given {said}; "
            f"--format state_dict needs no trace"
        ) from error


def _state_dict(net: nn.Module, alone: nn.Module, shape: Sequence[int]) -> bytes:
    """Return the weights under the names that a module of somebody else's has for them."""
    count = TRIED * torch.Size(shape).numel()
    pictures = torch.linspace(0, 1, count, dtype=next(net.parameters()).dtype).view(TRIED, *shape)
    with torch.no_grad():
        if not torch.equal(alone(pictures, _as_is), net(pictures)):
            raise Refused(
                "--format state_dict: expected a recipe that leaves the network alone in evaluation, given one that "
                "does not; --format onnx and pt2 have what it does"
            )
    buffer = io.BytesIO()
    torch.save((alone.module if isinstance(alone, Foreign) else alone).state_dict(), buffer)
    return buffer.getvalue()


def _as_is(signal: Any, slot: Slot) -> Any:
    """Bend nothing."""
    return signal


FORMS = MappingProxyType(
    {
        "onnx": Form(suffix=".onnx", write=_onnx, script=ONNX),
        "pt2": Form(suffix=".pt2", write=_pt2, script=PT2),
        "state_dict": Form(suffix=".state_dict.pt", write=_state_dict, script=STATE_DICT),
    }
)


def described(settings: Json, net: nn.Module) -> str:
    """Return the lines of a script that say which network was trained: its settings, and what was made of it."""
    lines = [f"#   {name} = {value!r}" for name, value in settings.items() if value not in ("", [], {})]
    return "\n".join([*lines, *(f"#   {note}" for note in (net.notes if isinstance(net, Foreign) else ()))])


def call_of(net: nn.Module) -> str:
    """Return how a network is called: those of regtune take beside pictures what bends at their slots."""
    return "net(pictures)" if isinstance(net, Foreign) else "net(pictures, lambda signal, slot: signal)"


def normalizing(net: nn.Module) -> str:
    """Return the line of a script that does with pictures what stood in front of a module of somebody else's."""
    if not isinstance(net, Foreign):
        return "the network normalizes them itself"
    if not isinstance(net.normalize, Normalize):
        return "they were not normalized"
    mean, std = (each.flatten().tolist() for each in (net.normalize.mean, net.normalize.std))
    return f"pictures = (pictures - torch.tensor({mean})[:, None, None]) / torch.tensor({std})[:, None, None]"
