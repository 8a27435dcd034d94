"""Katib: the Experiment is the run and each Trial a step of it; what runs a Trial is its inner job."""

from collections.abc import Mapping

from pipetrail.analysis.placing import WORKFLOW, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing


class Katib:
    """Experiments and Trials."""

    system = "katib"
    tier = WORKFLOW
    kinds: frozenset[tuple[str, str]] = frozenset({("kubeflow.org", "Experiment"), ("kubeflow.org", "Trial")})
    keys: frozenset[str] = frozenset({"katib.kubeflow.org/trial"})
    ties: Mapping[str, Tie] = {
        "katib.kubeflow.org/experiment": Tie("kubeflow.org", "Experiment"),
        "katib.kubeflow.org/trial": Tie("kubeflow.org", "Trial"),
    }

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The Experiment."""
        return rooted(self.system, thing) if thing.kind == "Experiment" and thing.group == "kubeflow.org" else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The Trial."""
        if thing.kind == "Trial" and thing.group == "kubeflow.org":
            return Place(step=thing.name)
        trial = thing.labels.get("katib.kubeflow.org/trial")
        return Place(step=trial) if trial else None
