"""What happened to nodes themselves, counted from the events about them.

The same happening is told by several: an Event of the kubelet, one of the node controller, a condition, a taint. So a
fact is counted by each way in which it is told, and the way that tells most of it counts.
"""

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

from pipetrail.catalogue import Catalogue, Cause
from pipetrail.model import Event, Micros

FACTS: dict[str, frozenset[str]] = {
    "not_ready": frozenset({"node_not_ready", "node_lost"}),
    "rebooted": frozenset({"node_rebooted"}),
    "gpu": frozenset(),
    "hardware": frozenset({"disk_fault", "host_hardware", "kernel_fault"}),
    "disk_pressure": frozenset({"node_disk_pressure"}),
    "memory_pressure": frozenset({"node_memory_pressure", "node_oom"}),
    "runtime": frozenset({"kubelet_trouble", "runtime_trouble"}),
    "spot": frozenset({"spot_reclaim"}),
    "drained": frozenset({"host_maintenance", "instance_ended", "node_drained", "node_shutdown", "scaled_down"}),
}
"""The facts that are counted, each with the causes of the catalogue that are one; ``gpu`` is all of that category."""

_XID = re.compile(r"\bXid\b[^:]{0,8}(?:\([^)]{0,64}\))?: ?(\d{1,3})\b", re.IGNORECASE)
_NOTICES = ("spot", "drained")
_PROMISES = {"not_ready": "Ready", "disk_pressure": "DiskPressure", "memory_pressure": "MemoryPressure"}


class NodeFacts(msgspec.Struct, frozen=True):
    """How often each fact of :data:`FACTS` happened to a node; the Xid codes with how often; and when it was to end."""

    counts: dict[str, int] = {}
    xids: dict[str, int] = {}
    notices: tuple[Micros, ...] = ()


def node_facts(events: Iterable[Event], catalogue: Catalogue) -> dict[str, NodeFacts]:
    """The facts of each node by its name, from the events about nodes of one cluster, in order of time."""
    counts: dict[str, dict[str, Counter[tuple[str, ...]]]] = {}
    xids: dict[str, Counter[str]] = {}
    notices: dict[str, list[Micros]] = {}
    booted: set[str] = set()
    for event in events:
        name = event.about.name
        if event.reason == "Booted":
            # The first is only that it was seen for the first time.
            fact = "rebooted" if event.about.uid in booted else ""
            booted.add(event.about.uid)
        else:
            fact, xid = _fact(event, catalogue)
            if xid:
                xids.setdefault(name, Counter())[xid] += event.count
        if fact:
            way = (event.origin, event.action, event.about.field_path, event.reason if fact == "gpu" else "")
            counts.setdefault(name, {}).setdefault(fact, Counter())[way] += event.count
        if fact in _NOTICES:
            notices.setdefault(name, []).append(event.at)
    return {
        name: NodeFacts(
            {fact: _most(fact, found[fact]) for fact in FACTS if fact in found},
            dict(sorted(xids.get(name, Counter()).items())),
            tuple(notices.get(name, ())),
        )
        for name, found in counts.items()
    }


def _most(fact: str, ways: Counter[tuple[str, ...]]) -> int:
    # Each Xid is told once; of anything else the different ways tell the same.
    return ways.total() if fact == "gpu" else max(ways.values())


def _fact(event: Event, catalogue: Catalogue) -> tuple[str, str]:
    """The fact that an event tells, and the Xid that it names."""
    if event.action == "taint" or (event.origin == "status" and event.severity == "info"):
        return "", ""  # a taint is the answer to a condition, and is told for each effect
    found = _XID.search(event.message) or re.fullmatch(r"xid:(\d+)", event.reason)
    if found:
        return "gpu", found[1]
    for cause in _causes(event, catalogue):
        fact = "gpu" if cause.category == "gpu" else next((name for name, ids in FACTS.items() if cause.id in ids), "")
        kind = _PROMISES.get(fact)
        # A kubelet that is silent turns each of its conditions.
        if fact and (event.action != "condition" or kind is None or event.about.field_path.endswith(f"{{{kind}}}")):
            return fact, ""
    return "", ""


def _causes(event: Event, catalogue: Catalogue) -> list[Cause]:
    named = [cause for cause, _ in catalogue.sub_causes(event.reason, event.message)]
    entry = catalogue.reason(event.reason, event.reporter, "Node")
    return [*named, *([catalogue.causes[entry.cause]] if entry is not None and entry.cause else [])]
