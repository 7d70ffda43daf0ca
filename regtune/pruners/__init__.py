"""The registry of pruners: which search trials end early. Imports core.

One file is one pruner: its rule, its settings and its words. To add one, write a class that extends `Pruner` in a file
of its own, here or in a plugin module; sweep files then know it as `[search] pruner = "<class name in snake case>"`,
with its knobs as further settings of `[search]`.
"""

from regtune.pruners._base import Judge, Pruner, Saving, SparseJudge
from regtune.pruners._recorded import PRUNERS, RECORDED, Pruning, pruning_of
from regtune.pruners._rungs import ENDED, ERRORS, RANKED, Ladder, Rung, judged, standard_error, unused
from regtune.pruners.asha import Asha
from regtune.pruners.cautious import CautiousAsha
from regtune.pruners.fixed_epochs import FixedEpochs
from regtune.pruners.none import Unpruned

__all__ = [
    "ENDED",
    "ERRORS",
    "PRUNERS",
    "RANKED",
    "RECORDED",
    "Asha",
    "CautiousAsha",
    "FixedEpochs",
    "Judge",
    "Ladder",
    "Pruner",
    "Pruning",
    "Rung",
    "Saving",
    "SparseJudge",
    "Unpruned",
    "judged",
    "pruning_of",
    "standard_error",
    "unused",
]
