"""The diagnosis of one run: facts, signals, veto, edges, choice, and the verdict that comes of it."""

import msgspec

from pipetrail.analysis.diagnosis.choosing import Choice, Chooser, orphans
from pipetrail.analysis.diagnosis.edges import Graph
from pipetrail.analysis.diagnosis.exits import rewrite
from pipetrail.analysis.diagnosis.facts import facts
from pipetrail.analysis.diagnosis.incidents import weigh
from pipetrail.analysis.diagnosis.last_resort import last_resort
from pipetrail.analysis.diagnosis.lives import lives
from pipetrail.analysis.diagnosis.neighbours import PRESSURE
from pipetrail.analysis.diagnosis.repeats import repeats
from pipetrail.analysis.diagnosis.sides import side_containers
from pipetrail.analysis.diagnosis.signals import Signal, signals
from pipetrail.analysis.diagnosis.telling import Findings, undetermined, verdict
from pipetrail.analysis.diagnosis.verdict import Case, Verdict
from pipetrail.analysis.diagnosis.veto import PATIENCE, veto
from pipetrail.catalogue import Catalogue

_UNEXPLAINED = frozenset({"Failed", "Stuck", "Zombie", "Preempted"})


class Examined(msgspec.Struct, frozen=True):
    """A case whose cause is chosen. Saying what comes of it takes little of the time."""

    found: Findings
    choice: Choice


def diagnose(case: Case, catalogue: Catalogue) -> Verdict | None:
    """The verdict on a run; None where nothing is to be explained: it runs well, or succeeded without any failure.

    :param case: the run with all that may be looked at, see :class:`Case`.
    :param catalogue: what reasons and messages mean.
    """
    return concluded(examined(case, catalogue), case)


def examined(case: Case, catalogue: Catalogue) -> Examined:
    """A case looked through, up to its cause."""
    known = facts(case)
    pods = lives(case, known)
    seen = signals(known, catalogue)
    rewrite(seen, known, pods, catalogue)
    side_containers(seen, known, case, pods, catalogue)
    repeats(seen, known, pods, case.earlier)
    veto(seen, known, pods, catalogue)
    orphans(seen, catalogue)
    claims = {
        thing.uid: frozenset((thing.namespace, claim) for claim in thing.claims)
        for thing in case.objects
        if thing.is_pod
    }
    graph = Graph(seen, catalogue, pods, claims)
    choice = Chooser(case.run.state, seen, graph, pods, known).choose()
    if choice.primary is not None:
        _evicting(choice.primary, graph)
    if choice.primary is None or undetermined(choice.primary) or _held(choice.primary, case):
        resort = last_resort(case, known, pods, seen, catalogue)
        if resort is not None and (choice.primary is None or resort.specificity > choice.primary.specificity):
            choice = Choice(primary=resort, recovered=choice.recovered, episodes=choice.episodes)
    return Examined(Findings(case, known, seen, graph, pods), choice)


def concluded(of: Examined, case: Case) -> Verdict | None:
    """The verdict that the cause of a case comes to.

    :param case: the same case, perhaps with more of what others met and what was changed before.
    """
    choice = of.choice
    if choice.primary is not None:
        weigh(choice.primary, case)
    if (choice.primary is None or undetermined(choice.primary)) and not _asks(choice, case):
        return None
    return verdict(msgspec.structs.replace(of.found, case=case), choice)


def _evicting(primary: Signal, graph: Graph) -> None:
    """A shortage of a node that drove pods of the run out is an eviction to the run."""
    if not PRESSURE.isdisjoint(primary.names) and any(
        one.own and one.category == "eviction" for one in graph.below(primary)
    ):
        primary.category = "eviction"


def _asks(choice: Choice, case: Case) -> bool:
    """Whether it has to be said that the cause is not known: of a run that is well there is nothing to explain."""
    if case.run.state in ("Succeeded", "Running"):
        return choice.primary is not None and (choice.recovered or choice.primary.held_off)
    if case.run.state == "Pending":
        return case.now - (case.run.created if case.run.created is not None else case.now) >= PATIENCE
    return choice.primary is not None or case.run.state in _UNEXPLAINED


def _held(primary: Signal, case: Case) -> bool:
    """Whether all that a signal says is that the run is held back, as a queue does with what waits in it."""
    return primary.specificity <= 2 and primary.category == "scheduling" and case.run.state in ("Pending", "Stuck")
