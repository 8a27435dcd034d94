"""Kubeflow Trainer v2: a TrainJob makes a JobSet of its own name; its Jobs say which step they are."""

from collections.abc import Mapping

from pipetrail.analysis.placing import TRAINING, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_STEP = "trainer.kubeflow.org/trainjob-ancestor-step"


class TrainJob:
    """TrainJobs."""

    system = "trainjob"
    tier = TRAINING
    kinds: frozenset[tuple[str, str]] = frozenset({("trainer.kubeflow.org", "TrainJob")})
    keys: frozenset[str] = frozenset({_STEP})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The step, which stands on Jobs and not on their pods."""
        step = thing.labels.get(_STEP)
        return Place(step=step) if step else None
