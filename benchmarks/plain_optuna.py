"""A peer of `lanes.py`: the sweep's search as Optuna's own loop in one process, in the way of its PyTorch example.

The network of `plain_tune.py`, the same data, search space and epochs, and the rungs by Optuna's successive halving.
`bare` is the same training without Optuna and without pruning: what no scheduler can undercut one trial after another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import optuna
import torch
from plain_tune import EPOCHS, FACTOR, GRACE, Data, Net, digits, epoch


def accuracies(learning_rate: float, dropout: float, data: Data) -> Iterator[float]:
    """Train one network and yield its validation accuracy after every epoch."""
    torch.set_num_threads(1)  # with torch's default of all cores these small steps take twice the CPU time and no less
    net = Net(dropout, data[0].mean(), data[0].std())
    optimizer = torch.optim.SGD(net.parameters(), lr=learning_rate, momentum=0.9)
    for _ in range(EPOCHS):
        yield epoch(net, optimizer, data)["accuracy"]


def tuned(count: int, folder: Path) -> None:
    """Tune learning rate and dropout with `count` trials; write how many epochs each had to folder/epochs.json."""
    data = digits()

    def objective(trial: optuna.Trial) -> float:
        rate, p = trial.suggest_float("lr", 0.001, 0.2, log=True), trial.suggest_float("dropout", 0.1, 0.7)
        accuracy = 0.0
        for number, accuracy in enumerate(accuracies(rate, p, data), start=1):
            trial.report(accuracy, number)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=GRACE, reduction_factor=FACTOR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(), pruner=pruner)
    study.optimize(objective, n_trials=count)
    (folder / "epochs.json").write_text(json.dumps([len(trial.intermediate_values) for trial in study.trials]))


def bare(count: int, folder: Path) -> None:
    """Train `count` networks one after the other, all to the end; write how many epochs each had."""
    data = digits()
    lengths = [len([*accuracies(0.05, 0.3, data)]) for _ in range(count)]
    (folder / "epochs.json").write_text(json.dumps(lengths))
