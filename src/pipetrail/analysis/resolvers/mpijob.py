"""MPIJob, of the MPI operator and of the training-operator: a launcher and its workers."""

from collections.abc import Mapping

from pipetrail.analysis.placing import TRAINING, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_ROLE = "training.kubeflow.org/job-role"


class MpiJob:
    """MPIJobs and their pods."""

    system = "mpijob"
    tier = TRAINING
    kinds: frozenset[tuple[str, str]] = frozenset({("kubeflow.org", "MPIJob")})
    keys: frozenset[str] = frozenset({_ROLE})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Launcher or worker; the launcher's pods are those of a Job, which counts them."""
        role = thing.labels.get(_ROLE)
        if role == "launcher":
            return Place(replica="launcher")
        if role == "worker" and thing.is_pod:
            replica = f"worker-{thing.labels.get('training.kubeflow.org/replica-index', '0')}"
            return Place(attempt=look.ordinal(thing), replica=replica)
        return None
