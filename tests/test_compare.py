"""`regtune.compare`: a network and data as people have them, and the sweep that is made of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

import regtune
from regtune.api import compare as compare_room
from regtune.api import planning
from regtune.api.compare import arms_of
from regtune.api.given_data import given_data
from regtune.api.given_network import GIVEN, given_network, path_of
from regtune.api.planning import Times, plan, search_seconds
from regtune.api.results import Results
from regtune.cli.progress import Progress
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.data import DATASETS, DataLocation
from regtune.execution.run import run
from regtune.regularizers import Dropout
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.originals import write_pictures
from tests.plugin_modules import Pictures, plain_mlp
from tests.resuming import ran

SIDE = 6


def made_up(count: int = 60) -> tuple[NDArray[Any], NDArray[Any]]:
    draw = np.random.default_rng(1)
    y = np.arange(count) % 2
    x = draw.uniform(0, 0.6, (count, SIDE, SIDE)) + 0.4 * y[:, None, None] * (np.arange(SIDE) < 3)
    return x.astype(np.float32), y


def compared(folder: Path, net: object = plain_mlp, data: object = None, **settings: Any) -> Results:
    """Compare dropout with the baseline in a few epochs of a small network, by the smallest plan that there is."""
    given: Json = {"minutes": 2, "epochs": 2, "cpus": 1, "gpu": False, "progress": False, "results": folder}
    methods = settings.pop("methods", ["dropout"])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("MOST_SEARCHED", 3), ("MOST_CONFIRMED", 3), ("WITH_SELECT", 10**9)):
            patch.setattr(planning, name, value)
        return regtune.compare(net, made_up() if data is None else data, methods, **(given | settings))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return compared(tmp_path_factory.mktemp("results"))


def test_it_is_a_sweep_with_the_baseline_first(results: Results) -> None:
    assert list(results.sweep.arms) == ["baseline", "dropout"]
    assert set(results.trials["status"]) <= {"ok", "pruned", "unneeded"}
    assert set(results.trials["phase"]) >= {"search", "confirm"}
    assert list(results.verdicts()) == ["dropout"]
    assert results.sweep.template["network"]["path"] == "tests.plugin_modules:plain_mlp"
    assert results.header["examples"] == {"train": 38, "validation": 10, "test": 12}


def test_the_file_would_do_the_same(results: Results, tmp_path: Path) -> None:
    text = results.to_toml(tmp_path / "mine.toml")
    assert (tmp_path / "mine.toml").read_text() == text
    assert text.startswith(f"# regtune run FILE --in-process --data {results.path}\n")
    sweep = Sweep.read(tmp_path / "mine.toml")
    before = (results.path / "log.jsonl").read_bytes()
    log = run(sweep, results.path.parent, in_process=True, place=DataLocation(root=results.path))
    assert log.read_bytes() == before, "there is nothing left to do"


def test_the_best_network_comes_back_with_its_weights(results: Results) -> None:
    arm = "dropout" if "dropout" not in results.off else "baseline"
    net = results.best(arm).load()
    x, _ = made_up()
    assert net(torch.from_numpy(x[:, None])).shape == (60, 2)


def test_the_same_call_adds_nothing_and_another_one_lies_elsewhere(results: Results) -> None:
    before = (results.path / "log.jsonl").read_bytes()
    again = compared(results.path.parent)
    assert again.path == results.path
    assert (results.path / "log.jsonl").read_bytes() == before
    with pytest.raises(Refused, match=rf"^name: expected one that no other comparison has, {results.path.name} is of "):
        compared(results.path.parent, seed=1, name=results.path.name)


def test_the_folder_of_a_sweep_file_is_left_alone(tmp_path: Path) -> None:
    log = ran(tmp_path)
    before = sorted(path.name for path in log.parent.iterdir())
    with pytest.raises(Refused, match=r"^name: expected one that no other comparison has, small is of "):
        compared(tmp_path, plain_mlp(), name="small")
    assert sorted(path.name for path in log.parent.iterdir()) == before
    assert not (log.parent / "sweep.toml").exists()


def test_what_is_left_of_a_planning_that_was_killed_is_not_trained_on(tmp_path: Path) -> None:
    x, y = made_up()
    (tmp_path / "mine").mkdir()
    given_data((1 - x, y)).store(tmp_path / "mine")
    results = compared(tmp_path, name="mine")
    assert np.array_equal(np.load(results.path / "data.npz")["x"], x)


def test_a_live_module_is_trained_as_it_is_and_no_file_names_it(tmp_path: Path) -> None:
    net = plain_mlp()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    results = compared(tmp_path, net)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert set(results.trials["status"]) <= {"ok", "unneeded"}
    with pytest.raises(Refused, match=r"^to_toml: the network was given as an object that no file can name; put a "):
        results.to_toml()
    file = next(results.path.glob(f"{GIVEN}*.py"))
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: regtune.compare was given this network as a live module, which only that" in done.stderr
    assert isinstance(results.best("baseline").load(), nn.Module)
    with pytest.MonkeyPatch.context() as patch:  # as in a process that was not given it
        patch.delitem(sys.modules, file.stem)
        with pytest.raises(Refused, match=r"^network: it was given .* as an object, .*; call compare with it again"):
            regtune.load(results.path).best("baseline").load()


def test_a_live_module_is_known_again_by_what_it_is() -> None:
    net = plain_mlp()
    same, other = plain_mlp(), plain_mlp()
    same.load_state_dict(net.state_dict())
    assert given_network(net).name == given_network(same).name != given_network(other).name
    assert given_network(net).note.startswith("net: a live module, so each trial begins with the weights")


def test_what_a_script_defines_is_known_by_its_source_and_weights_are_drawn_anew() -> None:
    def make(width: int = 3) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.Linear(width, 2))

    state = torch.random.get_rng_state()
    one, other = given_network(make), given_network(lambda: make(4))
    assert torch.equal(torch.random.get_rng_state(), state), "the user's own draws are not disturbed"
    assert one.name == given_network(make).name != other.name
    assert one.note == ""
    assert "# def make(width: int = 3)" in one.source.replace("#     def", "# def")


def test_what_can_be_imported_is_named() -> None:
    assert path_of(plain_mlp) == "tests.plugin_modules:plain_mlp"
    assert path_of(Pictures) == "tests.plugin_modules:Pictures"
    assert path_of(lambda: Pictures(2)) == path_of(Pictures()) == ""
    assert given_network("mlp").table == {"name": "mlp"}
    assert given_network("my_models:make_net").table == {"name": "module", "path": "my_models:make_net"}
    assert given_network({"name": "mlp", "widths": [8]}).table == {"name": "mlp", "widths": [8]}


@pytest.mark.parametrize("net", [3, None, lambda: 3, lambda: 1 / 0])
def test_what_is_no_network_is_refused(net: object) -> None:
    with pytest.raises(Refused, match=r"^net: (expected (an nn\.Module|a function)|ZeroDivisionError: division by)"):
        given_network(net)


class Squares(Dataset[tuple[Any, Any]]):
    """Pictures and labels one by one, as torch's data sets have them."""

    def __init__(self, wrap: Callable[[NDArray[Any]], Any] = torch.from_numpy, odd: bool = False) -> None:
        self.x, self.y = made_up(20)
        self.wrap, self.odd = wrap, odd

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        picture = self.x[place][:3] if self.odd and place == 7 else self.x[place]
        return self.wrap(picture), int(self.y[place])


def pool_of(data: object, folder: Path) -> Any:
    given = given_data(data)
    given.store(folder)
    return DATASETS.build(given.table, "data").pool(given.place(folder))


def test_arrays_tensors_and_data_sets_are_the_same_data(tmp_path: Path) -> None:
    x, y = made_up(20)
    both = [(x, y), (torch.from_numpy(x), torch.from_numpy(y)), Squares(), Squares(np.asarray)]
    both += [TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), (x, list(y))]
    seals = set()
    for number, data in enumerate(both):
        folder = tmp_path / str(number)
        folder.mkdir()
        pool = pool_of(data, folder)
        assert torch.equal(pool.train.source[:, 0], torch.from_numpy(x))
        assert pool.train.labels.tolist() == y.tolist()
        seals.add(given_data(data).seal())
    assert len(seals) == 1
    assert given_data((x, y[::-1])).seal() not in seals


def test_half_numbers_of_torch_are_floats(tmp_path: Path) -> None:
    x, y = (torch.from_numpy(part) for part in made_up(20))
    pool = pool_of((x.bfloat16(), y), tmp_path)
    assert torch.equal(pool.train.source[:, 0], x.bfloat16().float())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            (torch.eye(6).to_sparse(), [0, 1]),
            r"^data: x: .*, given a tensor of layout torch\.sparse_coo; x\.to_dense\(\) ",
        ),
        ((torch.zeros(3, device="meta"), [0, 1]), r"^data: x: expected .*, given a tensor torch\.float32 on meta; "),
        (
            (np.zeros((2, 6, 6)), [[0], [1, 2]]),
            r"^data: y: expected an array of numbers, given \[\[0\], \[1, 2\]\], which ",
        ),
        ((np.zeros((2, 6, 6)), ["a", None]), r"^data: y: expected .* words for labels, given objects; astype"),
        ((np.zeros((2, 6, 6)), np.array(["a", "b"], dtype=object)), r"^data: y: expected .*, given objects; .*\(str\)"),
        (Squares(lambda picture: [[1.0], [1.0, 2.0]]), r"^data\[0\]: expected an array of numbers, given "),
    ],
)
def test_what_makes_no_array_is_refused_in_one_line(data: object, said: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        given_data(data)
    assert len(str(caught.value).splitlines()) == 1


def test_pictures_of_pillow_are_taken_as_they_are(tmp_path: Path) -> None:
    levels = Squares(lambda picture: Image.fromarray((picture * 255).astype(np.uint8)))
    pool = pool_of(levels, tmp_path)
    assert pool.train.source.dtype == torch.uint8
    assert pool.train.source.shape == (20, 1, SIDE, SIDE)


def test_a_test_split_is_taken_as_it_is_given(tmp_path: Path) -> None:
    x, y = made_up(20)
    for number, data in enumerate([(x, y, x[:4], y[:4]), (Squares(), Squares())]):
        folder = tmp_path / str(number)
        folder.mkdir()
        pool = pool_of(data, folder)
        assert len(pool.test) == (4, 20)[number]


def test_paths_and_names_are_those_of_data_sets(tmp_path: Path) -> None:
    x, y = made_up(20)
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    write_pictures(tmp_path / "own")
    for path, name in ((tmp_path / "mine.npz", "npz"), (str(tmp_path / "own"), "image_folder")):
        given = given_data(path)
        assert given.table == {"name": name, "path": Path(path).name}
        assert given.place(Path()) == DataLocation(root=tmp_path)
    assert given_data("digits").table == {"name": "digits"}
    assert given_data("digits").seal() == ""
    assert given_data({"name": "synthetic", "train": 9}).table == {"name": "synthetic", "train": 9}


def test_data_on_the_disk_are_known_by_where_they_lie_and_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = made_up()
    for folder, pictures in (("one", x), ("other", 1 - x)):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "data.npz", x=pictures, y=y)
    one, other = (str(tmp_path / folder / "data.npz") for folder in ("one", "other"))
    first = compared(tmp_path / "results", data=one)
    with pytest.raises(
        Refused, match=r"^name: expected one that no other comparison has, .* of another network, other "
    ):
        compared(tmp_path / "results", data=other, name=first.path.name)
    assert compared(tmp_path / "results", data=one, name=first.path.name).path == first.path
    monkeypatch.delenv("REGTUNE_DATA", raising=False)
    table = {"name": "npz", "path": "data.npz"}
    with pytest.raises(Refused, match=r"^data npz: expected a data folder; set REGTUNE_DATA"):
        compared(tmp_path / "results", data=table, name=first.path.name)
    seals = [given_data(one).seal(), given_data(other).seal(), given_data((x, y)).seal()]
    np.savez(one, x=1 - x, y=y)
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path / "other"))
    assert given_data(table).seal() == seals[1]
    assert len({*seals, given_data(one).seal()}) == 4


def test_a_folder_of_pictures_is_known_by_its_files(tmp_path: Path) -> None:
    write_pictures(tmp_path / "own")
    data = given_data(tmp_path / "own")
    seals = [data.seal(), data.seal()]
    data.table["side"] = 8
    DATASETS.build(data.table, "data").pool(data.place(Path()))
    seals.append(data.seal())
    next((tmp_path / "own").rglob("*.png")).unlink()
    seals.append(data.seal())
    assert seals[0] == seals[1] == seals[2] != seals[3]


def test_of_a_data_set_by_name_the_folder_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path))
    here = given_data("mnist").seal()
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path / "other"))
    assert here != given_data("mnist").seal()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (3, r"^data: expected \(x, y\) or .*, given 3$"),
        ("digist", r"^data: expected .*, given 'digist', which is neither \(did you mean 'digits'\?\)$"),
        (Squares(odd=True), r"^data\[7\]: expected pictures of one shape, \[6, 6\], given \[3, 6\]; resize them in "),
        (TensorDataset(torch.zeros(3, 2)), r"^data\[0\]: expected a picture and its label, given "),
        (TensorDataset(torch.zeros(0, 2), torch.zeros(0)), r"^data: expected a data set with examples, given an empty"),
    ],
)
def test_what_is_no_data_is_refused(data: object, said: str) -> None:
    with pytest.raises(Refused, match=said):
        given_data(data)


def test_methods_are_names_values_or_arms() -> None:
    assert arms_of(["dropout", "mixup"]) == {"baseline": {}, "dropout": {"dropout": {}}, "mixup": {"mixup": {}}}
    arms = arms_of([Dropout(p_hidden=0.4)])
    assert arms["dropout"]["dropout"]["p_hidden"] == 0.4
    mine: Json = {"plain": {}, "both": {"dropout": {}, "mixup": {}}}
    assert arms_of(mine) == mine
    assert list(arms_of({"both": {"dropout": {}, "mixup": {}}})) == ["baseline", "both"]


@pytest.mark.parametrize("methods", ["dropout", ["dropout", "dropout"], [3], 3])
def test_other_methods_are_refused(methods: Any) -> None:
    with pytest.raises(Refused, match=r"^methods: expected "):
        arms_of(methods)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"methods": ["dropot"]}, r"^arms\.dropot: unknown regularizer 'dropot' \(did you mean 'dropout'\?\)$"),
        ({"net": nn.Linear(3, 2)}, r"^network module: "),
        ({"data": (made_up()[0] * 9, made_up()[1])}, r"^data npz: .*: expected x in \[0, 1\] or uint8, given "),
        ({"name": "../mine"}, r"^name: expected letters, digits, '\.', '_' and '-', given '\.\./mine'$"),
        ({"minutes": 0}, r"^minutes: expected a number above 0, given 0$"),
        ({"minutes": "5"}, r"^minutes: expected a number above 0, given '5'$"),
        ({"minutes": float("nan")}, r"^minutes: expected a number above 0, given nan$"),
        ({"epochs": 0}, r"^epochs: expected a whole number of at least 1, given 0; None chooses one$"),
        ({"batch": 0}, r"^batch: expected a whole number of at least 1, given 0; None "),
        ({"cpus": 0}, r"^cpus: expected a whole number of at least 1, given 0; None "),
        ({"epochs": 2.0}, r"^epochs: expected a whole number of at least 1, given 2\.0; None "),
        ({"name": ""}, r"^name: expected letters, digits, '\.', '_' and '-', given ''$"),
        ({"plugins": "mine"}, r"^plugins: expected a list of modules, as \['mine'\], given 'mine'$"),
        ({"methods": {"one": "dropout"}}, r"^methods\['one'\]: expected a table, as .*, given 'dropout'$"),
        ({"optimizer": "sgd"}, r"^optimizer: expected a table of settings, as a dict, given 'sgd'$"),
        ({"optimizer": {"name": "sdg"}}, r"^optimizer\.name: unknown optimizer 'sdg' \(did you mean 'sgd'\?\)$"),
    ],
)
def test_what_is_refused_leaves_no_folder(settings: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=said):
        compared(tmp_path / "results", **settings)
    assert not list(tmp_path.glob("results/*"))


def pressed() -> None:
    signal.raise_signal(signal.SIGINT)


def raised() -> None:
    raise KeyboardInterrupt  # as Ray has it, or a kernel


def interrupting(monkeypatch: pytest.MonkeyPatch, comes: Callable[[], None], epochs: int) -> None:
    """Have Ctrl-C come with an epoch of the run."""
    seen = list[str]()

    class Pressed(Progress):
        def watch(self, event: str, row: Json) -> None:
            super().watch(event, row)
            seen.extend([event] * (event == "epoch"))
            if len(seen) == epochs:
                seen.append("over")
                comes()

    monkeypatch.setattr(compare_room, "Progress", Pressed)


@pytest.mark.parametrize("comes", [pressed, raised])
def test_ctrl_c_returns_what_there_is_and_the_same_call_goes_on(
    comes: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        interrupting(patch, comes, epochs=5)
        stopped = compared(tmp_path, progress=True)
    assert "interrupted; finished work is kept, and the same call goes on" in capsys.readouterr().out
    assert stopped.trials["status"].value_counts()["ok"] == 2
    assert "missing" in set(stopped.trials["status"])
    assert str(stopped).startswith("Better than baseline")
    whole = compared(tmp_path)
    assert "missing" not in set(whole.trials["status"])
    asked = [tuple(row["cell"]) for row in read_log(whole.path / "log.jsonl")[0] if row["event"] == "asked"]
    assert len(set(asked)) == len(asked), "nothing is trained twice"


def test_when_the_minutes_are_over_there_is_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare_room, "LATE", 0.0)
    threads = torch.get_num_threads()
    late = compared(tmp_path, progress=True, cpus=2)
    said = capsys.readouterr().out
    assert "the minutes are over; finished work is kept" in said
    assert "its own rates are set aside" in said
    assert late.table()["arm"].tolist() == ["baseline", "dropout"]
    assert torch.get_num_threads() == threads


def test_a_plan_fits_into_its_minutes() -> None:
    for epoch in (0.001, 0.01, 0.1, 1.0):
        for minutes in (1, 5, 60):
            found = plan(Times(epoch=epoch, beside=0.1, arms=4), 60 * minutes, None)
            least = found.trials == found.seeds == 3 and found.epochs == 5
            assert found.seconds <= 60 * minutes or least
            assert 3 <= found.trials <= 16 and 3 <= found.seeds <= 20
    long = plan(Times(epoch=0.001, beside=0.1, arms=4), 6000, None)
    assert long.select and (long.epochs, long.trials, long.seeds) == (30, 16, 20)
    assert plan(Times(epoch=1.0, beside=0.1, arms=4), 60, epochs=12).epochs == 12


def test_search_leaves_the_other_phases_their_part(results: Results) -> None:
    sweep = Sweep.read(results.path / "sweep.toml")
    assert 0.25 * 60 < search_seconds(sweep, 60) < 60


def test_a_note_says_what_tensors_a_module_takes(tmp_path: Path) -> None:
    """A module of two inputs is refused before anything is written."""

    class Two(nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return x + z

    with pytest.raises(Refused, match=r"expected a forward of one input, pictures \[N, C, H, W\], given x, z"):
        compared(tmp_path, Two)
