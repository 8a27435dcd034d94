"""Metaflow, also on Argo: the run stands in annotations of Jobs, JobSets and pods."""

from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie, number, value
from pipetrail.analysis.world import Thing


class Metaflow:
    """Tasks of a flow."""

    system = "metaflow"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"metaflow/run_id"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """Flow and run."""
        flow, run = value(thing, "metaflow/flow_name"), value(thing, "metaflow/run_id")
        return Identity(self.system, f"{flow}/{run}", f"{flow}/{run}", "annotation") if flow and run else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The step, its attempt, and the member of a parallel step."""
        step = value(thing, "metaflow/step_name")
        if not step:
            return None
        member = value(thing, "jobset.sigs.k8s.io/replicatedjob-name")
        if member == "worker":
            member = f"worker-{value(thing, 'jobset.sigs.k8s.io/job-index') or 0}"
        return Place(step=step, attempt=number(value(thing, "metaflow/attempt"), 1), replica=member or None)
