"""Spark: the operator application, or a native driver; executors hang below the pod of their driver."""

from collections.abc import Mapping

from pipetrail.analysis.placing import TRAINING, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_APP, _OPERATOR = "spark-app-selector", "sparkoperator.k8s.io/app-name"
_SUBMISSION = "sparkoperator.k8s.io/submission-id"


class Spark:
    """Applications and their pods."""

    system = "sparkapplication"
    tier = TRAINING
    kinds: frozenset[tuple[str, str]] = frozenset({("sparkoperator.k8s.io", "SparkApplication")})
    keys: frozenset[str] = frozenset({_APP, "spark-role"})
    ties: Mapping[str, Tie] = {_OPERATOR: Tie("sparkoperator.k8s.io", "SparkApplication")}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The application; natively its id, which the operator's pods have only beside the application itself."""
        if thing.kind == "SparkApplication":
            return rooted(self.system, thing)
        app = thing.labels.get(_APP)
        if not app or _OPERATOR in thing.labels or "spark-role" not in thing.labels:
            return None
        return Identity(self.system, app, thing.annotations.get("spark-app-name") or app, "label")

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Driver or executor; a resubmission is a new submission under the driver's old name."""
        role = thing.labels.get("spark-role")
        if role == "driver":
            return Place(run_attempt=_submission(thing, look), replica="driver")
        if role == "executor":
            driver = look.owner(thing, "Pod")
            again = _submission(driver, look) if driver is not None else None
            return Place(run_attempt=again, replica=f"executor-{thing.labels.get('spark-exec-id', '0')}")
        return None


def _submission(driver: Thing, look: Look) -> int | None:
    """The how manieth submission a driver is of: several drivers of one submission are no more than one."""
    ids = dict.fromkeys(elder.labels.get(_SUBMISSION) or elder.uid for elder in look.elders(driver))
    return len(ids) or None
