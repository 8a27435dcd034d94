"""Polyaxon: an Operation; the label of its run is a common one, so it counts only beside an Operation."""

from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie
from pipetrail.analysis.world import Thing

_MARK = "operation.polyaxon.com/name"


class Polyaxon:
    """Operations and what they made."""

    system = "polyaxon"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset({("core.polyaxon.com", "Operation")})
    keys: frozenset[str] = frozenset({_MARK})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The run's uuid."""
        ours = (thing.group, thing.kind) in self.kinds
        if not ours and _MARK not in thing.annotations:
            return None
        run = thing.labels.get("app.kubernetes.io/instance") or (thing.uid if ours else "")
        name = thing.annotations.get(_MARK) or (thing.name if ours else "")
        return Identity(self.system, run, name, "label") if run else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Nothing: these have no parts of their own."""
        return None
