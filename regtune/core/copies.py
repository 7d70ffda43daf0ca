"""The hidden copy of the baseline: an A/A check in every sweep. Here is what a log has of it, and how it is set apart.

The copy has the baseline's recipe, space and budget and is chosen and confirmed on other seeds, so whatever its verdict
beside the baseline says is chance (R. Kohavi et al., "Trustworthy Online Controlled Experiments", 2020, on A/A tests).
It is no arm of the sweep: nothing that goes through the arms of a header meets it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from regtune.core.header import SweepRecord
from regtune.core.records import Json, TrialKey

_SUFFIX = " (copy)"  # no name of an arm has a space or a bracket


def copy_name(baseline: str) -> str:
    """Return what the copy of an arm is called in a log."""
    return f"{baseline}{_SUFFIX}"


def is_copy(arm: str) -> bool:
    """Return whether this is the name of a copy, also of one that the sweep file no longer asks for."""
    return arm.endswith(_SUFFIX)


def copy_plain(baseline: str) -> Json:
    """Return what the header records of a copy."""
    return {"arm": copy_name(baseline)}


def with_copy(sweep: SweepRecord, copy: str) -> SweepRecord:
    """Return a sweep with two arms: the baseline and the copy of this name."""
    baseline, arm = next(iter(sweep.arms.items()))
    return dataclasses.replace(sweep, arms={baseline: arm, copy: arm}, copy=None)


def keys_with_copy(
    both: SweepRecord, planned: Mapping[TrialKey, Json], keys: Mapping[TrialKey, Json]
) -> dict[TrialKey, Json]:
    """Return the trial keys of the baseline and of the copy, those `planned` first.

    Where draws are paired the copy has the baseline's search trials for its own: another search would have the same.
    """
    baseline, copy = both.arms
    found = dict(planned) | {key: row for key, row in keys.items() if key.arm in (baseline, copy)}
    if not both.paired:
        return found
    shared = [(key, row) for key, row in found.items() if key.arm == baseline and key.phase == "search"]
    return found | {key._replace(arm=copy): {**row, "arm": copy} for key, row in shared}
