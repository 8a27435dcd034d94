"""What somebody changed since the last good run of a pipeline: beside a cause it is the first thing to look at."""

from pipetrail.analysis.differing import Side, differences, in_words
from pipetrail.analysis.kinship import kin, stem
from pipetrail.analysis.milestones import ways
from pipetrail.analysis.runs import Run
from pipetrail.analysis.runs import runs as runs_of
from pipetrail.analysis.settings import read as body_of
from pipetrail.analysis.tree import tree
from pipetrail.app.diff import between, last_good, roles_of, set_up
from pipetrail.app.reading import Read, RunReader
from pipetrail.app.run import Candidate, Told
from pipetrail.app.runs import holds_more, linker_of
from pipetrail.stores.sqlite.standings import last_turn, succeeded

_LAST = 20  # good runs of a kind: the last of them may have begun later
_OBJECTS = 2_000  # of a journal without turns; to read more takes longer than anybody waits for an answer


def changes(runs: RunReader, read: Read, *, search: bool = True) -> tuple[str, ...]:
    """What is other than in the last good run before, each as ``image ml/train:1.4 to ml/train:1.5``.

    None where no run of the kind had succeeded before, or the journal does not hold it any more.

    :param search: whether all objects are looked at where no recorder told how runs stand.
    """
    good = _good(runs, read, search)
    if good is None:
        return ()
    (before, used), (after, uses) = _set_up(good), _set_up(read)
    changed, _ = between(runs.reader, good.case.run, read.case.run, used & uses)
    return tuple(in_words(differences(before, after), changed))


def _set_up(read: Read) -> tuple[Side, set[tuple[str, str]]]:
    case = read.case
    whole = Told(case.run, tree(case.run, read.things, ways((thing for thing, _ in read.things), case.events)), (), ())
    wanted = {*roles_of(whole), case.run.root}
    bodies = {uid: body_of(body) for uid, body in case.bodies.items() if uid in wanted}
    return set_up(whole, Candidate(case.run, read.things, case.now), bodies, lambda _: {})


def _good(runs: RunReader, read: Read, search: bool) -> Read | None:
    run, now = read.case.run, read.case.now
    find = _told if last_turn(runs.reader) else _among_all if search else None
    id_ = find(runs, run, now) if find is not None else None
    return runs.run(run.cluster, id_) if id_ is not None else None


def _told(runs: RunReader, run: Run, now: int) -> str | None:
    """The id of the last good run, by the turns that a recorder told."""
    begins = "" if run.pipeline else stem(run.name)
    good = succeeded(runs.reader, run.cluster, run.system, run.namespace, run.pipeline, begins, now, _LAST)
    same = (
        one
        for one in good
        if one.run != run.id and (one.created or 0) <= (run.created or 0) and (run.pipeline or stem(one.name) == begins)
    )
    found = max(same, key=lambda one: (one.created or 0, one.seq), default=None)
    return found.run if found is not None else None


def _among_all(runs: RunReader, run: Run, now: int) -> str | None:
    """The same, from the objects of a journal in which nobody told how runs stand."""
    if holds_more(runs.reader, _OBJECTS):
        return None
    linker = linker_of(runs.reader, run.cluster, runs.configured)
    others = [one for one in runs_of(linker, now=now) if kin(one) == kin(run) and one.id != run.id]
    good = last_good(run, others)
    return good.id if good is not None and (good.created or 0) <= (run.created or 0) else None
