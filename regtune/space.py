"""Where older plugins import knobs from. They are in `core.knobs`; `from regtune import knob` is the way now."""

from regtune.core.knobs import Knob, knob, knobs

__all__ = ["Knob", "knob", "knobs"]
