"""The sweep file that a comparison is, for `regtune run`, a cluster, or a colleague."""

from __future__ import annotations

from regtune.api.given_network import is_live
from regtune.api.results import SWEEP_FILE
from regtune.core.errors import Refused
from regtune.results.loader import Results


def sweep_file(results: Results) -> str:
    """Return the text of the file that would run the same; raises Refused where there is none."""
    file = results.path / SWEEP_FILE
    if not file.exists():
        raise Refused(f"to_toml: expected results of regtune.compare, those in {results.path} are of a sweep file")
    if is_live(results.sweep.template["network"]):
        raise Refused(
            "to_toml: the network was given as an object that no file can name; put a function that makes it into a "
            "file of its own (make_net in my_models.py), import it, and compare again"
        )
    return file.read_text(encoding="utf-8").partition("\n")[2]
