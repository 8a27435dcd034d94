"""What an Event says of objects besides the one that it is about: in its message, as related, in its annotations.

A controller writes "Deleted pod: X" onto itself; the pod is what happened. And a preempted workload names who took its
place, in as many ways as there are schedulers.
"""

import re
from collections.abc import Iterator

import msgspec

from pipetrail.analysis.world import Turn
from pipetrail.model import Event

COMBINED = "(combined from similar events)"
"""How a folded Event begins: its message is that of the last one only."""

CAUSED = frozenset(
    {
        "Preempted",
        "EvictedDueToPreempted",
        "Evict",
        # Those of Kueue's condition Preempted.
        "InClusterQueue",
        "InCohortReclamation",
        "InCohortFairSharing",
        "InCohortReclaimWhileBorrowing",
    }
)
"""Reasons of an event on a victim that may name who acted."""
VICTIM = frozenset({"PreemptedWorkload"})
"""Reasons of an event on who acted, that name the victim."""

PARTIES = CAUSED | VICTIM

ENDINGS = frozenset({"Killing", "NodeNotReady", "Preempted", "TaintManagerEviction"})
"""Reasons of events on an object that is about to go."""

_NAME = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_NAMED = re.compile(
    rf"(?:Created|Deleted) pod: (?P<pod>{_NAME})"
    rf"|Error pod (?P<failed>{_NAME}) container"
    rf"|for pod (?P<of>[a-z0-9-]+)/(?P<matched>{_NAME}) failed"
    rf"|(?:Created|Deleted) (?:head|worker) Pod [a-z0-9-]+/(?P<ray>{_NAME})"
    rf"|Pod: [a-z0-9-]+\.(?P<exited>{_NAME}) exited with code"
    rf"|Worker pod (?P<worker>{_NAME}) failed"
    rf"|(?:Created|Deleted) job:? (?P<job>{_NAME})"
    rf"|Saw completed job: (?P<completed>{_NAME})"
    rf"|Created RayCluster [a-z0-9-]+/(?P<raycluster>{_NAME})"
)
_KINDS = {"job": "Job", "completed": "Job", "raycluster": "RayCluster"}
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BY = re.compile(rf"[Pp]reempted by (?:pod )?([a-z0-9-]+)/({_NAME})")
_MEMBERS = frozenset({"Pod", "Job"})


# Each message that `_NAMED` finds something in holds one of these; to look for them costs a tenth of the search.
_SIGNS = ("pod: ", "r pod ", "Pod ", "Pod: ", " job", "RayCluster ")


class Hint(msgspec.Struct, frozen=True, gc=False):
    """An object that an event names: by uid, or by kind and name."""

    kind: str
    namespace: str
    name: str
    uid: str = ""
    turn: Turn = ""


def names_another(event: Event) -> bool:
    """Whether an event of a controller may name a member; cheap, and never wrong where it says no."""
    if event.related is not None:
        return True
    message = event.message
    return any(sign in message for sign in _SIGNS)


def members(event: Event) -> Iterator[Hint]:
    """The members that an event of a controller names, what the message says first."""
    about = event.about
    if event.message.startswith(COMBINED):
        return
    if names_another(event) and (found := _NAMED.search(event.message)) is not None and found.lastgroup:
        kind = _KINDS.get(found.lastgroup, "Pod")
        turn: Turn = "begins" if found[0].startswith("Created") else "ends"
        yield Hint(kind, found["of"] or about.namespace, found[found.lastgroup], turn=turn)
    related = event.related
    if related is not None and related.kind in _MEMBERS and event.reason not in CAUSED:
        yield Hint(related.kind, related.namespace, related.name, related.uid)


def others(event: Event) -> Iterator[Hint]:
    """The other parties of an event on a preemption, the surest first."""
    related = event.related
    if related is not None and (related.uid or related.name):
        yield Hint(related.kind, related.namespace, related.name, related.uid)
    group = event.marks.get("evictor-pod-group-name")
    if group:
        yield Hint("PodGroup", event.marks.get("evictor-pod-group-namespace") or event.about.namespace, group)
    for uid in _UID.findall(event.message):
        if uid != event.about.uid:
            yield Hint("", "", "", uid)
    if (found := _BY.search(event.message)) is not None:
        yield Hint("Pod", found[1], found[2])
