"""Small experiments that set the theory of the lecture beside what the product does, one per file."""

from regtune.core.registry import Registry
from regtune.studies._base import Comparison, Drawn, Findings, Study

STUDIES: Registry[Study] = Registry(package="regtune.studies", base=Study, noun="study")  # type: ignore[type-abstract]  # a base may be abstract

__all__ = ["STUDIES", "Comparison", "Drawn", "Findings", "Study"]
