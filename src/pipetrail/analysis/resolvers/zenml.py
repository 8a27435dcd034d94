"""ZenML: labels of bare words beside annotations of its own, which tell them from those of others."""

from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie
from pipetrail.analysis.world import Thing


class Zenml:
    """Jobs and pods of a pipeline run."""

    system = "zenml"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset(
        {"zenml.io/run-id", "zenml.io/orchestrator-run-id", "zenml.io/step-name", "zenml.io/orchestrator"}
    )
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The run; ``run_id`` alone is Airflow's key too, so it counts beside an annotation of ZenML."""
        run = thing.annotations.get("zenml.io/run-id") or thing.labels.get("run_id")
        return Identity(self.system, run, thing.labels.get("run_name", ""), "label") if run else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The step of a step's Job; the orchestrator's pod is none."""
        step = thing.annotations.get("zenml.io/step-name")
        return Place(step=step) if step else Place(replica="orchestrator")
