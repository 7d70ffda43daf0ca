"""Superclass prediction: beside the class of a picture the network tells to which larger group of classes it belongs.

Changes: the objective, by a second task on the same features; a head that is not exported.
Formula: J + weight * CE(target summed over the classes of each group, head(features(x))).
Expect: features that keep related classes together; a little where there are many classes with few examples each.
Not with: groups that have nothing to do with how pictures look; tightly clustered classes are not asked for twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import FloatDistribution
from torch import Tensor, nn
from torch.nn.functional import one_hot

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import Splits
from regtune.networks import answers, has_head, with_head
from regtune.regularizers._base import Forward, Regularizer
from regtune.regularizers._tasks import (
    WEIGHTING,
    WEIGHTINGS,
    check_features,
    some_pictures,
    weighed,
    weighing,
)

HEAD = "superclass"


@dataclass(frozen=True, kw_only=True)
class SuperclassPrediction(Regularizer):
    """Adds the cross-entropy of telling superclasses to the objective, on the features of the same forward pass.

    Hard parameter sharing; on CIFAR-100 its 20 coarse classes. Mixed and smoothed targets are summed over the classes
    of a group. Source: R. Caruana, "Multitask Learning" (Machine Learning, 1997).
    """

    weight: Number = knob(
        default=0.5,
        legal="[0, 1e6]",
        space=FloatDistribution(0.05, 2.0, log=True),
        neutral=0.0,
        meaning="factor of the loss of the second task",
    )
    groups: tuple[int, ...] = knob(
        default=(), meaning="the group of each class, from 0; empty for the superclasses that the data have"
    )
    weighting: str = knob(default="fixed", legal=WEIGHTINGS, meaning=WEIGHTING)

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused for groups that do not fit the classes, or a network without features."""
        check_features(net)
        groups = self._groups(data)
        if len(groups) != data.classes or len({*groups}) < 2 or {*groups} != {*range(max(groups) + 1)}:
            given = list(groups) or "none, and these data have no superclasses of their own"
            raise Refused(
                f"groups: expected a group from 0 on for each of the {data.classes} classes, two or more and none left "
                f"out, given {given}"
            )

    def prepare(self, net: nn.Module, data: Splits) -> nn.Module:
        """Return the network with a head for superclasses; as it is where the weight is 0."""
        if not self.weight:
            return net
        net = with_head(net, some_pictures(net, data), HEAD, max(self._groups(data)) + 1)
        return weighing(net, HEAD, self.weight, self.weighting)

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        """Remember which group each class belongs to, [classes, groups] of 0 and 1."""
        some = next(iter(state.params.values()))
        groups = some.new_tensor(self._groups(data)).long()
        return {"groups": one_hot(groups).to(some.dtype)}

    def penalty(self, step: Forward) -> Number:
        """Return the price of not knowing the superclasses."""
        if not has_head(step.params, HEAD):
            return 0.0
        scores: Tensor = answers(step.params, HEAD, step.features(step.inputs))
        loss = -(step.targets @ step.memory["groups"] * scores.log_softmax(-1)).sum(-1).mean()
        return weighed(step, HEAD, self.weight, loss)

    def _groups(self, data: Splits) -> tuple[int, ...]:
        return self.groups or data.superclasses
