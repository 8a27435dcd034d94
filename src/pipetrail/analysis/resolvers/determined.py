"""Determined: Jobs and pods carry task and allocation; an allocation is one attempt of a task."""

from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, UNKNOWN, Identity, Look, Place, Tie, value
from pipetrail.analysis.world import Thing


class Determined:
    """Jobs and pods of a task."""

    system = "determined"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"determined.ai/task_id"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The task."""
        task = value(thing, "determined.ai/task_id")
        return Identity(self.system, task, task, "label") if task else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The form of allocation ids is not known for sure, so no number is read out of them."""
        return Place(attempt=UNKNOWN) if "determined.ai/allocation_id" in thing.labels else None
