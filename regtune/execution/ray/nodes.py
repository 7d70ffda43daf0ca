"""The nodes of a cluster: how many trials fit on them, and whether they have this driver's versions."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.execution.ray.private import node_of_actor
from regtune.storage.environment import versions
from regtune.sweep.schema import ClusterConfig

SECONDS_TO_ANSWER = 120.0


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a node must have for a trial; GPUs may be a fraction of one."""

    cpus: float
    gpus: float
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, terms: ClusterConfig) -> Need:
        """Return what the trials of a sweep need."""
        return cls(cpus=terms.cpus_per_trial, gpus=terms.gpus_per_trial, labels=tuple(sorted(terms.labels.items())))

    def fits(self, node: Json) -> int:
        """Return how many trials fit on a node."""
        labels, has = node.get("Labels") or {}, node["Resources"]
        if not node["Alive"] or any(labels.get(name) != value for name, value in self.labels):
            return 0
        by_cpu = int(has.get("CPU", 0) / self.cpus)
        return by_cpu if not self.gpus else min(by_cpu, int(has.get("GPU", 0)) * int(1 / self.gpus + 1e-9))


def capacity(need: Need) -> dict[str, int]:
    """Return how many trials fit on each node that is there now, by the node's id; nodes for none are left out."""
    counts = {node["NodeID"]: need.fits(node) for node in ray.nodes()}
    return {node: count for node, count in counts.items() if count}


def gpus_there() -> float:
    """Return how many GPUs the cluster has now."""
    return float(ray.cluster_resources().get("GPU", 0))


def node_of(error: str) -> str:
    """Return the id of the node that the actor of an error's text ran on, "" where that is not known."""
    actor = re.search("actor_id[:=] ?([0-9a-f]{32})", error)
    return node_of_actor(actor[1]) if actor else ""


def check_versions(need: Need) -> None:
    """Raise Refused if a node for trials has other versions than this driver of what decides their numbers."""
    ours = described()
    hosts = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes()}
    ask: Any = ray.remote(num_cpus=0)(described)
    for node in capacity(need):
        answer = ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()
        try:
            theirs = ray.get(answer, timeout=SECONDS_TO_ANSWER)
        except RayError as error:
            text = " ".join(str(error).split())[-200:]
            raise Refused(f"node {hosts[node]}: expected its versions, given: {text}") from error
        for name, version in ours.items():
            if theirs[name] != version:
                raise Refused(
                    f"node {hosts[node]}: expected {name} {version} as this driver has, given {theirs[name]}; "
                    f"install the same on all nodes"
                )


def described() -> dict[str, str | None]:
    """Return what a driver and its nodes must have in common."""
    found = versions()
    return {
        "python": platform.python_version().rpartition(".")[0],
        **{name: found[name] for name in ("torch", "numpy")},
    }
