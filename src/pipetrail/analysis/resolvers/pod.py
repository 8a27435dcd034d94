"""Bare pods: a run of its own where nothing owns it, it is made to end, and its labels name an application."""

from collections.abc import Mapping

from pipetrail.analysis.placing import BARE, Identity, Look, Place, Tie
from pipetrail.analysis.world import Thing


class Pod:
    """Pods of nobody."""

    system = "pod"
    tier = BARE
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"app.kubernetes.io/name", "app.kubernetes.io/instance"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The pod; a server that never ends is no run."""
        if not thing.is_pod or thing.owners or not thing.ends or not thing.uid:
            return None
        return Identity(self.system, thing.uid, thing.name, "kind", "strong")

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Nothing: these have no parts of their own."""
        return None
