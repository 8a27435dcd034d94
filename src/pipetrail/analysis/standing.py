"""How a run stands: what its root says of itself, corrected by what its queue, its pods and the clock say."""

from collections.abc import Sequence

import msgspec

from pipetrail.analysis.states import FINAL, State, instant, pod_state, positive, said, state_of, transitions
from pipetrail.analysis.waiting import (
    Parties,
    Reason,
    admitted,
    alive,
    nodes_of,
    own_words,
    reason,
    switched_off,
    works,
)
from pipetrail.analysis.world import Cluster, Thing
from pipetrail.model import Link, Micros
from pipetrail.model.times import SECOND

STUCK = 3600 * SECOND
ZOMBIE = 900 * SECOND
"""More than a Job waits before its next try, which is ten minutes at most, in which it has no pod."""

_ELSEWHERE = frozenset({"airflow", "metaflow"})  # systems that start steps one by one, and keep the run to themselves
_IDLE = frozenset({"serving.kserve.io", "serving.knative.dev"})  # may have no pod while nobody asks them anything
_TIMES = ("startTime", "startedAt", "finishedAt", "lastSubmissionAttemptTime", "lastTransitionTime")


class Limits(msgspec.Struct, frozen=True):
    """When waiting is too long.

    :param now: what times count to; without it nothing is too long.
    :param stuck_after: how long a run may wait without a change. None: for ever.
    :param zombie_after: how long a run may say that it runs without a living pod. None: for ever.
    """

    now: Micros | None = None
    stuck_after: Micros | None = STUCK
    zombie_after: Micros | None = ZOMBIE


def standing(
    cluster: Cluster, id_: str, roots: Sequence[Thing], things: Sequence[tuple[Thing, Link]], limits: Limits
) -> tuple[State, str]:
    """The state of a run and, if it is not simply that, why.

    :param id_: the run's id: where an object that was never seen has it as its uid, that one is the root.
    :param roots: its roots, the eldest first.
    """
    unseen = _unseen(cluster, id_, roots)
    state = _of_roots(roots, things)
    if state in FINAL and not unseen:
        return state, _by_pods(roots, things)
    objects = sorted((thing for thing, _ in things), key=lambda thing: (thing.created, thing.uid))
    parties = Parties(roots, [thing for thing in objects if thing.deleted is None])
    found = reason(parties)
    pods = alive(thing for thing in objects if thing.is_pod)
    if state in FINAL:
        # What was seen of it is over, and the next may be on its way.
        running = any(pod_state(pod) == "Running" for pod in pods)
        state = "Running" if running else "Pending" if pods or found is not None else "Unknown"
    if switched_off(parties):
        return "Cancelled", "deactivated in its queue"
    state = _corrected(state, roots, objects, parties, found)
    why = _why(state, roots, found, unseen)
    waits = state in ("Pending", "Preempted") or (pods and all(pod_state(pod) == "Pending" for pod in pods))
    if waits and state != "Unknown" and _overdue(objects, found, limits):
        return "Stuck", why
    if state == "Running" and not unseen:
        lost = _lost(cluster, roots, objects, limits)
        if lost:
            return "Zombie", lost
    return state, why


def _by_pods(roots: Sequence[Thing], things: Sequence[tuple[Thing, Link]]) -> str:
    """What to add where steps come one by one from outside: that the last one is over does not say that the run is."""
    outside = sorted({link.system for _, link in things} & _ELSEWHERE)
    if not outside or any(root.group == "argoproj.io" for root in roots):
        return ""
    return f"by its pods; only {outside[0]} knows the rest"


def _unseen(cluster: Cluster, id_: str, roots: Sequence[Thing]) -> str:
    """The kind of the root, if only what belongs to it was ever seen."""
    for root in roots:
        for owner in root.owners:
            if owner.uid not in cluster.things and (owner.uid == id_ or (root.is_pod and owner.controller)):
                return owner.kind
    return ""


def _of_roots(roots: Sequence[Thing], things: Sequence[tuple[Thing, Link]]) -> State:
    """The state of the latest root of each name. What is not over decides; then what failed and was not tried again."""
    last = {(root.kind, root.name if not root.is_pod else root.uid): root for root in roots}
    links = {thing.uid: link for thing, link in things}
    states = [(state_of(root), links.get(root.uid)) for root in last.values()]
    words = [state for state, _ in states]
    if "Running" in words:
        return "Running"
    if "Pending" in words:
        return "Pending"
    tries: dict[tuple[str | None, str | None], tuple[int, int]] = {}
    for _, link in states:
        if link is not None:
            place = (link.step, link.replica)
            tries[place] = max(tries.get(place, (0, 0)), _try(link))
    for state, link in states:
        if state == "Failed" and (link is None or _try(link) == tries[link.step, link.replica]):
            return "Failed"
    return words[-1]


def _try(link: Link) -> tuple[int, int]:
    return link.run_attempt or 0, link.attempt or 0


def _corrected(
    state: State, roots: Sequence[Thing], objects: Sequence[Thing], parties: Parties, found: Reason | None
) -> State:
    """What the root can't know: whether its pods run, and whether it was let in."""
    pods = alive(thing for thing in objects if thing.is_pod)
    running = any(pod_state(pod) == "Running" and pod.deleting is None for pod in pods)
    silent = all(said(root) is None for root in roots if not root.is_pod)
    if found is not None and found.preempted and (not running or (state == "Pending" and not silent)):
        return "Preempted"
    if state == "Pending" and silent:
        return "Running" if running or any(_began(thing) for thing in objects if thing not in roots) else state
    if state != "Running" or running or all(root.is_pod for root in roots):
        return state
    if pods:
        if any(pod_state(pod) != "Pending" for pod in pods):
            return state  # those that are being deleted are no sign of life, but no wait either
        # Between two steps a pod takes its time to start; before the first one nothing has begun.
        begun = any(_began(thing) for thing in objects if thing.is_pod)
        return state if begun and (found is None or found.starting) else "Pending"
    # A workflow has several entries in its queue: one that was let in runs.
    return "Pending" if found is not None and not admitted(parties) else state


def _began(thing: Thing) -> bool:
    if thing.is_pod:
        return thing.shell is not None and (thing.shell.started_at is not None or pod_state(thing) != "Pending")
    return (said(thing) or "Pending") in ("Running", *FINAL)


def _why(state: State, roots: Sequence[Thing], found: Reason | None, unseen: str) -> str:
    if unseen:
        return f"its {unseen} was not seen"
    if state == "Unknown":
        return "a word that pipetrail does not know" if any(said(root) == "Unknown" for root in roots) else ""
    if any(root.deleting is not None for root in roots if not root.is_pod):
        return "is being deleted"
    if found is not None:
        return found.text
    return own_words(roots) if state in ("Pending", "Preempted") else ""


def _overdue(objects: Sequence[Thing], found: Reason | None, limits: Limits) -> bool:
    if limits.now is None or limits.stuck_after is None or (found is not None and found.held):
        return False
    return limits.now - max(_changed(thing) for thing in objects) > limits.stuck_after


def _changed(thing: Thing) -> Micros:
    """When an object last became something else. A message that only counts anew what is missing is no change."""
    status = thing.status or {}
    parts = [status, *nodes_of(thing), status.get("state")]
    found = (instant(part.get(key)) for part in parts if isinstance(part, dict) for key in _TIMES)
    times = [thing.created, *transitions(thing), *(time for time in found if time is not None)]
    if len(times) == 1 and status and thing.seen_at is not None:
        times.append(thing.seen_at)
    ends = [thing.deleted]
    if (shell := thing.shell) is not None:
        ends += [shell.bound_at, shell.started_at, shell.finished_at]
    return max([*times, *(time for time in ends if time is not None)])


def _lost(cluster: Cluster, roots: Sequence[Thing], objects: Sequence[Thing], limits: Limits) -> str:
    """Why a run that says that it runs can't get on; empty if it may."""
    now, after = limits.now, limits.zombie_after
    custom = [root for root in roots if not root.is_pod and state_of(root) == "Running"]
    if now is None or after is None or not custom:
        return ""
    if any(root.group in _IDLE or _empty(root) or works(root) for root in custom):
        return ""
    if any(thing.kind == "CustomRun" and state_of(thing) not in FINAL for thing in objects):
        return ""
    last = max(max(thing.seen_at or thing.created, thing.deleted or 0) for thing in objects)
    members = [thing for thing in objects if thing.is_pod]
    for root in custom:
        if root.kind == "RayJob":
            name = (root.status or {}).get("rayClusterName")
            ray = next(cluster.named("RayCluster", root.namespace, name), None) if isinstance(name, str) else None
            if ray is None:
                return ""
            if ray.deleted is not None:
                return "its RayCluster is gone" if now - max(ray.deleted, root.seen_at or 0) > after else ""
            members += [thing for thing in cluster.listed(("child", ray.uid)) if thing.is_pod]
    if not members:
        return ""
    for pod in alive(members):
        node = next(cluster.named("Node", "", pod.node), None) if pod.node else None
        # The deletion of a pod ends when its node says so; a node that is gone says nothing.
        ends = (pod.deleting, node.deleted if node is not None else None)
        gone = [time for time in ends if time is not None]
        if not gone or now - min(gone) <= after:
            return ""
    return "no pod of it is alive" if now - last > after else ""


def _empty(root: Thing) -> bool:
    """Whether it was scaled to nothing, which is no loss."""
    return root.group == "leaderworkerset.x-k8s.io" and not positive((root.status or {}).get("replicas"))
