"""The script with which the page draws charts: Vega, Vega-Lite and vega-embed, and what the report does with them."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
import threading
from importlib import metadata

from regtune.reports.page.report import EXPORTED, VEGA_LITE, fitting, looks
from regtune.service.problems import Denied
from regtune.service.runs import environment

SECONDS = 60.0  # that bundling may take; it takes about two
KEPT = "private, max-age=31536000, immutable"
_BUNDLE = "import sys, vl_convert; print(vl_convert.javascript_bundle(sys.argv[1], vl_version=sys.argv[2]))"


@functools.cache
def address() -> str:
    """Return the path of the script, another one for each version of what is in it."""
    parts = "\n".join([metadata.version("vl-convert-python"), VEGA_LITE, EXPORTED, _own()])
    return f"charts-{hashlib.sha256(parts.encode()).hexdigest()[:16]}.js"


class Script:
    """The script; it is made when it is first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = ""

    def text(self) -> str:
        """Return it; raises Denied where it cannot be made."""
        with self._lock:
            if not self._text:
                self._text = bundled() + _own()
            return self._text


def bundled() -> str:
    """Return the libraries. A process of its own bundles them: the 100 MB that this takes would stay in the service."""
    words = [sys.executable, "-P", "-c", _BUNDLE, EXPORTED, VEGA_LITE]
    try:
        made = subprocess.run(  # noqa: S603 - our own words; no shell
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
            env=environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise Denied(503, f"charts: expected libraries of vl-convert within {SECONDS:.0f} s; try again") from error
    if made.returncode:
        raise Denied(503, f"charts: expected libraries of vl-convert, given its exit with {made.returncode}; try again")
    return made.stdout


def _own() -> str:
    return f"{fitting()}window.looks = {json.dumps(looks())};\n"
