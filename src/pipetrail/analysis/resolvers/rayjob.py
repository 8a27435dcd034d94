"""RayJob: each try has a RayCluster of its own, and a submitter Job of one name."""

from collections.abc import Mapping

from pipetrail.analysis.placing import TRAINING, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing


class RayJob:
    """RayJobs, and what each has of its own."""

    system = "rayjob"
    tier = TRAINING
    kinds: frozenset[tuple[str, str]] = frozenset({("ray.io", "RayJob"), ("ray.io", "RayCluster"), ("batch", "Job")})
    keys: frozenset[str] = frozenset()
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The RayJob."""
        return rooted(self.system, thing) if thing.kind == "RayJob" else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The try, by the RayCluster; the submitter."""
        if not any(owner.kind == "RayJob" for owner in thing.owners):
            return None
        if thing.kind == "RayCluster":
            return Place(run_attempt=look.ordinal(thing))
        if thing.kind == "Job":
            return Place(run_attempt=look.ordinal(thing), replica="submitter")
        return None
