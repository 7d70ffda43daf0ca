"""What a sweep searches and what it leaves fixed, in words, and what of it may not be meant so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from regtune.core.records import NONE, ONE_OF, SWITCH
from regtune.core.search_space import OPTIMIZER, KnobPath, of_owner
from regtune.sweep.arms import Arm

if TYPE_CHECKING:
    from regtune.sweep.sweep import Sweep

RATE = str(KnobPath(OPTIMIZER, "learning_rate"))
DECADE = 10  # ends that far apart are searched on a logarithmic scale


def knob_rows(sweep: Sweep) -> list[tuple[str, str]]:
    """Return every range, list and fixed value: first what all arms share, then what each has for itself, by its name.

    What is said is put together by optimizer, method and group, which are named once.
    """
    told = {arm.name: dict(_owners(arm)) for arm in sweep.arms}
    first, *others = told.values()
    shared = {owner: text for owner, text in first.items() if all(other.get(owner) == text for other in others)}
    rows = [("every arm" if others else sweep.baseline, "; ".join(shared.values()))]
    for name, texts in told.items():
        if own := [text for owner, text in texts.items() if owner not in shared]:
            rows.append((name, "; ".join(own)))
    return rows


def doubts(sweep: Sweep) -> list[str]:
    """Return what a sweep searches, or does not, and its writer may not have meant, in lines."""
    found = dict.fromkeys(
        f"{path if path in arm.shared else f'arms.{arm.name}.{path}'}: {text}"
        for arm in sweep.arms
        for path, space in arm.space.items()
        if (text := _two_numbers(path, space))
    )
    rate = sweep.arms[0].template.optimizer.get("learning_rate")
    if rate is not None:
        found[
            f"{RATE} is not searched, it is {rate:g} in every arm, also in arms that would need another one; "
            f"to search it, write learning_rate = {{ low = {rate / DECADE:g}, high = {min(rate * DECADE, 1000):g}, "
            f"log = true }}"
        ] = None
    return list(found)


def space_in_words(space: BaseDistribution) -> str:
    """Return a search space: `[0.001, 0.2] log`, `one of 0.001, 0.1`."""
    if isinstance(space, CategoricalDistribution):
        return f"one of {', '.join(map(_value, space.choices))}"
    ends: Any = space  # ranges only are left
    text = f"[{_value(ends.low)}, {_value(ends.high)}]"
    step = "" if ends.step is None or (ends.step == 1 and isinstance(ends.step, int)) else f" step {_value(ends.step)}"
    return text + (" log" if ends.log else step)


def _owners(arm: Arm) -> Iterator[tuple[str, str]]:
    """Yield what is said of the optimizer, of each group and of each method of an arm, with their names."""
    yield OPTIMIZER, f"{OPTIMIZER}: {_knobs(OPTIMIZER, arm.template.optimizer, arm.space)}"
    for path, space in arm.space.items():
        owner = KnobPath.of(path).owner
        if KnobPath.of(path).is_group and isinstance(space, CategoricalDistribution):
            members = ", ".join(str(choice) for choice in space.choices if choice != NONE)
            yield owner, f"{owner}: one of {members}" + (" or none" if NONE in space.choices else "")
    for row in arm.template.recipe:
        name = row["name"]
        head = f"{name} in or out" if str(KnobPath(name, SWITCH)) in arm.space else name
        knobs = _knobs(name, row, arm.space)
        yield name, f"{head}: {knobs}" if knobs else head


def _knobs(owner: str, row: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> str:
    """Return what is said of the knobs of one owner: of those that are searched, then of those that are fixed."""
    mine = of_owner(space, owner)
    searched = [f"{name} {space_in_words(found)}" for name, found in mine.items() if name not in (SWITCH, ONE_OF)]
    fixed = [f"{name} = {_value(value)}" for name, value in row.items() if name != "name" and name not in mine]
    return ", ".join(searched + fixed)


def _two_numbers(path: str, space: BaseDistribution) -> str:
    """Return what is said of a list of two numbers, nothing for all else."""
    if not isinstance(space, CategoricalDistribution) or len(space.choices) != 2:
        return ""
    if any(isinstance(choice, bool) or not isinstance(choice, int | float) for choice in space.choices):
        return ""
    low, high = sorted(float(choice) for choice in space.choices if isinstance(choice, int | float))
    if low == high:
        return ""
    log = ", log = true" if 0 < low * DECADE <= high else ""
    return (
        f"a list is of choices, here two: {space.choices[0]:g} and {space.choices[1]:g}, and nothing between them; "
        f"a range is {{ low = {low:g}, high = {high:g}{log} }}"
    )


def _value(value: object) -> str:
    """Return a value as it is written in a sweep file, numbers in short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
