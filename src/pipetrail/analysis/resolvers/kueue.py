"""Kueue: a queue of any of the others. A Workload is no run; it belongs to the job that it stands for."""

from collections.abc import Mapping

from pipetrail.analysis.placing import GROUP, Identity, Look, Place, Tie
from pipetrail.analysis.world import Thing


class Kueue:
    """Workloads."""

    system = "kueue"
    tier = GROUP
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset()
    ties: Mapping[str, Tie] = {"kueue.x-k8s.io/job-uid": Tie("", "", uid=True)}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """None: whoever owns the Workload is the run."""
        return None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Nothing: these have no parts of their own."""
        return None
