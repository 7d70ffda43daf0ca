"""Published data sets from small files in their original formats. torchvision's checksums of the true CIFAR and SVHN
files are replaced by those of the small ones (`tests/originals.py`); what is true of the real files: test_real_data.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import datasets

from regtune.core.errors import Refused
from regtune.data import DATASETS, DataLocation, Dataset
from tests.originals import bytes_of, labels_of, write_idx, write_pickles, write_svhn


def data_set(name: str, **knobs: Any) -> Dataset:
    return DATASETS.find(name, "data.name")(**knobs)


def refusal(value: Dataset, root: Path | None, *, download: bool = False) -> str:
    with pytest.raises(Refused) as error:
        value.pool(DataLocation(root=root, download=download))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_idx_files(name: str, folder: str, tmp_path: Path) -> None:
    write_idx(tmp_path, folder)
    value = data_set(name, validation=10)
    pool = value.pool(DataLocation(root=tmp_path))
    assert pool.test is not None
    assert pool.train.images.equal(torch.from_numpy(bytes_of(60, 60, 28, 28))[:, None])
    assert pool.test.images.equal(torch.from_numpy(bytes_of(20, 20, 28, 28))[:, None])
    assert pool.train.labels.tolist() == labels_of(60).tolist()
    splits = value.split(pool)
    assert [len(splits.train), len(splits.validation), len(pool.test), splits.classes] == [50, 10, 20, 10]


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> None:
    rows = {f"data_batch_{n}": {"data": bytes_of(n, 4, 3072), "labels": [n, 1, 2, 9]} for n in range(1, 6)}
    rows |= {"test_batch": {"data": bytes_of(6, 4, 3072), "labels": [0, 1, 2, 3]}, "batches.meta": {"label_names": []}}
    write_pickles(root, datasets.CIFAR10, rows, patch)


def test_cifar10_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar10(tmp_path, monkeypatch)
    pool = data_set("cifar10").pool(DataLocation(root=tmp_path))
    assert pool.train.images.shape == (20, 3, 32, 32)
    assert pool.train.images[4:8].equal(torch.from_numpy(bytes_of(2, 4, 3072)).view(4, 3, 32, 32))
    assert pool.train.labels[4:8].tolist() == [2, 1, 2, 9]


@pytest.mark.parametrize(("labels", "classes"), [("fine", 100), ("coarse", 20)])
def test_cifar100_has_fine_and_coarse_labels(
    labels: str, classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: dict[str, Any] = {
        name: {
            "data": bytes_of(k, 100, 3072),
            "fine_labels": [(label + k) % 100 for label in range(100)],
            "coarse_labels": [7 * ((label + k) % 100) % 20 for label in range(100)],
        }
        for k, name in enumerate(("train", "test"))
    }
    write_pickles(tmp_path, datasets.CIFAR100, rows | {"meta": {"fine_label_names": []}}, monkeypatch)
    for _ in ("built", "cached"):
        pool = data_set("cifar100", labels=labels).pool(DataLocation(root=tmp_path))
        assert pool.test is not None
        assert pool.classes == classes
        assert pool.train.labels.tolist() == rows["train"][f"{labels}_labels"]
        assert pool.test.labels.tolist() == rows["test"][f"{labels}_labels"]
        assert pool.superclasses == (tuple(7 * label % 20 for label in range(100)) if labels == "fine" else ())


def test_svhn_mat_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(tmp_path, datasets.SVHN, monkeypatch)
    pool = data_set("svhn").pool(DataLocation(root=tmp_path))
    assert pool.train.images[3].equal(torch.from_numpy(bytes_of(40, 32, 32, 3, 40))[..., 3].permute(2, 0, 1))
    assert pool.train.labels.tolist() == [(k + 1) % 10 for k in labels_of(40)]


def test_missing_data_are_refused_with_what_to_do(tmp_path: Path) -> None:
    mnist = data_set("mnist")
    assert "data mnist: expected a data folder; set REGTUNE_DATA or --data" in refusal(mnist, None)
    assert "is none; set REGTUNE_DATA or --data" in refusal(mnist, tmp_path / "nowhere")
    said = refusal(mnist, tmp_path)
    assert f"expected {tmp_path / 'MNIST/raw/train-images-idx3-ubyte'}, found nothing" in said
    assert "or add --download" in said


def test_half_downloaded_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path, "MNIST")
    for name in ("t10k-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        file = tmp_path / "MNIST" / "raw" / name
        whole = file.read_bytes()
        for cut in (0, 5, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:cut])
            said = refusal(data_set("mnist"), tmp_path)
            assert said == f"data mnist: {file} is damaged or half downloaded; delete it and add --download"
        file.write_bytes(whole)
    cifar10(tmp_path, monkeypatch)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(file.read_bytes()[:-1])
    assert f"{file} is damaged" in refusal(data_set("cifar10"), tmp_path)


def test_a_label_beyond_ten_classes_is_damage(tmp_path: Path) -> None:
    write_idx(tmp_path, "MNIST")
    file = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"\x0a")
    assert f"{file} is damaged" in refusal(data_set("mnist"), tmp_path)


def test_downloads_happen_only_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(root: Path, *, download: bool) -> None:
        asked.append(download)
        write_idx(Path(root), "MNIST")

    monkeypatch.setattr(datasets, "MNIST", download)
    refusal(data_set("mnist"), tmp_path)
    assert asked == []
    new = tmp_path / "new"
    for _ in range(2):
        assert len(data_set("mnist").pool(DataLocation(root=new, download=True)).train) == 60
    assert asked == [True]


def test_a_download_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(root: Path, *, download: bool) -> None:
        raise RuntimeError("Error downloading:\nno route")

    monkeypatch.setattr(datasets, "MNIST", download)
    assert "data mnist: download failed: Error downloading: no route" in refusal(
        data_set("mnist"), tmp_path, download=True
    )


def test_without_torchvision_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path, "MNIST")
    monkeypatch.setitem(__import__("sys").modules, "torchvision", None)
    assert "pip install 'regtune[vision]'" in refusal(data_set("mnist"), tmp_path)
