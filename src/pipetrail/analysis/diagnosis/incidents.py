"""What the runs of others tell of this one: what several met at once is something that they share."""

from pipetrail.analysis.diagnosis.exits import KILLED
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.diagnosis.verdict import Aside, Case, Elsewhere
from pipetrail.analysis.kinship import kin_of
from pipetrail.model import Micros
from pipetrail.model.times import SECOND

WITHIN: Micros = 900 * SECOND
"""So near in time are the runs that one trouble of the cluster hits."""

SHARED = frozenset({"control-plane", "gpu", "image", "network", "node", "storage"})
"""The categories of what runs of different owners share. A program or a quota is each one's own."""

_RUNS = 3  # of so many owners, this one with them
_NAMED = 3  # runs that are named


def weigh(primary: Signal, case: Case) -> None:
    """Correct the blame of a cause by what happened to other runs."""
    if primary.cause is None or primary.role != "cause":
        return
    if primary.blame in ("unknown", "configuration") and others(primary, case):
        primary.blame, primary.spread = "infrastructure", True
    elif primary.blame == "unknown" and _again(primary, case):
        primary.blame = "user_code"


def others(primary: Signal, case: Case) -> list[Elsewhere]:
    """The runs of other owners that the same cause hit at about the same time; none where these are too few.

    What is one's own to configure counts where another namespace met it too: within one it may be a single object.
    """
    cause = primary.cause
    if cause is None or primary.category not in SHARED or primary.blame in ("policy", "capacity", "user_code"):
        return []
    first: dict[str, Elsewhere] = {}
    for one in sorted(case.elsewhere, key=lambda one: (abs(one.at - primary.at), one.name, one.run)):
        near = abs(one.at - primary.at) <= WITHIN
        if one.cause == cause.id and near and one.run != case.run.id and one.owner != case.owner:
            first.setdefault(one.owner, one)
    found = list(first.values())
    if len(found) + 1 < _RUNS:
        return []
    alone = all(one.namespace == case.run.namespace for one in found)
    return [] if cause.blame == "configuration" and alone else found


def _again(primary: Signal, case: Case) -> bool:
    """Whether another run of the pipeline ended with the same code on another node: it is the program."""
    if not primary.ended or primary.code in (None, *KILLED) or not primary.node:
        return False
    same = (one for one in case.elsewhere if one.code == primary.code and one.node not in ("", primary.node))
    return any(
        one.run != case.run.id
        and (one.namespace, one.kin) == (case.run.namespace, kin_of(case.run.pipeline, case.run.name))
        for one in same
    )


def told(primary: Signal, case: Case) -> Aside | None:
    """That others met it at the same time."""
    found = others(primary, case)
    if not found:
        return None
    names = ", ".join(one.name for one in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return Aside(
        text=f"{len(found)} runs of others met the same within {WITHIN // (60 * SECOND)} minutes: {names}{more}",
        why="it is something that they share, not this run",
    )
