"""What a started row says of a trial key whose numbers are those of a trial that was trained elsewhere, not here."""

from __future__ import annotations

from regtune.core.records import SAME, Json, TrialKey

REUSED = "reused_from"  # of a started row: the folder and the trial key of another log that the numbers were taken from


def is_reused(row: Json) -> bool:
    """Return whether what follows a started row was reused: it took no time."""
    return SAME in row or REUSED in row


def origin(folder: str, key: TrialKey) -> Json:
    """Return what a started row has under `REUSED`."""
    return {"folder": folder, "cell": list(key)}


def origin_words(row: Json) -> str:
    """Return from where a started row says that a trial was reused; empty where it was not from another log."""
    return f"{row[REUSED]['folder']}: {TrialKey(*row[REUSED]['cell'])}" if REUSED in row else ""
