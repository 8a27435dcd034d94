"""The training-operator: PyTorchJob, TFJob, XGBoostJob, PaddleJob and JAXJob, alike but for the name."""

from collections.abc import Mapping

from pipetrail.analysis.placing import TRAINING, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_TYPE = "training.kubeflow.org/replica-type"
_SYSTEMS = {
    "PyTorchJob": "pytorchjob",
    "TFJob": "tfjob",
    "XGBoostJob": "xgboostjob",
    "PaddleJob": "paddlejob",
    "JAXJob": "jaxjob",
}


class Training:
    """The jobs of the operator."""

    system = "pytorchjob"
    tier = TRAINING
    kinds: frozenset[tuple[str, str]] = frozenset(("kubeflow.org", kind) for kind in _SYSTEMS)
    keys: frozenset[str] = frozenset({_TYPE})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The job, under the name of its kind."""
        if thing.group != "kubeflow.org" or thing.kind not in _SYSTEMS:
            return None
        return rooted(_SYSTEMS[thing.kind], thing)

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The replica. A retry makes the pod of the same name again."""
        kind = thing.labels.get(_TYPE)
        if not kind or not thing.is_pod:
            return None
        replica = f"{kind}-{thing.labels.get('training.kubeflow.org/replica-index', '0')}"
        return Place(attempt=look.ordinal(thing), replica=replica)
