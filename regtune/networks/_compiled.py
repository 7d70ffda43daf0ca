"""Modules that torch has compiled: what they were made of is taken, since slots are in there."""

from __future__ import annotations

from torch import nn
from torch.jit import ScriptModule

from regtune.core.errors import Refused

WRAPPED = "_orig_mod"  # where torch.compile has the module, also in the names of its weights


def uncompiled(module: nn.Module, where: str) -> tuple[nn.Module, list[str]]:
    """Return the module without torch.compile, and what to say of it; raises Refused for a module of TorchScript."""
    if any(isinstance(part, ScriptModule) for part in module.modules()):
        raise Refused(
            f"{where}: expected a module of Python, given one of torch.jit, which takes no slots; give what it was "
            f"made of"
        )
    found = False
    for part in [*module.modules()]:
        if part._compiled_call_impl is not None:
            part._compiled_call_impl, found = None, True
        for child, inner in [*part.named_children()]:
            if isinstance(wrapped := getattr(inner, WRAPPED, None), nn.Module):
                setattr(part, child, wrapped)
                found = True
    if isinstance(wrapped := getattr(module, WRAPPED, None), nn.Module):
        module, found = wrapped, True
    return module, ["its torch.compile is set aside; [training] compiled = true compiles whole steps"] if found else []


def plain_name(name: str) -> str:
    """Return the name of a parameter of a compiled module as it is without that."""
    return name.replace(f"{WRAPPED}.", "")
