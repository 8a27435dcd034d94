"""The nodes of a journal: how the runs fared on each, against expectation, and what happened to the node itself."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.kinship import kin
from pipetrail.analysis.lemons import Standing, standings
from pipetrail.analysis.linking import Linker
from pipetrail.analysis.members import grouped, members_of
from pipetrail.analysis.nodefacts import NodeFacts, node_facts
from pipetrail.analysis.runs import Run, runs
from pipetrail.analysis.states import FINAL, pod_state
from pipetrail.analysis.trials import Attempt, End, Tally, tried
from pipetrail.analysis.world import Thing
from pipetrail.app.runs import linker_of
from pipetrail.catalogue import Catalogue
from pipetrail.catalogue.types import Blame
from pipetrail.model import Event, Micros, Query
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import JournalReader

_WITH_NODE = frozenset({"DeletionByTaintManager", "DeletionByPodGC", "TerminationByKubelet"})
_MOVED = frozenset({"PreemptionByScheduler", "EvictionByEvictionAPI", "DeletionByDeviceTaintManager"})
_USERS = frozenset({"user_code", "configuration"})
_NOBODYS = frozenset({"capacity", "policy", "none"})
_NOTICE = 900 * SECOND  # so long before the loss of a node it may have been announced


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A node: how it stands among the others of its cluster, its pods, and the facts of the node itself."""

    cluster: str
    standing: Standing
    tally: Tally
    facts: NodeFacts


def ranked(
    reader: JournalReader,
    catalogue: Catalogue,
    now: Micros,
    configured: Sequence[dict[str, Any]] = (),
    *,
    clusters: Sequence[str] = (),
    since: Micros | None = None,
) -> list[Ranked]:
    """The nodes that had pods of runs, or that something happened to; the worst first.

    Runs are compared within their cluster; the chances are corrected for the nodes of all of them.

    :param since: only pods that ended since then, and only what happened since then.
    """
    attempts: list[Attempt] = []
    facts: dict[str, NodeFacts] = {}
    for cluster in sorted({state.cluster for state in reader.sources()}):
        if clusters and cluster not in clusters:
            continue
        own = node_facts(reader.events(Query(clusters=(cluster,), kinds=("Node",), since=since)), catalogue)
        facts |= {_key(cluster, name): found for name, found in own.items()}
        attempts += _Attempts(reader, cluster, catalogue, own, since).of(linker_of(reader, cluster, configured), now)
    trials, tallies = tried(attempts)
    found = standings(trials)
    # A node of which all that ran was excused has no trial; one that had no pod may have had trouble all the same.
    others = {*tallies, *(key for key, own in facts.items() if own.counts)} - {each.node for each in found}
    found += [Standing(node=key) for key in sorted(others)]
    return [_ranked(standing, tallies.get(standing.node), facts.get(standing.node)) for standing in found]


def _key(cluster: str, name: str) -> str:
    return f"{cluster}/{name}"


def _ranked(standing: Standing, tally: Tally | None, facts: NodeFacts | None) -> Ranked:
    cluster, _, node = standing.node.rpartition("/")
    tally = tally or Tally(0, 0, 0, {}, ())
    runs = tuple(run[len(cluster) + 1 :] for run in tally.failed_runs)
    return Ranked(
        cluster=cluster,
        standing=msgspec.structs.replace(standing, node=node),
        tally=msgspec.structs.replace(tally, failed_runs=runs),
        facts=facts or NodeFacts(),
    )


class _Attempts:
    """Reads the pods of the runs of a cluster as attempts."""

    def __init__(
        self,
        reader: JournalReader,
        cluster: str,
        catalogue: Catalogue,
        facts: dict[str, NodeFacts],
        since: Micros | None,
    ) -> None:
        self._cluster = cluster
        self._catalogue = catalogue
        self._facts = facts
        self._since = since
        self._ends: dict[str, Event] = {}
        """How each pod that failed did so, by its uid: the whole of it, else its first container."""
        failed = Query(clusters=(cluster,), kinds=("Pod",), origins=("status",), severities=("error",), since=since)
        for event in reader.events(failed):
            if event.action in ("terminated", "exitcode"):
                self._ends.setdefault(event.about.uid, event)
            elif event.action == "status" and event.reason != "Failed":
                # What the kubelet says of the pod as a whole (Evicted, NodeAffinity) is why its containers ended.
                self._ends[event.about.uid] = event
        self._users = _users_runs(reader.events(Query(clusters=(cluster,), origins=("verdict",), since=since)))

    def of(self, linker: Linker, now: Micros) -> Iterator[Attempt]:
        """The attempts of all runs that are over since then."""
        every = runs(linker, now=now)
        things = members_of(linker, every)
        for run in every:
            for number, member in enumerate(grouped(things[run.cluster, run.id])):
                for pod, _ in member.pods:
                    attempt = self._attempt(run, pod, str(number), member.gang)
                    if attempt is not None and (self._since is None or attempt.until >= self._since):
                        yield attempt

    def _attempt(self, run: Run, pod: Thing, member: str, gang: str) -> Attempt | None:
        """A pod; None where it says nothing: it had no node, is not over, or was cancelled or moved."""
        shell, state = pod.shell, pod_state(pod)
        if not pod.node or shell is None or shell.disrupted in _MOVED or state not in FINAL:
            return None
        ended = self._ends.get(pod.uid)
        times = (ended.at if ended is not None else None, shell.finished_at, pod.deleting, pod.deleted)
        until = next((time for time in times if time is not None), None)
        if until is None:
            return None
        end: End = "fine"
        word = ""
        blame = self._blame(run, ended)
        if shell.disrupted in _WITH_NODE or shell.reason == "NodeLost":
            end = "announced" if self._was_announced(pod.node, until) else "user" if blame in _USERS else "lost"
        elif state == "Cancelled" or blame in _NOBODYS:
            return None
        elif state == "Failed" or shell.restarts:
            end = "user" if blame in _USERS else "failed"
            word = ended.reason if ended is not None else shell.reason or f"exit:{shell.exit_code}"
        return Attempt(
            node=_key(run.cluster, pod.node),
            run=_key(run.cluster, run.id),
            pipeline="/".join((run.cluster, *kin(run))),
            member=member,
            gang=gang,
            since=pod.created,
            until=until,
            end=end,
            word=word,
        )

    def _was_announced(self, node: str, until: Micros) -> bool:
        notices = self._facts[node].notices if node in self._facts else ()
        return any(0 <= until - notice <= _NOTICE for notice in notices)

    def _blame(self, run: Run, ended: Event | None) -> Blame:
        """Whose fault it is that a pod ended so, as far as that is known; an exit code alone tells nothing."""
        if run.id in self._users:
            return "user_code"
        if ended is None:
            return "unknown"
        causes = [cause for cause, _ in self._catalogue.sub_causes(ended.reason, ended.message)]
        blames = {cause.blame for cause in causes}
        if causes:
            return causes[0].blame if len(blames) == 1 else "unknown"
        entry = self._catalogue.reason(ended.reason, kind="Pod")
        named = entry is not None and entry.cause and not ended.reason.startswith("exit:")
        return entry.blame if entry is not None and named else "unknown"


def _users_runs(verdicts: Iterable[Event]) -> set[str]:
    """The runs whose last verdict is sure that it was the user's program or configuration."""
    found: dict[str, bool] = {}
    for event in verdicts:
        verdict = event.verdict or {}
        cause = verdict.get("cause")
        blamed = isinstance(cause, dict) and cause.get("blame") in _USERS and verdict.get("confidence") == "high"
        for link in event.links:
            if link.rel == "subject":
                found[link.run] = blamed
    return {run for run, blamed in found.items() if blamed}
