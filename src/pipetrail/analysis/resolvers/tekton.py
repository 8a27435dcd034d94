"""Tekton Pipelines: a PipelineRun, or a TaskRun that belongs to none; its tasks are the steps."""

import re
from collections.abc import Mapping

from pipetrail.analysis.placing import BY_TIME, WORKFLOW, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_RETRY = re.compile(r"-pod-retry(\d{1,6})$")


class Tekton:
    """The objects of the pipelines controller."""

    system = "tekton"
    tier = WORKFLOW
    kinds: frozenset[tuple[str, str]] = frozenset({("tekton.dev", "PipelineRun"), ("tekton.dev", "TaskRun")})
    keys: frozenset[str] = frozenset({"tekton.dev/pipelineTask", "tekton.dev/taskRun"})
    ties: Mapping[str, Tie] = {
        "tekton.dev/pipelineRunUID": Tie("tekton.dev", "PipelineRun", "tekton.dev/pipelineRun", uid=True),
        "tekton.dev/taskRunUID": Tie("tekton.dev", "TaskRun", "tekton.dev/taskRun", uid=True),
    }

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The task; its pods are named by the try, and a TaskRun is at the try of its newest pod."""
        step = thing.labels.get("tekton.dev/pipelineTask")
        if thing.is_pod:
            found = _RETRY.search(thing.name)
            return Place(step=step, attempt=int(found[1]) + 1 if found else 1)
        if thing.kind == "TaskRun":
            return Place(step=step, attempt=BY_TIME)
        return Place(step=step) if step else None
