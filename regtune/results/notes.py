"""How a sweep went, as the rows of its log say it: limits, losses, interruptions."""

from __future__ import annotations

from regtune.core.records import Cell, Plain


def limit_of(rows: list[Plain]) -> str:
    """Return which limit ended search in the newest run: that run has a header, and the limit behind it."""
    newest = next((row for row in reversed(rows) if row["event"] in ("limit", "header")), None)
    return newest["message"] if newest is not None and newest["event"] == "limit" else ""


def notes_of(rows: list[Plain], cells: dict[Cell, Plain]) -> list[str]:
    """Return what a reader of a table must know of how the sweep went, a sentence each."""
    notes = []
    limits = [row["message"] for row in rows if row["event"] == "limit"]
    if limits and any(e["status"] in ("missing", "interrupted") for c, e in cells.items() if c.phase == "search"):
        notes.append(f"Search ended early, since {limits[-1]}: arms may have had unequal budgets.")
    if lost := sum(entry["status"] == "lost" for entry in cells.values()):
        notes.append(f"Lost to faults of machines, and counted as failed: {lost}.")
    again = {tuple(cell) for row in rows if row["event"] == "retry" for cell in row["cells"]}
    if again:
        trials = "1 trial was" if len(again) == 1 else f"{len(again)} trials were"
        mended = sorted({name for row in rows if row["event"] == "retry" for name in row["mended"]})
        why = f", since these were changed: {', '.join(mended)}" if mended else ""
        notes.append(f"On request {trials} trained again{why}; what is reported is from there.")
    if differing := len({tuple(row["cell"]) for row in rows if row["event"] == "differs"}):
        trials = "1 trial" if differing == 1 else f"{differing} trials"
        notes.append(
            f"After an interruption {trials} went on with other bits than before, as on another processor; what is "
            f"reported is from there."
        )
    return notes
