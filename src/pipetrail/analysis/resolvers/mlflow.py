"""MLflow Projects: nothing but an env variable of the container names the run."""

from collections.abc import Mapping

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie
from pipetrail.analysis.world import Thing


class Mlflow:
    """Pods with a run id."""

    system = "mlflow"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"MLFLOW_RUN_ID"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The run id."""
        for name, run in thing.ids:
            if name == "MLFLOW_RUN_ID":
                return Identity(self.system, run, "", "env")
        return None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Nothing: these have no parts of their own."""
        return None
