"""What looks at results needs neither torch nor Ray: both take seconds to import, and a laptop may have none.

Tables, which come first here, need no scikit-learn and no Optuna either. What looks at a sweep file needs torch, and
nothing else that is large.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from regtune.data.digits import shipped_digits
from tests.made_up import made_up_log
from tests.test_tables import BETTER, SPREAD

RUN = """
import gc
import sys
from regtune.__main__ import main
gc.collect = lambda generation=2: 0  # statsmodels asks for it again and again
for words in {commands!r}:
    sys.argv = ["regtune", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
    tables = ("sklearn", "optuna") if words[0] == "table" else ()
    loaded = [name for name in ("torch", "ray", *tables) if name in sys.modules]
    assert not loaded, (words, loaded)
"""


def test_tables_reports_and_frames_import_neither_torch_nor_ray(tmp_path: Path) -> None:
    arms = {"base": SPREAD, "other": BETTER, "third": SPREAD[::-1]}
    one, *others = [str(made_up_log(tmp_path / name, arms, search=("ok",), name=name)) for name in "abc"]
    tables = [["table", one, "--format", form] for form in ("md", "csv", "latex", "html", "json")]
    tables += [["table", one, *others, "--format", form] for form in ("html", "json")]
    reports = [["report", one], ["report", one, *others, "--to", str(tmp_path / "all.html")]]
    code = RUN.format(commands=[*tables, *reports, ["frames", one]])
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for path in ("a/report.html", "all.html", "all-figures/together-critical.pdf", "a/trials.parquet"):
        assert (tmp_path / path).exists()


QUICKSTART = str(Path(__file__).resolve().parent.parent / "sweeps" / "quickstart.toml")
LOOKS = f"""
import sys
from regtune.__main__ import main
large = ["ray", "pandas", "pyarrow", "sklearn", "scipy", "torchvision", "matplotlib"]
for words, more in (
    (["--version"], ["torch", "optuna", "numpy", "pydantic"]),
    (["-h"], ["torch", "optuna", "numpy"]),
    (["list", "samplers", "pruners"], ["torch"]),
    (["list"], []),
    (["check", {QUICKSTART!r}], []),
):
    sys.argv = ["regtune", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
    loaded = [name for name in (*large, *more) if name in sys.modules]
    assert not loaded, (words, loaded)
"""


def test_looking_at_registries_and_sweeps_imports_nothing_large_but_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_digits_read_without_scikit_learn_are_those_that_it_loads() -> None:
    raw, (images, labels) = load_digits(), shipped_digits()
    assert np.array_equal(images, raw.images)
    assert np.array_equal(labels, raw.target)
    assert (images.dtype, labels.dtype) == (raw.images.dtype, raw.target.dtype)
