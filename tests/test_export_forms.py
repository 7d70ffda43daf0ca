"""An exported network without regtune: ONNX, a program of torch, a plain state_dict give what the trial evaluated."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from regtune import load_network
from regtune.core.errors import Refused
from regtune.execution.export import Exported, export
from regtune.execution.export_forms import FORMS
from regtune.results.loader import Results, load
from tests.command_line import called
from tests.plugin_modules import Pictures
from tests.resuming import ran
from tests.test_export import BENT, KEPT
from tests.test_networks import TINY, every_network, started, tiny_trial

BARRED = "import sys; sys.modules['regtune'] = None; exec(open(sys.argv[1]).read())"  # regtune cannot be imported

MODULE = KEPT.replace(
    'name = "mlp"\nwidths = [12, 12, 12]\nresidual = true',
    'name = "module"\npath = "tests.plugin_modules:Pictures"\narguments = { classes = 4 }',
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return load(ran(tmp_path_factory.mktemp("bent"), BENT).parent)


def logits_of(form: str, path: Path, pictures: torch.Tensor) -> torch.Tensor:
    """Return what a file makes of pictures, as its user would have it."""
    if form == "onnx":
        session = onnxruntime.InferenceSession(str(path))
        (found,) = session.run(None, {"pictures": pictures.numpy()})
        return torch.as_tensor(np.asarray(found))
    program: Any = torch.export.load(path).module()
    return torch.as_tensor(program(pictures).detach())


def loaded_without_regtune(script: Path) -> None:
    words = [sys.executable, "-c", BARRED, script.name]
    ended = subprocess.run(words, cwd=script.parent, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@every_network
def test_every_network_of_the_shelf_is_a_program(name: str) -> None:
    trial = tiny_trial(name)
    ours = Exported(started(name, **TINY[name]), trial).eval()
    program: Any = torch.export.load(io.BytesIO(FORMS["pt2"].write(ours, ours.net, (3, 8, 8)))).module()
    pictures = torch.rand(3, 3, 8, 8)
    assert torch.allclose(program(pictures), ours(pictures), atol=1e-5)


@pytest.mark.parametrize("form", ["onnx", "pt2"])
@pytest.mark.parametrize("arm", ["baseline", "dropout-at-test", "depth"])
def test_a_program_gives_what_the_network_gives_for_any_number_of_pictures(
    results: Results, arm: str, form: str, tmp_path: Path
) -> None:
    ours = load_network(export(results, arm, None, tmp_path)[0])
    path, script = export(results, arm, None, tmp_path, form=form)
    for count in (1, 7):
        pictures = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(count))
        assert torch.allclose(logits_of(form, path, pictures), ours(pictures), atol=1e-6)
    if arm == "baseline":
        loaded_without_regtune(script)


def test_a_state_dict_is_that_of_the_users_own_module(tmp_path: Path) -> None:
    results = load(ran(tmp_path, MODULE).parent)
    ours = load_network(export(results, "dropout", None, tmp_path)[0])
    path, script = export(results, "dropout", None, tmp_path, form="state_dict")
    own = Pictures(classes=4).eval()
    own.load_state_dict(torch.load(path, weights_only=True))
    assert "#   path = 'tests.plugin_modules:Pictures'" in script.read_text()
    pictures = torch.rand(5, 1, 4, 4)
    found: dict[str, Any] = {"pictures": pictures, "torch": torch}
    (line,) = [line[2:] for line in script.read_text().splitlines() if line.startswith("# pictures = (pictures")]
    exec(line, found)  # noqa: S102  # what the script says of normalizing
    assert torch.allclose(own(found["pictures"]), ours(pictures), atol=1e-6)


def test_a_state_dict_is_refused_where_the_network_alone_is_not_what_was_evaluated(
    results: Results, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="expected a recipe that leaves the network alone in evaluation"):
        export(results, "dropout-at-test", None, tmp_path, form="state_dict")
    path, script = export(results, "baseline", None, tmp_path, form="state_dict")
    ours = load_network(export(results, "baseline", None, tmp_path)[0]).net.state_dict()
    found = torch.load(path, weights_only=True)
    assert found.keys() == ours.keys()
    assert all(torch.equal(found[name], ours[name]) for name in ours)
    loaded_without_regtune(script)


def test_the_command_writes_a_form_and_refuses_others(results: Results, tmp_path: Path) -> None:
    words = ("export", results.path, "--arm", "baseline", "--to", "net")
    ended = called(*words, "--format", "state_dict", folder=tmp_path)
    assert ended.stdout == "wrote net/baseline.state_dict.pt\nwrote net/load_baseline_state_dict.py\n"
    ended = called(*words, "--format", "onyx", folder=tmp_path)
    assert ended.stderr == "regtune: --format: unknown format 'onyx' (did you mean 'onnx'?)\n"
    assert FORMS.keys() == {"onnx", "pt2", "state_dict"}


def test_what_a_form_cannot_have_is_one_line(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*words: object, **settings: object) -> None:
        raise RuntimeError("no such\noperation")

    for function, said in (("onnx.export", "ONNX has the operations of"), ("export.export", "torch.export can trace")):
        with monkeypatch.context() as patch:
            patch.setattr(f"torch.{function}", fails)
            with pytest.raises(Refused, match=f"{said}.*, given RuntimeError: no such operation; --format"):
                export(results, "baseline", None, tmp_path, form="onnx")
