"""The peer of `scheduling.py`: the sweep's search as a plain Ray Tune script in the way of Ray's PyTorch tutorial.

An ordinary module and optimizer, a report after every epoch, ASHA, and Tune's own defaults: a new process per trial,
its loggers and its console output. The tutorial also writes a checkpoint every epoch, which is left out here.
"""

from __future__ import annotations

from pathlib import Path

import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from torch import Tensor, nn


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


def trainable(config: dict[str, float], data: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    """Train one network and report after every epoch."""
    x, y, val_x, val_y = data
    net = Net(config["dropout"], x.mean(), x.std())
    optimizer = torch.optim.SGD(net.parameters(), lr=config["lr"], momentum=0.9)
    for _ in range(30):
        net.train()
        for batch in torch.randperm(len(x)).view(-1, 20):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
            optimizer.step()
        net.eval()
        with torch.no_grad():
            logits = net(val_x)
            metrics = {
                "loss": nn.functional.cross_entropy(logits, val_y).item(),
                "accuracy": (logits.argmax(1) == val_y).float().mean().item(),
            }
        tune.report(metrics)


def plain(count: int, folder: Path) -> None:
    """Tune learning rate and dropout with `count` trials; Tune writes to folder/plain."""
    # In the workers this import would be a burden. Here, next to those of torch, ray and sklearn, it costs 0.2 s.
    from regtune.data import DataLocation
    from regtune.data.digits import Digits

    digits = Digits(train=200, validation=397)
    splits = digits.split(digits.pool(DataLocation()))
    data = (splits.train.images, splits.train.labels, splits.validation.images, splits.validation.labels)
    asha = ASHAScheduler(max_t=30, grace_period=6, reduction_factor=3)
    tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, data=data), {"cpu": 1}),
        param_space={"lr": tune.loguniform(0.001, 0.2), "dropout": tune.uniform(0.1, 0.7)},
        tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=count, scheduler=asha),
        run_config=tune.RunConfig(name="plain", storage_path=str(folder)),
    ).fit()
