"""A copy of a sweep's search in an Optuna storage, for those who like to look at it in optuna-dashboard.

The log is the truth: nothing is ever read back from the copy but which trials it has. A storage that fails
while the sweep runs costs the copy, not the sweep.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json
from optuna.storages import BaseStorage, get_storage
from optuna.trial import FrozenTrial

from regtune.core.errors import Refused, shown
from regtune.core.metric import METRICS
from regtune.core.records import Json, TrialKey
from regtune.execution.recovery import key_of
from regtune.execution.watch import Watch, Watching, many_of
from regtune.samplers import frozen
from regtune.storage.bundles import EPOCH, Bundle
from regtune.sweep.sweep import Sweep

SWEEP = "regtune sweep"  # the attribute of a study that says whose it is


@dataclass(frozen=True, kw_only=True)
class _Running:
    """What is known of a trial before its end."""

    id: str
    params: Json
    since: datetime
    epochs: list[Json] = field(default_factory=list)


class Mirror:
    """Adds every search trial that has ended to the study `<sweep>/<arm>`, or `<sweep>/repeat-2/<arm>` and so on.

    Its values are scores of which more is better: of "nll" they are minus the loss. Raises Refused at the start only.

    Its attributes `key` and `id` say which trial of the log one in a study is; those that are there
    already are not added again.
    """

    def __init__(self, sweep: Sweep, url: str) -> None:
        self._metric = METRICS[sweep.search.metric]
        self._spaces = {arm.name: arm.space for arm in sweep.arms}
        self._running: dict[TrialKey, _Running] = {}
        self._waiting: list[tuple[TrialKey, FrozenTrial]] = []
        self._warned = False
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            storage = get_storage(url)
            self._studies = {arm.name: _study(storage, sweep, arm.name) for arm in sweep.arms}
            self._present = {
                (trial.user_attrs.get("cell"), trial.user_attrs.get("id"))
                for study in self._studies.values()
                for trial in study.get_trials(deepcopy=False)
            }
        except Refused:
            raise
        except Exception as error:  # what a storage raises depends on its driver
            raise Refused(
                f"--optuna-storage: expected a storage that Optuna can open, as sqlite:///search.db, "
                f"given {_without_password(url)}: {_said(error)}"
            ) from error

    def beside(self, other: Watch) -> Watch:
        """Return a watch that hands every event to another one and to this mirror."""

        def watch(event: str, row: Json) -> None:
            other(event, row)
            self.watch(event, row)

        others = many_of(other)

        def many(bundle: Bundle) -> None:
            others(bundle)
            for row in bundle.rows():
                self.watch(EPOCH, row)

        return Watching(one=watch, many=many)

    def watch(self, event: str, row: Json) -> None:
        """Take one event, replayed or new; at the end of a trial add what the study does not have."""
        key = key_of(row)
        if key is not None and key.phase == "search" and key.arm in self._studies:  # none of the hidden copy
            if event == "asked":
                self._running[key] = _Running(id=row["id"], params=row["params"], since=_time(row))
            elif event == "epoch":
                self._running[key].epochs.append(row["epoch"])
            elif event == "ended":
                running = self._running.pop(key)
                if (str(key), running.id) not in self._present:
                    self._waiting.append((key, self._trial(key, running, row)))
        if event == "ended":  # a storage that is slow to fail is not tried with every epoch
            self._add()

    def _trial(self, key: TrialKey, running: _Running, row: Json) -> FrozenTrial:
        kept = [running.epochs[epoch["kept"] - 1] for epoch in running.epochs]
        scores = [self._metric.score(epoch.get(self._metric.val)) for epoch in kept]
        trial = frozen(key.number, running.params, scores, row["outcome"]["status"], self._spaces[key.arm])
        trial.datetime_start, trial.datetime_complete = running.since, _time(row)
        for name, value in {"cell": str(key), "id": running.id, "message": row["outcome"]["message"]}.items():
            trial.set_user_attr(name, value)
        return trial

    def _add(self) -> None:
        while self._waiting:
            key, trial = self._waiting[0]
            try:
                self._studies[key.arm].add_trial(trial)
            except Exception as error:  # as above, and the sweep continues whatever it is
                if not self._warned:
                    warnings.warn(
                        f"--optuna-storage: {key} could not be added, it is tried again when the next trial ends: "
                        f"{_said(error)}",
                        stacklevel=2,
                    )
                self._warned = True
                return
            self._waiting.pop(0)


def _study(storage: BaseStorage, sweep: Sweep, arm: str) -> optuna.Study:
    """Return the study of an arm, made if there is none; raises Refused for that of another sweep."""
    name = f"{sweep.folder(Path()).as_posix()}/{arm}"
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    mine = sweep.arm(arm)
    # The arm as it is: more trials, and other arms beside it, leave the study its own.
    space = {path: _text(found) for path, found in mine.space.items()}
    content = {"template": mine.template.plain(), "space": space, "seed": sweep.seed}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    if SWEEP not in study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(SWEEP, digest)
    elif study.user_attrs.get(SWEEP) != digest:
        raise Refused(
            f"--optuna-storage: expected a storage without study {shown(name)} or with this sweep's, given another's; "
            f"name another storage or give the sweep another name"
        )
    return study


def _text(space: BaseDistribution) -> str:
    """Return a distribution as Optuna 5.0 prints it: studies that are there are known by that, whatever prints now."""
    settings = json.loads(distribution_to_json(space))["attributes"]
    if isinstance(space, CategoricalDistribution):
        settings["choices"] = space.choices
    return f"{type(space).__name__}({', '.join(f'{name}={value}' for name, value in sorted(settings.items()))})"


def _time(row: Json) -> datetime:
    """Return when an event was: a replayed row says it, a new one is now."""
    return datetime.fromtimestamp(row["time"]) if "time" in row else datetime.now()


def _without_password(url: str) -> str:
    return shown(re.sub(r"//[^/]*@", "//…@", url))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
