"""Fully connected networks of published experiments: widths and initial weights are those of the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regtune.core.knobs import knob
from regtune.networks._dense import FixedWidths
from regtune.networks._initializers import INITS, MEANING


@dataclass(frozen=True, kw_only=True)
class Srivastava2014(FixedWidths):
    """1024-1024-2048 hidden units: the net of the comparison of regularizers on MNIST (its table 9).

    On pictures of 28 x 28 x 1 and 10 classes it has 3,973,130 parameters. Slots: `input`, `hidden` behind
    every hidden layer. The released settings give no scale for the first layer, and deepnet would then start
    it at a thousandth; here it starts like the others. Source: N. Srivastava et al., "Dropout" (JMLR 2014).
    """

    widths: ClassVar[tuple[int, ...]] = (1024, 1024, 2048)

    init: str = knob(default="srivastava", legal=INITS, meaning=MEANING)


@dataclass(frozen=True, kw_only=True)
class Zhang2017OneLayer(FixedWidths):
    """512 hidden units: the smaller mlp that fits random labels.

    On pictures of 28 x 28 x 3 and 10 classes it has 1,209,866 parameters. Slots: `input`, `hidden`. The
    initial weights are not in the paper. Source: C. Zhang et al., "Understanding Deep Learning Requires
    Rethinking Generalization" (ICLR 2017).
    """

    label: ClassVar[str] = "zhang2017_1x512"
    widths: ClassVar[tuple[int, ...]] = (512,)

    init: str = knob(default="he", legal=INITS, meaning=MEANING)


@dataclass(frozen=True, kw_only=True)
class Zhang2017ThreeLayers(FixedWidths):
    """512-512-512 hidden units: the larger mlp that fits random labels.

    On pictures of 28 x 28 x 3 and 10 classes it has 1,735,178 parameters. Slots: `input`, `hidden` behind
    every hidden layer. The initial weights are not in the paper. Source: C. Zhang et al., "Understanding Deep
    Learning Requires Rethinking Generalization" (ICLR 2017).
    """

    label: ClassVar[str] = "zhang2017_3x512"
    widths: ClassVar[tuple[int, ...]] = (512, 512, 512)

    init: str = knob(default="he", legal=INITS, meaning=MEANING)
