"""What is published of a run: its tables, its figures, the sweep file and the log.

    python benchmarks/publish.py results/mnist_dropout_small sweeps/mnist_dropout_small.toml

writes results/published/mnist_dropout_small/: `table.md` and `table.csv`; `published.md`, where published tables match;
figures of the report; the sweep file; and the log of each repeat, compressed, without the names of machines.
`regtune table` and `regtune report` take that folder as any other.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import tempfile
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.reports.output import formatted
from regtune.reports.page.report import write_report
from regtune.reports.published.output import published_beside
from regtune.reports.tables.folder import read_folder
from regtune.storage.layout import COMPRESSED, LOG, log_in, repeats_of
from regtune.storage.log import LogFile, sealed

TO = Path(__file__).parents[1] / "results" / "published"
FIGURES = ("effects", "confirmed_curves", "tuning_curves")
HOST = "host"


def without_machines(row: Json) -> Json:
    """Return a row of a log without the names of machines and of nodes."""
    if row["event"] == "lease" and HOST in row:
        return {**row, HOST: HOST}
    if "where" in row:
        return {**row, "where": {**row["where"], HOST: HOST, "node": ""}}
    return {**row, "node": ""} if "node" in row else row


def compressed(log: Path) -> bytes:
    """Return a log without the names of machines, its checksums anew, compressed."""
    lines, seal = list[bytes](), 0
    for _, row in LogFile(log).reading().as_written():
        line, seal = sealed(without_machines(row), seal)
        lines.append(line)
    return gzip.compress(b"".join(lines), mtime=0)


def main() -> None:
    """Write the folder of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--figures", nargs="*", default=FIGURES, help="names of figures of the report")
    given = parser.parse_args()
    to = TO / given.results.name
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for folder in repeats_of(given.results):
        place = to / folder.relative_to(given.results)
        place.mkdir(exist_ok=True)
        (place / f"{LOG}{COMPRESSED}").write_bytes(compressed(log_in(folder)))
    shutil.copy(given.sweep, to / "sweep.toml")
    for form in ("md", "csv"):
        (to / f"table.{form}").write_text(formatted([to], form), encoding="utf-8")
    try:
        beside = published_beside([to], "", "md", 0)
    except Refused as error:  # no published table has these arms
        print(error)
    else:
        (to / "published.md").write_text(beside, encoding="utf-8")
    with tempfile.TemporaryDirectory() as page:
        _, *figures = write_report(read_folder(to), Path(page) / "report.html")
        for figure in figures:
            if figure.suffix == ".svg" and figure.stem in given.figures:
                shutil.copy(figure, to / figure.name)
        left = sorted({figure.stem for figure in figures} - set(given.figures))
    print(f"wrote {to}; figures that were left out: {', '.join(left)}")


if __name__ == "__main__":
    main()
