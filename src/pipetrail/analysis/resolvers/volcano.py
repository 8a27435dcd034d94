"""Volcano: a Job whose tasks are the steps; pods say the task, its index and how often the Job was retried."""

from collections.abc import Mapping

from pipetrail.analysis.placing import TRAINING, Identity, Look, Place, Tie, number, rooted, value
from pipetrail.analysis.world import Thing


class Volcano:
    """Volcano Jobs and their pods."""

    system = "volcanojob"
    tier = TRAINING
    kinds: frozenset[tuple[str, str]] = frozenset({("batch.volcano.sh", "Job")})
    keys: frozenset[str] = frozenset({"volcano.sh/task-spec"})
    ties: Mapping[str, Tie] = {"volcano.sh/job-name": Tie("batch.volcano.sh", "Job")}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The task and its index."""
        task = value(thing, "volcano.sh/task-spec")
        if not task:
            return None
        index = value(thing, "volcano.sh/task-index")
        again = number(thing.annotations.get("volcano.sh/job-retry-count"), 1)
        return Place(step=task, run_attempt=again, replica=f"{task}-{index}" if index else None)
