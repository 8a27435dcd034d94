"""Prefect: the flow run is a label of its Job; a rescheduled one has a second Job."""

from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie, value
from pipetrail.analysis.world import Thing


class Prefect:
    """Jobs and pods of a flow run."""

    system = "prefect"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"prefect.io/flow-run-id"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The flow run."""
        run = value(thing, "prefect.io/flow-run-id")
        return Identity(self.system, run, value(thing, "prefect.io/flow-run-name"), "label") if run else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The how manieth Job of the flow run."""
        job = thing if thing.kind == "Job" else look.owner(thing, "Job")
        return Place(run_attempt=look.ordinal(job)) if job is not None else None
