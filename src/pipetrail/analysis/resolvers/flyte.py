"""Flyte: v1 names the execution by bare labels, v2 marks its pods as managed and has TaskActions."""

import re
from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, UNKNOWN, Identity, Look, Place, Tie, number
from pipetrail.analysis.world import Thing

_WORKFLOWS = frozenset({("flyte.lyft.com", "FlyteWorkflow"), ("flyte.lyft.com", "flyteworkflow")})
_TRY = re.compile(r"-(\d{1,4})(?:-[a-z0-9]+)*$")


class Flyte:
    """Task resources, FlyteWorkflows and TaskActions."""

    system = "flyte"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = _WORKFLOWS | {("flyte.org", "TaskAction")}
    keys: frozenset[str] = frozenset({"execution-id", "flyte.org/managed", "flyte.org/run"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """Project, domain and execution; the bare words count only together with what Flyte alone sets."""
        labels = thing.labels
        if labels.get("flyte.org/managed") == "true":
            run, project, domain = labels.get("run"), labels.get("project"), labels.get("domain")
        elif "flyte.org/run" in labels:
            run = labels["flyte.org/run"]
            project, domain = labels.get("flyte.org/project"), labels.get("flyte.org/domain")
        else:
            run, project, domain = labels.get("execution-id"), labels.get("project"), labels.get("domain")
            ours = "node-id" in labels or "workflow-name" in labels or (thing.group, thing.kind) in self.kinds
            ours = ours or any(owner.kind.lower() == "flyteworkflow" for owner in thing.owners)
            if not ours:
                return None
        if not run or not project or not domain:
            return None
        return Identity(self.system, f"{project}/{domain}/{run}", run, "label")

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Node and try; v1 has the try in the name alone, and not where the name was hashed."""
        labels = thing.labels
        if labels.get("flyte.org/managed") == "true":
            return Place(step=labels.get("action"), attempt=number(labels.get("attempt")))
        if "flyte.org/action" in labels:
            return Place(step=labels["flyte.org/action"])
        node, run = labels.get("node-id"), labels.get("execution-id")
        if not node or not run:
            return None
        found = _TRY.search(thing.name) if thing.name.startswith(f"{run}-") else None
        return Place(step=node, attempt=int(found[1]) + 1 if found else UNKNOWN)
