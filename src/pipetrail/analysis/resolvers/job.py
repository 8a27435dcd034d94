"""Plain Jobs: the pods of one completion index follow one another; a CronJob is the schedule, not the run."""

from collections.abc import Mapping

from pipetrail.analysis.placing import JOB, Identity, Look, Place, Tie, rooted, value
from pipetrail.analysis.world import Thing

_INDEX = "batch.kubernetes.io/job-completion-index"


class Job:
    """Jobs and their pods."""

    system = "job"
    tier = JOB
    kinds: frozenset[tuple[str, str]] = frozenset({("batch", "Job"), ("", "Pod")})
    keys: frozenset[str] = frozenset()
    ties: Mapping[str, Tie] = {
        "batch.kubernetes.io/controller-uid": Tie("batch", "Job", "batch.kubernetes.io/job-name", uid=True)
    }

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if thing.kind == "Job" and thing.group == "batch" else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Index and try of a pod; the pods of a Job that runs several at once without an index can't be counted."""
        if not thing.is_pod:
            return None
        job = look.owner(thing, "Job")
        if job is None or job.group != "batch":
            return None
        index = value(thing, _INDEX)
        parallel = (job.spec or {}).get("parallelism")
        if not index and isinstance(parallel, int) and parallel > 1:
            return None
        return Place(attempt=look.ordinal(thing), replica=index or None)
