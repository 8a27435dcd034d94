"""LeaderWorkerSet: groups of a leader and its workers; the workers hang below the pod of their leader."""

from collections.abc import Mapping

from pipetrail.analysis.placing import GROUP, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_NAME = "leaderworkerset.sigs.k8s.io/name"
_GROUP = "leaderworkerset.sigs.k8s.io/group-index"
_WORKER = "leaderworkerset.sigs.k8s.io/worker-index"


class LeaderWorkerSet:
    """The set, its StatefulSets and pods."""

    system = "leaderworkerset"
    tier = GROUP
    kinds: frozenset[tuple[str, str]] = frozenset({("leaderworkerset.x-k8s.io", "LeaderWorkerSet")})
    keys: frozenset[str] = frozenset({_GROUP})
    ties: Mapping[str, Tie] = {_NAME: Tie("leaderworkerset.x-k8s.io", "LeaderWorkerSet")}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Group and member; the leader is worker 0."""
        group = thing.labels.get(_GROUP)
        if not group:
            return None
        if not thing.is_pod:
            return Place(step=f"group-{group}")
        worker = thing.labels.get(_WORKER)
        replica = f"worker-{worker}" if worker else None
        return Place(step=f"group-{group}", attempt=look.ordinal(thing), replica=replica)
