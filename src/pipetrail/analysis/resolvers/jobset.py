"""JobSet: its replicated jobs are the steps; a restart makes all Jobs again under their old names."""

from collections.abc import Mapping

from pipetrail.analysis.placing import GROUP, Identity, Look, Place, Tie, number, rooted, value
from pipetrail.analysis.world import Thing

_STEP = "jobset.sigs.k8s.io/replicatedjob-name"


class JobSet:
    """JobSets, their Jobs and pods."""

    system = "jobset"
    tier = GROUP
    kinds: frozenset[tuple[str, str]] = frozenset({("jobset.x-k8s.io", "JobSet")})
    keys: frozenset[str] = frozenset({_STEP})
    ties: Mapping[str, Tie] = {
        "jobset.sigs.k8s.io/jobset-uid": Tie("jobset.x-k8s.io", "JobSet", "jobset.sigs.k8s.io/jobset-name", uid=True)
    }

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The replicated job, the restart, and the index of the Job and of the pod in it."""
        step = value(thing, _STEP)
        if not step or thing.kind == "JobSet":
            return None
        replica = f"{step}-{value(thing, 'jobset.sigs.k8s.io/job-index') or 0}"
        if index := value(thing, "batch.kubernetes.io/job-completion-index"):
            replica = f"{replica}-{index}"
        return Place(
            step=step,
            attempt=number(value(thing, "jobset.sigs.k8s.io/job-restart-attempt"), 1),
            run_attempt=number(value(thing, "jobset.sigs.k8s.io/restart-attempt"), 1),
            replica=replica,
        )
