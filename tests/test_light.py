"""What looks at results needs neither torch nor Ray: both take seconds to import, and a laptop may have none.

Tables, which come first here, need no scikit-learn and no Optuna either.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
