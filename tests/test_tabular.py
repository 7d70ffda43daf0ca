"""Tables: which columns are what, what is fitted of training rows alone, what is refused, and a sweep on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from regtune.core.columns import Column, blocks
from regtune.core.errors import Refused
from regtune.data import DataLocation, Splits
from regtune.data.npz import Npz
from regtune.data.sklearn import SETS, Sklearn
from regtune.data.table import Table
from regtune.networks import NETWORKS, fresh
from regtune.networks._tables import Embed
from regtune.networks.tabular_mlp import Kadra2021
from regtune.regularizers import REGULARIZERS
from regtune.results.loader import load
from regtune.training.build import load_data, start_network
from regtune.training.recipe import Recipe
from tests.command_line import called
from tests.conftest import small_trial

IRIS = {"name": "sklearn", "set": "iris", "train": 64, "validation": 32}
CAREFUL = Table(path="x.csv", target="kind", validation=20)


def frame(count: int = 100) -> pd.DataFrame:
    """Return rows with numbers, some missing, a category, some missing, and two classes."""
    draw = np.random.default_rng(0)
    age, colour = draw.normal(40, 10, count), draw.choice(["red", "blue", "green"], count).astype(object)
    income = draw.normal(3e4, 1e4, count)
    income[::7], colour[::9] = np.nan, None
    return pd.DataFrame({"age": age, "colour": colour, "income": income, "kind": np.where(age > 40, "old", "young")})


def written(folder: Path, made: pd.DataFrame, name: str = "x.csv") -> DataLocation:
    if name.endswith(".csv"):
        made.to_csv(folder / name, index=False)
    else:
        made.to_parquet(folder / name)
    return DataLocation(root=folder)


def splits_of(value: Table, place: DataLocation) -> Splits:
    return value.split(value.pool(place))


def test_columns_are_numbers_with_gaps_and_categories_with_values(tmp_path: Path) -> None:
    splits = splits_of(CAREFUL, written(tmp_path, frame()))
    assert splits.columns == (
        Column(name="age"),
        Column(name="colour", values=("blue", "green", "red", "(missing)")),
        Column(name="income", gaps=True),
    )
    assert blocks(splits.columns) == [slice(0, 1), slice(1, 5), slice(5, 7)]
    assert splits.names == () and CAREFUL.pool(DataLocation(root=tmp_path)).names == ("old", "young")
    assert splits.train.images.shape[1:] == (7, 1, 1)


@pytest.mark.parametrize("scaling", ["standard", "quantile", "none"])
def test_all_is_fitted_on_training_rows_alone(scaling: str, tmp_path: Path) -> None:
    """Against pandas and scikit-learn; the rows of the other splits are then transformed alike."""
    made = frame()
    value = Table(path="x.csv", target="kind", validation=20, scaling=scaling)
    splits = splits_of(value, written(tmp_path, made))
    assert splits.test is not None
    train = made.iloc[splits.train.index.numpy()]
    for part in (splits.train, splits.validation, splits.test):
        rows = made.iloc[part.index.numpy()]
        found = part.images.flatten(1).numpy()
        filled = rows["income"].fillna(train["income"].median()).to_numpy()[:, None]
        scale: Any = {
            "standard": StandardScaler(),
            "quantile": QuantileTransformer(n_quantiles=len(train), output_distribution="normal", subsample=None),
            "none": None,
        }[scaling]
        if scale is not None:
            scale.fit(train["income"].fillna(train["income"].median()).to_numpy()[:, None])
            filled = scale.transform(filled)
        np.testing.assert_allclose(found[:, 5], filled[:, 0].astype(np.float32), rtol=1e-6)
        assert (found[:, 6] == rows["income"].isna()).all()
        words = rows["colour"].astype(object).where(rows["colour"].notna(), "(missing)")
        assert (found[:, 1:5].argmax(1) == [["blue", "green", "red", "(missing)"].index(word) for word in words]).all()
        assert (found[:, 1:5].sum(1) == 1).all()


def test_a_category_that_no_training_row_has_is_no_category(tmp_path: Path) -> None:
    made = frame()
    place = written(tmp_path, made)
    test = splits_of(CAREFUL, place).test
    assert test is not None
    odd = int(test.index[0])
    made.loc[odd, "colour"] = "ultraviolet"
    again = splits_of(CAREFUL, written(tmp_path, made))
    assert again.test is not None
    assert "ultraviolet" in again.columns[1].values
    row = again.test.images[again.test.index == odd].flatten()
    assert row[blocks(again.columns)[1]].sum() == 0


def test_rows_of_other_splits_change_nothing_of_training_rows(tmp_path: Path) -> None:
    made = frame()
    first = splits_of(CAREFUL, written(tmp_path, made))
    others = np.setdiff1d(np.arange(len(made)), first.train.index.numpy())
    made.loc[others, "income"] *= 100
    assert splits_of(CAREFUL, written(tmp_path, made)).train.images.equal(first.train.images)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=40, max_size=60))
def test_any_numbers_become_finite_features(
    values: list[float | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if all(value is None for value in values):
        return
    made = pd.DataFrame({"x": pd.array(values, dtype="Float64"), "kind": [n % 2 for n in range(len(values))]})
    place = written(tmp_path_factory.mktemp("any"), made, "x.parquet")
    value = Table(path="x.parquet", target="kind", validation=8)
    assert torch.isfinite(splits_of(value, place).train.images).all()


ARFF = """@relation small
@attribute size numeric
@attribute colour {red, blue}
@attribute kind {yes, no}
@data
1.5,red,yes
?,blue,no
2.5,?,yes
"""


def test_an_arff_file_is_read_as_a_csv_file(tmp_path: Path) -> None:
    (tmp_path / "x.arff").write_text(ARFF)
    (tmp_path / "x.csv").write_text("size,colour,kind\n1.5,red,yes\n,blue,no\n2.5,,yes\n")
    pools = [Table(path=f"x.{end}", target="kind").pool(DataLocation(root=tmp_path)) for end in ("arff", "csv")]
    assert pools[0].columns == pools[1].columns
    assert pools[0].train.labels.equal(pools[1].train.labels)
    np.testing.assert_array_equal(pools[0].train.images.numpy(), pools[1].train.images.numpy())


def test_numbers_are_categories_where_asked_and_columns_can_be_left_out(tmp_path: Path) -> None:
    made = frame().assign(code=np.arange(100) % 3)
    place = written(tmp_path, made)
    columns = Table(path="x.csv", target="kind", categories=("code",), drop=("colour",)).pool(place).columns
    assert [column.name for column in columns] == ["age", "income", "code"]
    assert columns[2].values == ("0", "1", "2")


@pytest.mark.parametrize(
    ("changed", "knobs", "said"),
    [
        ({}, {"target": "knid"}, "expected target to name a column of .*, given 'knid' .did you mean 'kind'"),
        ({}, {"target": ""}, "expected target, the name of the column of classes"),
        ({}, {"drop": ("ages",)}, "expected drop to name a column of .*, given 'ages' .did you mean 'age'"),
        ({}, {"drop": ("kind",)}, "expected target to be no column of categories or drop"),
        (
            {"day": pd.date_range("2026-01-01", periods=100)},
            {},
            r"'day': expected numbers .*, given dates.*drop = \['day'\]",
        ),
        ({"who": [f"name {n}" for n in range(100)]}, {}, r"'who': .*looks like text .*100 different.*drop = \['who'\]"),
        ({"x": np.inf}, {}, r"'x': expected finite numbers up to 1e\+18, given 100 that are larger"),
        ({"x": np.nan}, {}, r"'x': expected values, all are missing; drop = \['x'\]"),
        ({"kind": [None, *["a", "b"] * 49, "a"]}, {}, "expected a class in every row of target 'kind', 1 of 100 have"),
        ({"kind": np.linspace(0, 1, 100)}, {}, "target 'kind': expected y as whole numbers"),
    ],
)
def test_what_is_refused_says_the_way_out(
    changed: dict[str, Any], knobs: dict[str, Any], said: str, tmp_path: Path
) -> None:
    place = written(tmp_path, frame().assign(**changed))
    with pytest.raises(Refused, match=said) as refused:
        Table(**{"path": "x.csv", "target": "kind"} | knobs).pool(place)
    assert "\n" not in str(refused.value)


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no")
    for name in ("x.xlsx", "x.csv", "x.arff"):
        (tmp_path / name).write_text("")
    for name in ("x.xlsx", "x.parquet", "x.csv", "x.arff"):
        said = "ends with .csv, .parquet, .arff" if name == "x.xlsx" else "expected a table that can be read"
        with pytest.raises(Refused, match=said):
            Table(path=name, target="kind").pool(DataLocation(root=tmp_path))


def test_rows_of_an_npz_are_a_table_of_numbers(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(60, 3)) * 1000
    rows[5, 1] = np.nan
    np.savez(tmp_path / "x.npz", x=rows, y=np.arange(60) % 2)
    value = Npz(path="x.npz", validation=10)
    pool = value.pool(DataLocation(root=tmp_path))
    splits = value.split(pool)
    assert pool.notes == (
        "x is [N, F]: a table of 3 columns; if rows are pictures, reshape each to the picture that it is",
    )
    assert splits.columns == (Column(name="x0"), Column(name="x1", gaps=True), Column(name="x2"))
    train = splits.train.images.flatten(1)
    torch.testing.assert_close(train[:, 0].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(train[:, 0].std(correction=0), torch.tensor(1.0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SETS)
def test_those_of_scikit_learn_are_there(name: str) -> None:
    value = Sklearn(set=name)
    pool = value.pool(DataLocation())
    assert len(pool.train) == SETS[name]
    assert value.split(pool).test is not None


def test_methods_and_networks_of_pictures_are_refused_with_what_fits() -> None:
    trial = small_trial(data=IRIS)
    splits = load_data(trial)
    with pytest.raises(Refused, match="network convnet: expected pictures, given a table; take tabular_mlp, tab"):
        start_network(small_trial(data=IRIS, network={"name": "convnet"}), splits)
    net = start_network(trial, splits)
    refused = [name for name, method in REGULARIZERS.all().items() if method.on_tables]
    assert {"cutmix", "cutout", "random_crop", "rand_augment", "horizontal_flip"} <= set(refused)
    for name in refused:
        method = REGULARIZERS.all()[name]()
        with pytest.raises(Refused, match=f"{name}: expected pictures, given a table; take {method.on_tables}"):
            Recipe.of([method]).check(net, splits, "recipe")
        assert all(word in REGULARIZERS.all() for word in method.on_tables.split(" or "))


def test_shuffled_pixels_are_refused_of_a_table() -> None:
    with pytest.raises(Refused, match="expected pixels = 'true', since a table has none"):
        load_data(small_trial(data=IRIS | {"pixels": "shuffled"}))


COLUMNS = (Column(name="a"), Column(name="b", values=("x", "y", "z")), Column(name="c", gaps=True))


def test_an_embedding_is_a_row_of_a_category_and_mixes_as_rows_do() -> None:
    embed = Embed(COLUMNS, 4)
    assert embed.size == 3 + 4
    x = torch.zeros(2, 6, 1, 1)
    x[:, 0, 0, 0], x[0, 1], x[1, 3] = torch.tensor([5.0, 6.0]), 1.0, 1.0
    found, (table,) = embed(x), embed.rows.parameters()
    assert found[:, 0].tolist() == [5.0, 6.0]
    assert found[0, 3:].equal(table[0]) and found[1, 3:].equal(table[2])
    torch.testing.assert_close(embed(0.3 * x[:1] + 0.7 * x[1:])[0], 0.3 * found[0] + 0.7 * found[1])


@pytest.mark.parametrize("name", ["tabular_mlp", "kadra2021", "tabular_resnet"])
def test_networks_of_tables_take_categories_through_embeddings(name: str) -> None:
    net = fresh(NETWORKS.all()[name](), shape=(6, 1, 1), classes=3, seed=0, columns=COLUMNS)
    same = fresh(NETWORKS.all()[name](), shape=(6, 1, 1), classes=3, seed=0, columns=COLUMNS)
    other = fresh(NETWORKS.all()[name](), shape=(6, 1, 1), classes=3, seed=1, columns=COLUMNS)
    (rows,) = (value for key, value in net.named_parameters() if "rows" in key)
    assert rows.shape == (3, round(1.6 * 3**0.56))
    assert all(a.equal(b) for a, b in zip(net.parameters(), same.parameters(), strict=True))
    assert not any(a.equal(rows) for key, a in other.named_parameters() if "rows" in key)


def test_the_nine_layers_are_those_of_the_paper() -> None:
    """512 units each: 20 inputs, 2 classes; BatchNorm has two numbers a unit."""
    columns = [Column(name=str(number)) for number in range(20)]
    nets = [Kadra2021(batch_norm=on).build_table(columns=columns, classes=2) for on in (False, True)]
    counts = [sum(p.numel() for p in net.parameters()) for net in nets]
    plain = 20 * 512 + 512 + 8 * (512 * 512 + 512) + 512 * 2 + 2
    assert counts == [plain, plain + 9 * 2 * 512]


SWEEP = """
[data]
name = "table"
path = "x.csv"
target = "kind"
validation = 20
[network]
name = "tabular_resnet"
width = 8
[optimizer]
name = "adamw"
learning_rate = { low = 1e-3, high = 1e-2, log = true }
[training]
epochs = 2
batch = 20
[arms]
baseline = {}
swap_noise = { swap_noise = {} }
feature_cutmix = { feature_cutmix = {} }
[search]
trials = 2
pruner = "none"
[select]
seeds = 0
[confirm]
seeds = 3
"""


def test_a_sweep_on_a_table_runs_on_splits_of_its_own_and_exports(tmp_path: Path) -> None:
    written(tmp_path, frame())
    (tmp_path / "small.toml").write_text(SWEEP)
    ended = called("run", "small.toml", "--data", ".", "--in-process", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    trials = load(tmp_path / "results" / "small").trials
    assert set(trials["status"]) == {"ok"}
    assert trials[trials["phase"] == "confirm"]["arm"].nunique() == 3
    ended = called("export", "results/small", "--arm", "baseline", "--to", "net", "--data", ".", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "torch.zeros(1, 7, 1, 1)  # features of the table" in (tmp_path / "net" / "load_baseline.py").read_text()
    ended = called("trial", "results/small", "--row", "swap_noise/search/0", "--data", ".", folder=tmp_path)
    assert "identical: every number of" in ended.stdout
