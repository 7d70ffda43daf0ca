"""Is our baseline a decent one? Does scikit-learn do better if it is tuned as much as the sweep's baseline arm is?

Data, widths, epochs, batch, momentum and numbers of trials and seeds are those of `quickstart_before.toml`. For each
row: random learning rates, each trained to the end, the best by validation accuracy (ties by validation loss), that
one trained again on fresh seeds, test accuracy after the last epoch, mean and t-interval. scikit-learn's
MLPClassifier has no shortcuts, Glorot's initial weights and float64; its inputs are standardised by one mean and one
deviation, as regtune's first layer does. Nothing is penalised (alpha = 0, the baseline arm). Takes half a minute:

    .venv/bin/python benchmarks/baseline.py
"""

from __future__ import annotations

import math
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from regtune.data import Examples, Splits
from regtune.execution.run import run
from regtune.results.loader import load
from regtune.statistics import mean_interval
from regtune.storage.environment import describe
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data

FILE = Path(__file__).parent / "sweeps" / "quickstart_before.toml"


class Row(NamedTuple):
    """The best learning rate of a search, its validation accuracy, and test accuracies on fresh seeds."""

    learning_rate: float
    validation: float
    tests: list[float]


class Sklearn:
    """MLPClassifier on the data and with the settings of a sweep's baseline."""

    def __init__(self, sweep: Sweep, splits: Splits, **settings: Any) -> None:
        trial = sweep.arms[0].template
        self.sweep, self.splits = sweep, splits
        self.settings = {
            "hidden_layer_sizes": trial.network["widths"],
            "batch_size": trial.batch,
            "max_iter": trial.epochs,
            "n_iter_no_change": trial.epochs + 1,  # so that, as in the baseline, nothing ends a training early
            "alpha": 0.0,
            **settings,
        }

    def tune(self, low: float, high: float) -> Row:
        """Search the learning rate between two bounds, on a logarithmic scale; confirm the best."""
        found = []
        for number in range(self.sweep.budget(self.sweep.arms[0])):
            seed = self.sweep.search_seed(number)
            rate = math.exp(np.random.default_rng(seed).uniform(math.log(low), math.log(high)))
            model = self.fit(rate, seed)
            x, y = self.arrays(self.splits.validation)
            loss = log_loss(y, model.predict_proba(x), labels=model.classes_)
            found.append((float(model.score(x, y)), -loss, rate))
        accuracy, _, best = max(found)
        seeds = [self.sweep.confirm_seed(number) for number in range(self.sweep.confirm.seeds)]
        return Row(best, accuracy, [float(self.fit(best, s).score(*self.arrays(self.splits.test))) for s in seeds])

    def fit(self, rate: float, seed: int) -> MLPClassifier:
        """Return a trained model."""
        model = MLPClassifier(learning_rate_init=rate, random_state=seed, **self.settings)
        with warnings.catch_warnings():
            # It is raised whenever max_iter is reached, and to train for so many epochs is the plan.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(*self.arrays(self.splits.train))

    def arrays(self, examples: Examples | None) -> tuple[np.ndarray, np.ndarray]:
        """Return examples as sklearn takes them, standardised by the training images."""
        if examples is None:
            raise ValueError("expected a data set with a test split")
        train = self.splits.train.images.double()
        images = (examples.images.double() - train.mean()) / train.std()
        return images.flatten(1).numpy(), examples.labels.numpy()


def ours(sweep: Sweep) -> Row:
    """Run the baseline arm of a sweep as the peers are run: random sampler, nothing pruned."""
    search = sweep.search.model_copy(update={"sampler": "random", "pruner": "none"})
    alone = sweep.model_copy(update={"arms": sweep.arms[:1], "search": search})
    with tempfile.TemporaryDirectory(prefix="regtune-benchmark-") as folder:
        trials = load(run(alone, Path(folder), in_process=True)).trials
    confirmed = trials[trials["phase"] == "confirm"]
    searched = trials[(trials["phase"] == "search") & (trials["status"] == "ok")]
    rate = float(confirmed["params"].iloc[0]["optimizer.learning_rate"])
    return Row(rate, float(searched["val_accuracy"].max()), [float(value) for value in confirmed["test_accuracy"]])


def main() -> None:
    """Run the three rows and print the table."""
    sweep = Sweep.read(FILE)
    template, space = sweep.arms[0].template, sweep.arms[0].space["optimizer.learning_rate"].__dict__
    splits = load_data(template)
    sgd = Sklearn(sweep, splits, solver="sgd", momentum=template.optimizer["momentum"], nesterovs_momentum=False)
    rows = {
        "scikit-learn, sgd": sgd.tune(space["low"], space["high"]),
        "scikit-learn, adam": Sklearn(sweep, splits, solver="adam").tune(1e-4, 1e-1),
        "regtune, baseline": ours(sweep),
    }
    print(f"{describe()['packages']}, {sweep.search.trials} search trials a row\n")
    print("| | learning rate | validation accuracy | test accuracy | 95% interval | n |\n|---|---:|---:|---:|---|---:|")
    for name, row in rows.items():
        test = mean_interval(row.tests)
        print(
            f"| {name} | {row.learning_rate:.4f} | {row.validation:.4f} | {test.mean:.4f} "
            f"| {test.low:.4f} to {test.high:.4f} | {test.n} |"
        )


if __name__ == "__main__":
    main()
