"""Kubeflow Pipelines: the run has an id of its own, a label on the Workflow and on every pod of it."""

from collections.abc import Mapping

from pipetrail.analysis.nodepaths import pipeline_place
from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie, number
from pipetrail.analysis.world import Thing

_RUN = "pipeline/runid"
_NODE_NAME = "workflows.argoproj.io/node-name"


class Kfp:
    """The pods and Workflow of a run."""

    system = "kfp"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({_RUN})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The run id; its name stands on the Workflow alone."""
        run = thing.labels.get(_RUN)
        return Identity(self.system, run, look.title(self.system, run), "label") if run else None

    def title(self, thing: Thing) -> tuple[str, str] | None:
        """The name that the user gave the run."""
        run, name = thing.labels.get(_RUN), thing.annotations.get("pipelines.kubeflow.org/run_name")
        if run and (name or thing.kind == "Workflow"):
            return run, name or thing.name
        return None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The task of a pod. Retrying the run restarts the same Workflow under the next generation."""
        node = thing.annotations.get(_NODE_NAME)
        workflow = look.owner(thing, "Workflow")
        if not node:
            return None
        name = thing.labels.get("workflows.argoproj.io/workflow") or (workflow.name if workflow is not None else "")
        place = pipeline_place(node, name)
        if place is None or workflow is None:
            return place
        again = number(workflow.annotations.get("pipelines.kubeflow.org/retry-generation"), 1)
        return Place(step=place.step, attempt=place.attempt, run_attempt=again, replica=place.replica)

    def marked(self, marks: Mapping[str, str], name: str) -> Place | None:
        """The task that an Event of the workflow controller is about."""
        node = marks.get(_NODE_NAME)
        return pipeline_place(node, name) if node else None
