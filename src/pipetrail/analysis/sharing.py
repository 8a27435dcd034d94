"""Who was there: the runs on a node, at a claim, or on a shared Ray cluster at the time of an event."""

from collections.abc import Callable, Iterable

import msgspec

from pipetrail.analysis.sight import Sight
from pipetrail.analysis.world import Key, Thing
from pipetrail.model import Event, Link, Micros
from pipetrail.model.times import parse_time

Subjects = Callable[[Thing], tuple[Link, ...]]


def affected_by_node(event: Event, sight: Sight, subjects: Subjects) -> tuple[Link, ...]:
    """The runs whose pods were on the node then. The uid is not looked at: the kubelet writes the name there."""
    pods = (pod for pod in sight.listed(("node", event.about.name)) if pod.ran_at(event.at))
    return _affected(pods, "node-time", subjects)


def affected_by_claim(event: Event, claim: Thing, sight: Sight, subjects: Subjects) -> tuple[Link, ...]:
    """The runs whose pods mounted the claim then, bound to a node or not: a pod waits for its volumes."""
    mounted = sight.listed(("claim", claim.namespace, claim.name))
    pods = (pod for pod in mounted if pod.created <= event.at and not _over(pod, event.at))
    return _affected(pods, "volume", subjects)


def users_of(key: Key, at: Micros, links: tuple[Link, ...], sight: Sight, subjects: Subjects) -> list[Link]:
    """The RayJobs that ran on a cluster which is not their own."""
    own = {(link.system, link.run) for link in links}
    found: list[Link] = []
    for job in sight.listed(key):
        status = job.status or {}
        since, until = _time(status.get("startTime")) or job.created, _time(status.get("endTime")) or job.deleted
        if since <= at and (until is None or at <= until):
            for link in subjects(job):
                if (link.system, link.run) not in own:
                    own.add((link.system, link.run))
                    found.append(msgspec.structs.replace(link, rel="affected", via="related"))
    return found


def _over(pod: Thing, at: Micros) -> bool:
    if pod.deleted is not None and pod.deleted < at:
        return True
    return pod.shell is not None and pod.shell.finished_at is not None and pod.shell.finished_at < at


def _affected(pods: Iterable[Thing], via: str, subjects: Subjects) -> tuple[Link, ...]:
    """One link for each member that was there."""
    found: dict[tuple[object, ...], Link] = {}
    for pod in pods:
        for link in subjects(pod):
            key = (link.system, link.run, link.step, link.attempt, link.run_attempt, link.replica)
            if key not in found:
                confidence = "strong" if link.confidence == "exact" else link.confidence
                found[key] = msgspec.structs.replace(link, rel="affected", via=via, confidence=confidence)
    return tuple(found.values())


def _time(text: object) -> Micros | None:
    if not isinstance(text, str):
        return None
    try:
        return parse_time(text)
    except ValueError:
        return None
