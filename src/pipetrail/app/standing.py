"""How a run stands, with all that is known of it then: what is written as a turn when its state changes."""

from collections.abc import Iterable

from pipetrail.analysis.diagnosis import Verdict
from pipetrail.app.phases_before import spent
from pipetrail.app.reading import Read
from pipetrail.model import Event, Micros, ObjectRef, Standing
from pipetrail.model.times import SECOND

_OWNERS = frozenset({"owner", "team", "squad", "user", "creator", "created-by", "submitted-by"})
_LABELS = 8  # of those that name an owner; more of them would be no names of people
_TOGETHER = 60 * SECOND  # what takes several pods of a run, or is told by several sources, is one loss
_PREEMPTED = frozenset({"Preempted", "EvictedDueToPreempted", "PreemptionByScheduler", "PreemptionByKubeScheduler"})
_EVICTED = frozenset(
    {
        "DeletionByTaintManager",
        "Evicted",
        "EvictedByEvictionAPI",
        "EvictionByEvictionAPI",
        "NodeLost",
        "TaintManagerEviction",
        "TerminationByKubelet",
    }
)


def standing_of(read: Read, verdict: Verdict | None, root: ObjectRef, now: Micros) -> Standing:
    """How a run stands.

    :param verdict: what was found to be wrong with it, unless it got over that.
    :param now: since when it stands so, where it is not over.
    """
    run = read.case.run
    preemptions, evictions = losses(read.case.events, {thing.uid for thing, _ in read.things})
    reason, category, blame = gist_of(verdict)
    return Standing(
        cluster=run.cluster,
        system=run.system,
        run=run.id,
        name=run.name,
        state=run.state,
        at=run.finished if run.finished is not None else now,
        namespace=run.namespace,
        pipeline=run.pipeline,
        queue=run.queue,
        labels=owner_labels(run.labels),
        created=run.created,
        started=run.started,
        finished=run.finished,
        attempts=run.attempts,
        restarts=run.restarts,
        preemptions=preemptions,
        evictions=evictions,
        phases=spent(run, read.things, read.case.events, now),
        reason=reason,
        category=category,
        blame=blame,
        root=root,
    )


def gist_of(verdict: Verdict | None) -> tuple[str, str, str]:
    """The cause, category and blame of a verdict; empty where there is none, or the run got over it.

    Where the cause can't be determined, the word that was seen stands for it.
    """
    if verdict is None or verdict.recovered:
        return "", "", ""
    return verdict.cause or verdict.reason, verdict.category, verdict.blame


def owner_labels(labels: dict[str, str]) -> dict[str, str]:
    """Those that name an owner or a team, whatever stands before the slash."""
    found = {key: value for key, value in labels.items() if key.rpartition("/")[2].lower() in _OWNERS}
    return dict(sorted(found.items())[:_LABELS])


def losses(events: Iterable[Event], own: set[str]) -> tuple[int, int]:
    """How often a run was preempted, and how often it lost something for other reasons than that.

    :param own: the uids of its objects; events about others do not count.
    """
    preempted: list[Micros] = []
    evicted: list[Micros] = []
    for event in events:
        if event.about.uid not in own or (event.action == "condition" and "=False" in event.message):
            continue
        if event.reason in _PREEMPTED:
            preempted.append(event.at)
        elif event.reason in _EVICTED or event.reason.startswith("EvictedDueTo"):
            evicted.append(event.at)
    taken = _apart(preempted)
    others = [at for at in evicted if not any(abs(at - one) <= _TOGETHER for one in preempted)]
    return len(taken), len(_apart(others))


def _apart(times: list[Micros]) -> list[Micros]:
    """The first of each group of times that lie close together."""
    found: list[Micros] = []
    last: Micros | None = None
    for at in sorted(times):
        if last is None or at - last > _TOGETHER:
            found.append(at)
        last = at
    return found
