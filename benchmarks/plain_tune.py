"""A peer of `lanes.py`: the sweep's search as a plain Ray Tune script in the way of Ray's PyTorch tutorial.

An ordinary module and optimizer, a report after every epoch, ASHA, and Tune's own defaults: a new process per trial,
its loggers and its console output. The tutorial also writes a checkpoint every epoch, which is left out here.
"""

from __future__ import annotations

from pathlib import Path

import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from torch import Tensor, nn

EPOCHS, GRACE, FACTOR = 30, 6, 3
Data = tuple[Tensor, Tensor, Tensor, Tensor]


class Net(nn.Module):
    """The residual mlp 64-64-64 of the sweep, as one writes it without regtune."""

    def __init__(self, p: float, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.first, self.second, self.third = (nn.Linear(64, 64) for _ in range(3))
        self.head, self.dropout = nn.Linear(64, 10), nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images."""
        h = self.dropout(self.first(((x - self.mean) / self.std).flatten(1)).relu())
        for layer in (self.second, self.third):
            h = self.dropout(h + layer(h).relu())
        logits: Tensor = self.head(h)
        return logits


def epoch(net: Net, optimizer: torch.optim.Optimizer, data: Data) -> dict[str, float]:
    """Train for one epoch and return what the validation examples say."""
    x, y, val_x, val_y = data
    net.train()
    for batch in torch.randperm(len(x)).view(-1, 20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        optimizer.step()
    net.eval()
    with torch.no_grad():
        logits = net(val_x)
        return {
            "loss": nn.functional.cross_entropy(logits, val_y).item(),
            "accuracy": (logits.argmax(1) == val_y).float().mean().item(),
        }


def trainable(config: dict[str, float], data: Data) -> None:
    """Train one network and report after every epoch."""
    net = Net(config["dropout"], data[0].mean(), data[0].std())
    optimizer = torch.optim.SGD(net.parameters(), lr=config["lr"], momentum=0.9)
    for _ in range(EPOCHS):
        tune.report(epoch(net, optimizer, data))


def digits() -> Data:
    """Return training pictures and labels, then those of validation, as the sweep has them."""
    # In the workers this import would be a burden. Here, next to those of torch, ray and sklearn, it costs 0.2 s.
    from regtune.data import DataLocation
    from regtune.data.digits import Digits

    splits = Digits(train=200, validation=397)
    made = splits.split(splits.pool(DataLocation()))
    return made.train.images, made.train.labels, made.validation.images, made.validation.labels


def plain(count: int, folder: Path) -> None:
    """Tune learning rate and dropout with `count` trials; Tune writes to folder/plain."""
    data = digits()
    asha = ASHAScheduler(max_t=EPOCHS, grace_period=GRACE, reduction_factor=FACTOR)
    tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, data=data), {"cpu": 1}),
        param_space={"lr": tune.loguniform(0.001, 0.2), "dropout": tune.uniform(0.1, 0.7)},
        tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=count, scheduler=asha),
        run_config=tune.RunConfig(name="plain", storage_path=str(folder)),
    ).fit()
