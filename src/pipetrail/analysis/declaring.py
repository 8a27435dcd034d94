"""Events that say themselves which run they belong to: emitted or declared with ``pipetrail.dev/run``."""

from collections.abc import Callable

import msgspec

from pipetrail.analysis.sight import Sight
from pipetrail.analysis.world import Thing
from pipetrail.marks import RUN, STEP
from pipetrail.model import Event, Link

SYSTEM = "declared"
"""The system of a run that nothing but an Event names: no ML system answers for it."""


def declared(
    event: Event, links: tuple[Link, ...], sight: Sight, subjects: Callable[[Thing], tuple[Link, ...]]
) -> tuple[Link, ...]:
    """The links after what the Event says of itself.

    Where the object belongs to a run, that is the run: it is what the cluster knows, while the mark was copied from
    somewhere; the mark then gives the step. Otherwise the mark names the run: one whose uid or root object's name it
    is, if just one is known in the namespace, else a run that only the mark knows. Both are strong, not exact, because
    the cluster does not vouch for what a program wrote.
    """
    run, step = event.marks.get(RUN, ""), event.marks.get(STEP) or None
    subject = next((link for link in links if link.rel == "subject"), None)
    if subject is not None:
        if step is None:
            return links
        return tuple(msgspec.structs.replace(link, step=step) if link is subject else link for link in links)
    if not run:
        return links
    namespace = event.about.namespace
    found = _known(run, namespace, event, sight, subjects)
    link = found or Link(rel="subject", system=SYSTEM, run=f"{namespace}/{run}" if namespace else run, run_name=run)
    fields = {"via": "mark", "confidence": "strong", "pod_uid": None, "attempt": None, "replica": None}
    return (msgspec.structs.replace(link, step=step, run_attempt=None, **fields), *links)


def _known(
    run: str, namespace: str, event: Event, sight: Sight, subjects: Callable[[Thing], tuple[Link, ...]]
) -> Link | None:
    """The run that an id or a name means, if it means just one."""
    thing = sight.by_uid(run)
    if thing is not None:
        return next((link for link in subjects(thing) if link.rel == "subject"), None)
    found: dict[tuple[str, str], Link] = {}
    for kind in sight.cluster.kinds:
        root = sight.cluster.at(kind, namespace, run, event.at)
        if root is not None and not root.is_pod:
            for link in subjects(root):
                if link.run_name == run or link.run == root.uid:
                    found[link.system, link.run] = link
    return next(iter(found.values())) if len(found) == 1 else None
