"""The diagnosis of one run: facts, signals, veto, edges, choice, and the verdict that comes of it."""

from pipetrail.analysis.diagnosis.choosing import Choice, Chooser, orphans
from pipetrail.analysis.diagnosis.edges import Graph
from pipetrail.analysis.diagnosis.exits import rewrite
from pipetrail.analysis.diagnosis.facts import facts
from pipetrail.analysis.diagnosis.last_resort import last_resort
from pipetrail.analysis.diagnosis.lives import lives
from pipetrail.analysis.diagnosis.signals import Signal, signals
from pipetrail.analysis.diagnosis.telling import Findings, undetermined, verdict
from pipetrail.analysis.diagnosis.verdict import Case, Verdict
from pipetrail.analysis.diagnosis.veto import veto
from pipetrail.catalogue import Catalogue

_UNEXPLAINED = frozenset({"Failed", "Stuck", "Zombie", "Preempted"})


def diagnose(case: Case, catalogue: Catalogue) -> Verdict | None:
    """The verdict on a run; None where nothing is to be explained: it runs well, or succeeded without any failure.

    :param case: the run with all that may be looked at, see :class:`Case`.
    :param catalogue: what reasons and messages mean.
    """
    known = facts(case)
    pods = lives(case, known)
    seen = signals(known, catalogue)
    rewrite(seen, known, pods, catalogue)
    veto(seen, known, pods, catalogue)
    orphans(seen, catalogue)
    claims = {
        thing.uid: frozenset((thing.namespace, claim) for claim in thing.claims)
        for thing in case.objects
        if thing.is_pod
    }
    graph = Graph(seen, catalogue, pods, claims)
    choice = Chooser(case.run.state, seen, graph, pods, known).choose()
    if choice.primary is None or undetermined(choice.primary) or _held(choice.primary, case):
        resort = last_resort(case, known, pods, seen, catalogue)
        if resort is not None and (choice.primary is None or resort.specificity > choice.primary.specificity):
            choice = Choice(primary=resort, recovered=choice.recovered, episodes=choice.episodes)
    if choice.primary is None and case.run.state not in _UNEXPLAINED:
        return None
    if (
        choice.primary is not None
        and undetermined(choice.primary)
        and case.run.state in ("Succeeded", "Running", "Pending")
    ):
        return None
    return verdict(Findings(case, known, seen, graph, pods), choice)


def _held(primary: Signal, case: Case) -> bool:
    """Whether all that a signal says is that the run is held back, as a queue does with what waits in it."""
    return primary.specificity <= 2 and primary.category == "scheduling" and case.run.state in ("Pending", "Stuck")
