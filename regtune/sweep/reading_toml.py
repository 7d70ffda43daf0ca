"""Reading TOML: what is said of a file that is none, or has no end."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from regtune.core.errors import Refused

MOST_BYTES = 65_536  # tomllib takes minutes for dotted keys without end


def read_toml(source: Path) -> dict[str, Any]:
    """Return the tables of a file; raises Refused."""
    try:
        with source.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Refused(f"expected a readable file, given {error.strerror or error}") from error
    except ValueError as error:  # a name that no file can have
        raise Refused(f"expected a readable file, given {error}") from error
    if len(raw) > MOST_BYTES:
        raise Refused(f"expected a sweep file of at most {MOST_BYTES} bytes, given more")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Refused(f"byte {error.start}: expected UTF-8, given byte 0x{error.object[error.start]:02x}") from error
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"expected TOML, given: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise Refused("expected TOML of a few levels, given values nested without end") from error
    except ValueError as error:  # a number with more digits than Python converts
        raise Refused(f"expected TOML with numbers of ordinary size, given: {error}") from error
