"""Dagster: the Jobs of the run worker and of the steps share the label of the run; their names count the tries."""

import re
from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie, value
from pipetrail.analysis.world import Thing

_TRY = re.compile(
    r"^(?:dagster-(?:step-[0-9a-f]{32}|run-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|[0-9a-f]{32})-(\d{1,4})$"
)


class Dagster:
    """Jobs and pods of a run."""

    system = "dagster"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"dagster/run-id"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The run id; the job is the name that people know."""
        run = thing.labels.get("dagster/run-id")
        return Identity(self.system, run, thing.labels.get("dagster/job", ""), "label") if run else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Op and try of a step, or the resumption of the run worker."""
        labels = thing.labels
        if "dagster/run-id" not in labels:
            return None
        job = thing.name if thing.kind == "Job" else value(thing, "batch.kubernetes.io/job-name")
        job = job or next((owner.name for owner in thing.owners if owner.kind == "Job"), "")
        found = _TRY.match(job)
        again = int(found[1]) + 1 if found else 1
        if labels.get("app.kubernetes.io/component") == "run_worker" or job.startswith("dagster-run-"):
            return Place(run_attempt=again, replica="run_worker")
        return Place(step=labels.get("dagster/op"), attempt=again)
