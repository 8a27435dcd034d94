"""What a waiting run waits for: its place in a queue, who is ahead and who holds the quota; its gang; a pull."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.analysis.diagnosis.verdict import Case
from pipetrail.analysis.states import true_conditions
from pipetrail.analysis.world import Thing
from pipetrail.model import Micros
from pipetrail.model.times import SECOND

_KUEUE = "kueue.x-k8s.io"
_NAMED = 3  # so many others are named, the rest is counted
_IMAGE = re.compile(r'image "([^"]{1,500})"')
_SIZE = re.compile(r'image "([^"]{1,500})" in ([\d.]{1,12})(ms|s|m).{0,200}?Image size: (\d{1,15}) bytes')
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_ERRORS = (msgspec.DecodeError, ValueError, RecursionError)


def place_in_queue(case: Case) -> str:
    """Where in its Kueue queue a run stands; empty where it stands in none."""
    own = [thing for thing in case.objects if _is_entry(thing) and not _admitted(thing)]
    if not own:
        return ""
    mine = min(own, key=lambda thing: (thing.created, thing.uid))
    queue = _queue(mine)
    others = [thing for thing in case.around if _is_entry(thing) and _queue(thing) == queue]
    waiting = [thing for thing in others if not _admitted(thing)]
    ahead = sorted(
        (thing for thing in waiting if _before(case, thing, mine)), key=lambda thing: (thing.created, thing.uid)
    )
    holding = sorted((thing for thing in others if _admitted(thing)), key=lambda thing: (thing.created, thing.uid))
    text = f"place {len(ahead) + 1} of {len(waiting) + 1} in queue {queue}"
    if ahead:
        text += f", behind {_listed(ahead)}"
    if holding:
        text += f"; admitted before it: {_listed(holding)}"
    return text


def _is_entry(thing: Thing) -> bool:
    return thing.kind == "Workload" and thing.group == _KUEUE and thing.deleted is None and not _over(thing)


def _over(thing: Thing) -> bool:
    return "Finished" in true_conditions(thing.status or {})


def _admitted(thing: Thing) -> bool:
    conditions = true_conditions(thing.status or {})
    return "Admitted" in conditions and "Evicted" not in conditions


def _queue(thing: Thing) -> str:
    name = (thing.spec or {}).get("queueName")
    return f"{thing.namespace}/{name}" if isinstance(name, str) else thing.namespace


def _before(case: Case, other: Thing, mine: Thing) -> bool:
    return (-_priority(case, other), other.created, other.uid) < (-_priority(case, mine), mine.created, mine.uid)


def _priority(case: Case, thing: Thing) -> int:
    body = case.bodies.get(thing.uid)
    try:
        found: Any = msgspec.json.decode(body) if body else None
    except _ERRORS:
        return 0
    spec = found.get("spec") if isinstance(found, dict) else None
    priority = spec.get("priority") if isinstance(spec, dict) else None
    return priority if isinstance(priority, int) else 0


def _listed(things: Sequence[Thing]) -> str:
    names = ", ".join(thing.owners[0].name if thing.owners else thing.name for thing in things[:_NAMED])
    more = len(things) - _NAMED
    return f"{names} and {more} more" if more > 0 else names


def gang(case: Case) -> str:
    """How many pods a group lacks before it may start."""
    for thing in case.objects:
        wanted = (thing.spec or {}).get("minMember") if thing.kind == "PodGroup" else None
        if isinstance(wanted, int):
            placed = sum(1 for pod in case.objects if pod.is_pod and pod.node and pod.deleted is None)
            if placed < wanted:
                return f"the gang of {wanted} is {wanted - placed} short"
    return ""


def pulling(facts: Iterable[Fact], now: Micros) -> tuple[Fact, str] | None:
    """A pull that is under way, with its progress as far as earlier pulls of the image tell."""
    begun: dict[tuple[str, str], Fact] = {}
    sizes: dict[str, tuple[float, int]] = {}
    for fact in facts:
        place = (fact.key, fact.about.field_path)
        if fact.reason == "Pulling":
            begun.setdefault(place, fact)
        elif fact.reason in ("Pulled", "Started", "Failed", "ErrImagePull", "Deleted", "Running"):
            begun.pop(place, None)
            if fact.reason == "Deleted":
                begun = {other: one for other, one in begun.items() if other[0] != fact.key}
            if (found := _SIZE.search(fact.message)) is not None:
                sizes[found[1]] = (float(found[2]) * _UNITS[found[3]], int(found[4]))
    if not begun:
        return None
    fact = min(begun.values(), key=lambda one: (one.at, one.key))
    named = _IMAGE.search(fact.message)
    image = named[1] if named is not None else "its image"
    text = f"pulling {image} for {max(now - fact.at, 0) // SECOND} s"
    if image in sizes:
        seconds, size = sizes[image]
        text += f"; the last pull of it took {seconds:.0f} s for {size / 1e9:.1f} GB"
    return fact, text
