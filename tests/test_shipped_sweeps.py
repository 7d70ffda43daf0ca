"""The sweep files that ship: each passes the checks of `regtune check` on pictures like those of its data, and says in
its head what it shows, what was published and how long it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from generate import sweep_head

from regtune.cli.sweeps import beside_sweeps, sweep_files
from regtune.core.errors import Refused
from regtune.data import Examples, Pool, Splits
from regtune.execution import preflight as checks
from regtune.regularizers import transfer
from regtune.results.loader import load
from regtune.sweep.sweep import Sweep
from tests.command_line import called

ROOT = Path(__file__).resolve().parent.parent
FILES = {path.name: path for path in sweep_files()}
HEAD = ("Shows", "Published", "Differs", "Takes")
PICTURES = {  # shape, training pictures with validation, classes
    "cifar10": ((3, 32, 32), 50_000, 10),
    "cifar100": ((3, 32, 32), 50_000, 100),
    "image_folder": ((3, 32, 32), 50_000, 10),  # CIFAR-10 as files
    "mnist": ((1, 28, 28), 60_000, 10),
    "fashion_mnist": ((1, 28, 28), 60_000, 10),
    "digits": ((1, 8, 8), 1_797, 10),
    "sklearn": ((30, 1, 1), 455, 2),
}
MODES = ("true", "partial", "labels", "shuffled", "random", "gaussian")


def few(shape: tuple[int, int, int], count: int, classes: int) -> Examples:
    images = torch.arange(count * shape[0] * shape[1] * shape[2]).remainder(251).to(torch.uint8)
    return Examples.of(images=images.view(count, *shape), labels=torch.arange(count) % classes)


def checked(path: Path, patch: pytest.MonkeyPatch) -> Sweep:
    """Check a sweep file as `regtune check` does, on few made-up pictures of the size of its data."""
    sweep = Sweep.read(path)
    template = sweep.arms[0].template
    shape, most, classes = PICTURES[template.data["name"]]
    asked = [template.data["validation"], template.data["train"] if template.data["train"] != "all" else template.batch]
    assert sum(asked) <= most
    pool = Pool(train=few(shape, 400, classes), test=few(shape, 200, classes), classes=classes)
    train = few(shape, min(asked[1], max(template.batch, 2 * classes)), classes)
    validation = few(shape, 2 * classes, classes)
    groups = tuple(k // 5 for k in range(100)) if template.data["name"] == "cifar100" else ()
    carved = template.data["name"] == "digits" and not template.data.get(
        "test"
    )  # its test split is what the others leave
    spare = None if template.data["train"] == "all" or sum(asked) == most or carved else few(shape, 20, classes)
    splits = Splits(
        train=train, validation=validation, test=pool.test, classes=classes, superclasses=groups, unlabelled=spare
    )
    other = few((1, 28, 28), 20, 10)  # upside down, since a source that has the pictures of the data is refused
    turned = Examples.of(images=other.images.flip(2), labels=other.labels)
    source = Pool(train=turned, test=None, classes=10)
    patch.setattr(transfer, "_read", lambda name, root: source)
    patch.setattr(checks, "load_pool", lambda template, place: pool)
    patch.setattr(checks, "split_data", lambda template, pool: splits)
    patch.setattr(checks, "_check_fresh", lambda sweep, pool: None)
    checks.preflight(sweep)
    return sweep


@pytest.mark.parametrize("name", FILES)
def test_a_shipped_sweep_passes_the_checks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked(FILES[name], monkeypatch)


@pytest.mark.parametrize("name", [name for name, path in FILES.items() if "cifar10-jpeg.tar" in path.read_text()])
def test_without_the_jpeg_copy_the_lines_that_the_head_gives_take_the_original_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = 'name = "image_folder"\npath = "cifar10-jpeg.tar"\n', 'name = "cifar10"\n'
    shown = sweep_head(FILES[name])["Shows"]
    assert all(line in shown for line in (*old.splitlines(), *new.splitlines(), "--download"))
    text = FILES[name].read_text(encoding="utf-8")
    assert text.count(old) == 1
    own = tmp_path / name
    own.write_text(text.replace(old, new), encoding="utf-8")
    assert checked(own, monkeypatch).arms[0].template.data["name"] == "cifar10"


def test_the_checks_find_a_method_that_has_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = FILES["mnist_dropout_small.toml"].read_text(encoding="utf-8")
    spoilt = tmp_path / "spoilt.toml"
    spoilt.write_text(text.replace("[arms.max_norm]\n", "[arms.max_norm]\nstochastic_depth = {}\n"), encoding="utf-8")
    with pytest.raises(Refused, match=r"arms\.max_norm"):
        checked(spoilt, monkeypatch)


@pytest.mark.parametrize("name", FILES)
def test_a_head_says_what_it_shows_what_was_published_and_how_long_it_takes(name: str) -> None:
    said = sweep_head(FILES[name])
    assert list(said) == list(HEAD)
    assert all(len(text) > 10 for text in said.values())
    assert "one GPU" in said["Takes"]
    assert "2 cores" in said["Takes"]
    assert max(map(len, FILES[name].read_text(encoding="utf-8").splitlines())) <= 200


@pytest.mark.parametrize("name", FILES)
def test_the_trials_and_epochs_of_a_head_are_those_of_the_plan(name: str) -> None:
    found = re.search(r"(\d+) trials of at most (\d+) epochs", sweep_head(FILES[name])["Takes"])
    if found is None:  # a measured time instead
        assert name in ("quickstart.toml", "random_labels.toml", "cocktail.toml")
        return
    sweep = Sweep.read(FILES[name])
    counts = [(p, one.most_trials(p, arm)) for one, arm in sweep.with_copy for p in sweep.phases]
    trials = sum(count for _, count in counts)
    epochs = sum(count * sweep.most_epochs(phase) for phase, count in counts)
    assert (int(found[1]), int(found[2])) == (sweep.search.repeats * trials, sweep.search.repeats * epochs)


def test_the_example_of_an_own_network_runs(tmp_path: Path) -> None:
    (module,) = [path for path in beside_sweeps() if path.name == "own_network.py"]
    (tmp_path / module.name).write_bytes(module.read_bytes())
    text = FILES["own_network.toml"].read_text(encoding="utf-8")
    for was, now in (("epochs = 20", "epochs = 1"), ("trials = 8", "trials = 1"), ("seeds = 10", "seeds = 2")):
        assert was in text
        text = text.replace(was, now)
    (tmp_path / "own_network.toml").write_text(f"{text}aa = false\n[select]\nseeds = 0\n", encoding="utf-8")
    ran = called("run", "own_network.toml", "--in-process", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "a recipe says what is dropped: Dropout 0.5" in ran.stdout
    trials = load(tmp_path / "results" / "own_network").trials
    assert set(trials["status"]) == {"ok"}
    assert set(trials["arm"]) == {"baseline", "dropout", "stochastic_depth", "shifts", "l2"}


@pytest.mark.parametrize("size", ["memorization", "memorization_small"])
def test_the_six_modes_differ_in_their_data_alone(size: str) -> None:
    def but_data(name: str) -> list[str]:
        text = FILES[f"{size}_{name}.toml"].read_text(encoding="utf-8").partition("\n\n")[2]
        return [line for line in text.splitlines() if not line.startswith(("label_noise", "pixels"))]

    assert all(but_data(mode) == but_data("true") for mode in MODES)
    data = {mode: Sweep.read(FILES[f"{size}_{mode}.toml"]).arms[0].template.data for mode in MODES}
    assert {m: (d["label_noise"], d["pixels"]) for m, d in data.items()} == {
        "true": (0.0, "true"),
        "partial": (0.5, "true"),
        "labels": (1.0, "true"),
        "shuffled": (0.0, "shuffled"),
        "random": (0.0, "random"),
        "gaussian": (0.0, "gaussian"),
    }


def test_every_sweep_is_in_the_page_of_sweeps() -> None:
    page = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    assert [name for name in FILES if f"`{name.removesuffix('.toml')}`" not in page] == []


def test_plugins_that_sweeps_name_ship_beside_them() -> None:
    named = {plugin for path in FILES.values() for plugin in Sweep.read(path).arms[0].template.plugins}
    assert named == {path.stem for path in beside_sweeps()}
