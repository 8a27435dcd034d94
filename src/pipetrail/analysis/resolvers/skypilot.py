"""SkyPilot: bare pods of a cluster, or of a managed job."""

from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie
from pipetrail.analysis.world import Thing


class Skypilot:
    """Pods of a cluster."""

    system = "skypilot"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"skypilot-cluster-name", "skypilot-managed-job-name"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The managed job, else the cluster; names are unique within a namespace."""
        labels = thing.labels
        name = labels.get("skypilot-managed-job-name") or labels.get("skypilot-cluster-name")
        return Identity(self.system, f"{thing.namespace}/{name}", name, "label") if name else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Head or worker, or the index of the node."""
        labels = thing.labels
        if index := labels.get("skypilot-node-index"):
            return Place(replica=f"node-{index}")
        head = labels.get("skypilot-head-node") in ("1", "true") or labels.get("ray-node-type") == "head"
        return Place(replica="head" if head else "worker")
