"""RayCluster and RayService: pods say whether they are the head or of which group."""

from collections.abc import Mapping

from pipetrail.analysis.placing import GROUP, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_NODE = "ray.io/node-type"
_SYSTEMS = {"RayCluster": "raycluster", "RayService": "rayservice"}


class RayCluster:
    """Ray clusters and their pods."""

    system = "raycluster"
    tier = GROUP
    kinds: frozenset[tuple[str, str]] = frozenset({("ray.io", "RayCluster"), ("ray.io", "RayService")})
    keys: frozenset[str] = frozenset({_NODE})
    ties: Mapping[str, Tie] = {"ray.io/cluster": Tie("ray.io", "RayCluster")}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The cluster, or the service that it is for."""
        return rooted(_SYSTEMS[thing.kind], thing) if thing.group == "ray.io" and thing.kind in _SYSTEMS else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The head, or the worker's group; workers have no index."""
        node = thing.labels.get(_NODE)
        if node == "head":
            return Place(replica="head")
        return Place(replica=thing.labels.get("ray.io/group") or node) if node else None
