"""Several tasks on one trunk: superclasses, contrastive views, and weights that are fixed or learned."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from regtune.core.errors import Refused
from regtune.core.records import Trial
from regtune.core.registry import name_of
from regtune.networks import HEADS, has_features, without_heads
from regtune.regularizers import Contrastive, Regularizer, RotationPrediction, SuperclassPrediction
from regtune.regularizers.contrastive import nt_xent
from regtune.training.build import load_data, start_network
from regtune.training.lane import Lane
from tests.conftest import row, same, small_trial, trained
from tests.meaning.tools import exact, seen

NETWORK = {"name": "mlp", "widths": [12, 12]}
PLAIN = {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}


def trial_of(*methods: Regularizer, **changes: Any) -> Trial:
    settings: dict[str, Any] = {"network": NETWORK, "batch": 48, "dtype": "float64"}
    recipe = [row(name_of(type(one)), one) for one in methods]
    return small_trial(recipe, **(settings | changes))


def draws(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_superclasses_get_the_targets_of_their_classes() -> None:
    """Beside cross-entropy with the labels of groups, for hard targets, and for mixed ones the mixed price."""
    features, weight, labels = draws(8, 5), draws(2, 5, seed=4), torch.arange(8) % 4
    groups = torch.tensor([0, 1, 1, 0])
    params = {f"{HEADS}.superclass.weight": weight, f"{HEADS}.superclass.bias": torch.zeros(2).double()}
    memory = {"groups": one_hot(groups).double()}

    def price(targets: Tensor) -> Tensor:
        given = seen(inputs=features, targets=targets, params=params, memory=memory)
        return torch.as_tensor(exact(SuperclassPrediction(weight=1.0)).penalty(given))

    hard = one_hot(labels, 4).double()
    truth = cross_entropy(features @ weight.T, groups[labels])
    torch.testing.assert_close(price(hard), truth, rtol=1e-12, atol=0)
    other = hard.roll(1, 0)
    torch.testing.assert_close(
        price(0.3 * hard + 0.7 * other), 0.3 * price(hard) + 0.7 * price(other), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_the_gradient_of_every_part_is_that_of_the_weighted_tasks(weighting: str) -> None:
    """By plain autograd of an ordinary module: its trunk, its head, and the variances that are learned."""
    trial = trial_of(SuperclassPrediction(weight=0.75, weighting=weighting), optimizer=PLAIN, epochs=3)
    lane = Lane((trial,))
    next(lane), next(lane)
    before = {name: value.clone() for name, value in lane.state.params.items()}
    net = start_network(trial, lane.data).double()
    net.load_state_dict(without_heads(before), strict=False)
    x, y = lane.data.train.images.double(), lane.data.train.labels
    next(lane)
    features = list[Tensor]()

    def told(signal: Tensor, slot: object) -> Tensor:
        features.append(signal)
        return signal

    heads = {name: value.requires_grad_() for name, value in before.items() if name.startswith(HEADS)}
    classes = cross_entropy(net(x, told), y)
    scores = features[-1] @ heads[f"{HEADS}.superclass.weight"].T + heads[f"{HEADS}.superclass.bias"]
    groups = cross_entropy(scores, y // 2)
    if weighting == "fixed":
        objective = classes + 0.75 * groups
    else:
        s, t = heads[f"{HEADS}.log_variances.class"], heads[f"{HEADS}.log_variances.superclass"]
        assert float(s.detach()) != 0, "it is learned"
        objective = (-s).exp() * classes + s + (-t).exp() * groups + t
    parts = dict(net.named_parameters()) | heads
    found = dict(zip(parts, torch.autograd.grad(objective, list(parts.values())), strict=True))
    assert found.keys() == before.keys()
    for name, gradient in found.items():
        taken = before[name].detach() - lane.state.params[name]
        torch.testing.assert_close(taken, gradient, rtol=1e-9, atol=1e-12)


def test_learned_variances_begin_at_the_weight_and_settle_at_the_logs_of_the_losses() -> None:
    """For fixed losses: A. Kendall et al. have s = ln L at the optimum."""
    net = Lane((trial_of(SuperclassPrediction(weight=0.25, weighting="uncertainty")),)).state.params
    assert float(net[f"{HEADS}.log_variances.class"]) == 0
    assert float(net[f"{HEADS}.log_variances.superclass"]) == pytest.approx(math.log(4))
    logits, labels = draws(8, 4), torch.arange(8) % 4
    variances = {name: torch.zeros((), dtype=torch.float64, requires_grad=True) for name in ("class", "superclass")}
    params = {f"{HEADS}.superclass.weight": draws(2, 5), f"{HEADS}.superclass.bias": torch.zeros(2).double()}
    given = seen(
        inputs=draws(8, 5),
        logits=logits,
        targets=one_hot(labels, 4).double(),
        params=params | {f"{HEADS}.log_variances.{name}": value for name, value in variances.items()},
        memory={"groups": one_hot(torch.arange(4) // 2).double()},
    )
    fixed = exact(SuperclassPrediction(weight=1.0)).penalty(dataclasses.replace(given, params=params))
    losses = {"class": cross_entropy(logits, labels), "superclass": torch.as_tensor(fixed)}
    optimizer = torch.optim.SGD(variances.values(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        torch.autograd.backward(torch.as_tensor(exact(SuperclassPrediction(weight=1.0)).penalty(given)))
        optimizer.step()
    for name, loss in losses.items():
        assert float(variances[name].detach()) == pytest.approx(math.log(float(loss)), abs=1e-9)


def test_one_task_of_a_recipe_is_weighed_by_uncertainty() -> None:
    learned: dict[str, Any] = {"weight": 0.5, "weighting": "uncertainty"}
    with pytest.raises(Refused, match="expected one method with weighting = 'uncertainty', given two"):
        Lane((trial_of(SuperclassPrediction(**learned), RotationPrediction(**learned)),))
    both = Lane((trial_of(SuperclassPrediction(**learned), RotationPrediction(weight=0.5)),))
    assert len([*both]) == 4


def test_groups_must_fit_the_classes() -> None:
    trial = trial_of()
    data, net = load_data(trial), start_network(trial, load_data(trial))
    for groups in ((0, 1), (0, 0, 2, 2), (0, -1, 1, 1), (0, 0, 0, 0)):
        with pytest.raises(Refused, match="groups: expected a group from 0 on for each of the 4 classes, two or more"):
            SuperclassPrediction(groups=groups).check(net, data)
    with pytest.raises(Refused, match="given none, and these data have no superclasses of their own"):
        SuperclassPrediction().check(net, dataclasses.replace(data, superclasses=()))
    own, asked = SuperclassPrediction(), SuperclassPrediction(groups=(0, 0, 1, 1))
    assert same(trained(trial_of(own)).state.params, trained(trial_of(asked)).state.params)
    other = trained(trial_of(SuperclassPrediction(groups=(0, 1, 2, 2))))
    assert other.state.params[f"{HEADS}.superclass.weight"].shape == (3, 12)


def slow_nt_xent(z: Tensor, temperature: float) -> float:
    """The formula of the paper, term by term."""
    count, total = len(z), 0.0

    def like(i: int, k: int) -> float:
        return math.exp(float(z[i] @ z[k] / (z[i].norm() * z[k].norm())) / temperature)

    for i in range(count):
        j = (i + count // 2) % count
        total -= math.log(like(i, j) / sum(like(i, k) for k in range(count) if k != i))
    return total / count


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_nt_xent_is_the_formula_of_the_paper(temperature: float) -> None:
    z = draws(12, 7)
    assert float(nt_xent(z, temperature)) == pytest.approx(slow_nt_xent(z, temperature), rel=1e-12)
    assert float(nt_xent(5 * z, temperature)) == pytest.approx(float(nt_xent(z, temperature)), rel=1e-12)
    same_everywhere = z[:1].expand(12, -1)
    assert float(nt_xent(same_everywhere, temperature)) == pytest.approx(math.log(11), rel=1e-12)
    apart = torch.cat([torch.eye(6), torch.eye(6)]).double()  # each with its partner, at right angles to the others
    best = math.log1p(10 * math.exp(-1 / temperature))
    assert float(nt_xent(apart, temperature)) == pytest.approx(best, rel=1e-12)


def test_contrastive_views_are_two_shifts_of_each_picture() -> None:
    x, given = torch.rand(6, 1, 5, 5, generator=torch.Generator().manual_seed(1)).double(), list[Tensor]()

    def features(images: Tensor) -> Tensor:
        given.append(images)
        return images.flatten(1)

    at = f"{HEADS}.contrastive"
    params = {f"{at}.hidden.weight": draws(25, 25), f"{at}.hidden.bias": torch.zeros(25).double()}
    params |= {f"{at}.out.weight": draws(3, 25), f"{at}.out.bias": torch.zeros(3).double()}
    method = exact(Contrastive(weight=1.0, padding=1.0))
    price = method.penalty(seen(inputs=x, targets=torch.zeros(6, 4), params=params, features=features))
    (views,) = given
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    shifts = [[padded[k, :, i : i + 5, j : j + 5] for i in range(3) for j in range(3)] for k in range(6)]
    places = [next(n for n in range(9) if torch.equal(views[v], shifts[v % 6][n])) for v in range(12)]
    assert len(set(places)) > 3
    assert places[:6] != places[6:], "two views of one picture are drawn apart"
    projected = (views.flatten(1) @ params[f"{at}.hidden.weight"].T).relu() @ params[f"{at}.out.weight"].T
    assert float(price) == pytest.approx(slow_nt_xent(projected, 0.5), rel=1e-9)


def test_contrastive_tells_views_of_pictures_without_labels_apart_from_those_with() -> None:
    x, more = (torch.rand(6, 1, 5, 5, generator=torch.Generator().manual_seed(seed)).double() for seed in (1, 2))
    at, method = f"{HEADS}.contrastive", exact(Contrastive(weight=1.0, padding=1.0))
    params = {f"{at}.hidden.weight": draws(25, 25), f"{at}.hidden.bias": torch.zeros(25).double()}
    params |= {f"{at}.out.weight": draws(3, 25), f"{at}.out.bias": torch.zeros(3).double()}
    blank = {"targets": torch.zeros(6, 4), "params": params, "features": lambda images: images.flatten(1)}
    ours = method.penalty(seen(inputs=x, unlabelled=more, **blank))
    assert float(ours) == float(method.penalty(seen(inputs=torch.cat([x, more]), **blank)))
    assert float(ours) > float(method.penalty(seen(inputs=x, **blank))), "there are more to be told apart"


def test_contrastive_training_brings_views_together() -> None:
    """Its loss falls below that of guessing, and the projection is not part of what is exported."""
    lane = trained(
        trial_of(Contrastive(weight=1.0, temperature=0.1, padding=1.0), epochs=40, batch=16, dtype="float32")
    )
    plain = trained(trial_of(epochs=40, batch=16, dtype="float32"))
    ours, theirs = (sum(epoch.objective or 0.0 for epoch in one.epochs[0][-10:]) / 10 for one in (lane, plain))
    assert ours - theirs < math.log(31) - 0.3, "ln 31 is that of guessing"
    assert without_heads(lane.kept[0][0]).keys() == plain.kept[0][0].keys()


def test_features_of_the_own_pass_cost_no_second_one() -> None:
    """The superclass head sees the very features of the forward pass."""
    trial = trial_of(SuperclassPrediction(weight=0.5))
    net = start_network(trial, load_data(trial))
    assert has_features(net)
    lane, passes = Lane((trial,)), 0
    original = type(lane.train_step.net).forward

    def counted(*given: Any) -> Any:
        nonlocal passes
        passes += lane.train_step.net.training
        return original(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(lane.train_step.net), "forward", counted)
        next(lane)
    assert passes == 1, "one step of an epoch of one batch"


def test_learned_weights_stay_bounded_where_examples_are_learned_by_heart() -> None:
    """Unbounded, exp(-s) grows as losses go to 0, until the training diverges."""
    learned = SuperclassPrediction(weight=0.5, weighting="uncertainty")
    optimizer = {"name": "sgd", "learning_rate": 0.02, "momentum": 0.9}
    lane = trained(trial_of(learned, optimizer=optimizer, epochs=80, batch=16, dtype="float32"))
    last = lane.epochs[0][-1]
    assert last.outcome is not None and last.outcome.status == "ok"
    assert last.train_accuracy == 1.0
    assert last.train_loss is not None and last.train_loss < 0.01


def test_contrastive_wants_views_and_pictures_that_differ() -> None:
    trial = trial_of()
    data, net = load_data(trial), start_network(trial, load_data(trial))
    with pytest.raises(Refused, match="padding: expected views that differ, given 0 pixels and p_flip = 0"):
        Contrastive(padding=0.0).check(net, data)
    with pytest.raises(Refused, match="expected batches of two pictures or more"):
        next(Lane((trial_of(Contrastive(padding=1.0), batch=1),)))
