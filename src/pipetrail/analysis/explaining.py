"""Why an event has its links: the rule that made them, what was looked at on the way, and what was tried in vain."""

import msgspec

from pipetrail.analysis.resolving import Answer
from pipetrail.model import Event, Link


class Explanation(msgspec.Struct, frozen=True):
    """The answer of ``explain``: ``rule`` is how the first link was made, empty without one."""

    event: str
    links: tuple[Link, ...]
    rule: str
    tried: tuple[str, ...]
    way: tuple[str, ...] = ()
    """The objects from the one that the event is about upwards, and how each was reached."""
    identities: tuple[str, ...] = ()
    """All identities that were found, also those that only say what the run is made of."""


def explanation(event: Event, links: tuple[Link, ...], tried: list[str], answer: Answer | None) -> Explanation:
    """Put the parts of an answer into words."""
    way: list[str] = []
    identities: list[str] = []
    if answer is not None:
        for entry in answer.met:
            thing = entry.thing
            where = f"{thing.kind} {thing.namespace}/{thing.name}".replace(" /", " ")
            unseen = "" if thing.seen_at is not None else ", not in the store"
            way.append(f"{entry.via}: {where} ({entry.confidence}{unseen})")
        chosen = {(link.system, link.run) for link in links}
        for found in answer.identities:
            identity = found.identity
            part = "the run" if (identity.system, identity.id) in chosen else "an alias"
            named = f"{identity.system} {identity.id} by {identity.via} ({identity.confidence})"
            identities.append(f"tier {found.tier}, from {answer.met[found.at].thing.kind}: {named}: {part}")
    rule = links[0].via if links else ""
    return Explanation(event.id, links, rule, tuple(tried), tuple(way), tuple(identities))
