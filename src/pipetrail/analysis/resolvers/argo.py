"""Argo Workflows: the Workflow is the run, its nodes are the steps, and pods say which node they are."""

from collections.abc import Mapping

from pipetrail.analysis.nodepaths import workflow_place
from pipetrail.analysis.placing import WORKFLOW, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_NODE_NAME = "workflows.argoproj.io/node-name"
_WORKFLOW = "workflows.argoproj.io/workflow"


class Argo:
    """The workflow controller's objects."""

    system = "argo"
    tier = WORKFLOW
    kinds: frozenset[tuple[str, str]] = frozenset({("argoproj.io", "Workflow")})
    keys: frozenset[str] = frozenset({_NODE_NAME})
    ties: Mapping[str, Tie] = {_WORKFLOW: Tie("argoproj.io", "Workflow")}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The node of a pod. ``argo retry`` makes a pod of the same node again: that is a new attempt of the run."""
        node = thing.annotations.get(_NODE_NAME)
        if not node:
            return None
        workflow = thing.labels.get(_WORKFLOW) or next((o.name for o in thing.owners if o.kind == "Workflow"), "")
        place = workflow_place(node, workflow)
        if place is None or not thing.is_pod:
            return place
        return Place(step=place.step, attempt=place.attempt, run_attempt=look.ordinal(thing))

    def marked(self, marks: Mapping[str, str], name: str) -> Place | None:
        """The node that an Event of the controller is about."""
        node = marks.get(_NODE_NAME)
        return workflow_place(node, name, marks.get("workflows.argoproj.io/node-type", "Pod")) if node else None
