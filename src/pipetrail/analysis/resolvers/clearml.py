"""ClearML agents: the task id is the pod name itself, under a label of the agent."""

from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie
from pipetrail.analysis.world import Thing

_PREFIX = "clearml-id-"


class Clearml:
    """Pods and Jobs of an agent."""

    system = "clearml"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"CLEARML", "clearml-agent-queue"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The task id in the name of the pod or Job."""
        names = (thing.name, *(owner.name for owner in thing.owners if owner.kind == "Job"))
        for name in names:
            if name.startswith(_PREFIX) and len(task := name[len(_PREFIX) :][:32]) == 32:
                return Identity(self.system, task, task, "name", "strong")
        return None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Nothing: these have no parts of their own."""
        return None
