"""The journal as delivery reads it: every change in its order, with the run that it belongs to as that stands now."""

from collections.abc import Iterable, Sequence

from pipetrail.model import Delivery, Event, Link, Micros, ObjectRef, Severity, Standing, fingerprint
from pipetrail.sinks.feed import Page
from pipetrail.stores.sqlite import JournalReader
from pipetrail.stores.sqlite.changes import Changes, changes, chosen, first_since
from pipetrail.stores.sqlite.standings import last_turn, standing
from pipetrail.stores.sqlite.turns import OVER, Turn

_MOST = 5_000  # changes of a page: all of it is read in one state of the file, which may not take a second
_KNOWN = 20_000  # runs whose standing is remembered

Run = tuple[str, str, str]

SEVERITIES: dict[str, Severity] = {"Failed": "error", "Stuck": "error", "Zombie": "error", "Preempted": "warning"}
"""How bad it is that a run came into a state; the others are no trouble."""

_SAYS = {
    "Pending": "waits to run",
    "Running": "runs",
    "Succeeded": "succeeded",
    "Failed": "failed",
    "Cancelled": "was cancelled",
    "Preempted": "was preempted",
    "Stuck": "is stuck",
    "Zombie": "says that it runs, but nothing of it is alive",
}


class JournalFeed:
    """A :class:`~pipetrail.sinks.feed.Feed` of a journal, beside its writer or without one.

    :param path: the journal.
    :raises JournalError: when the file can't be read; so does each method.
    """

    def __init__(self, path: str) -> None:
        self._reader = JournalReader(path)
        self._known: dict[Run, Standing | None] = {}
        self._turned = 0  # the last turn that was taken notice of

    def page(self, after: int, most: int) -> Page:
        """The changes behind ``after``, ``most`` at most, or 5,000.

        An event whose links were raised comes once more under the ``seq`` of that, unless it is in the same page.
        """
        found = changes(self._reader, after, max(1, min(most, _MOST)))
        return Page(self._deliveries(found), found.upto, found.pruned)

    def some(self, seqs: Sequence[int]) -> list[Delivery]:
        """Those of these changes that are still there, in order."""
        items: list[Delivery] = []
        wanted = sorted(seqs)
        for start in range(0, len(wanted), _MOST):
            items += self._deliveries(chosen(self._reader, wanted[start : start + _MOST]))
        return items

    def last(self) -> int:
        """The newest ``seq``."""
        return self._reader.last_seq()

    def first_since(self, since: Micros) -> int:
        """A ``seq`` behind which everything is that happened then or later, as far as it was not pruned."""
        return first_since(self._reader, since)

    def close(self) -> None:
        """Release the file."""
        self._reader.close()

    def _deliveries(self, found: Changes) -> list[Delivery]:
        self._refresh()
        standing_of = self._standing
        # Events of one pod share their links: whose they are is found once for a set.
        subjects: dict[int, Standing | None] = {}
        items: list[Delivery] = []
        for seq, event in found.events:
            links = event.links
            if not links:
                items.append(Delivery(seq=seq, event=event))
                continue
            key = id(links)
            if key not in subjects:
                subjects[key] = standing_of(event.cluster, links)
            items.append(Delivery(seq=seq, event=event, run=subjects[key]))
        for turn in found.turns:
            event = turn_event(turn)
            items.append(Delivery(seq=event.seq, event=event, run=standing_of(event.cluster, event.links)))
        if found.turns:
            items.sort(key=lambda item: item.seq)
        return items

    def _refresh(self) -> None:
        """Read anew whatever may have changed since the last page."""
        self._reader.decoder.forget_links()
        turned = last_turn(self._reader)
        if turned != self._turned or len(self._known) > _KNOWN:
            self._known.clear()
            self._turned = turned

    def _standing(self, cluster: str, links: Iterable[Link]) -> Standing | None:
        for link in links:
            if link.rel == "subject":
                key = (cluster, link.system, link.run)
                if key not in self._known:
                    self._known[key] = standing(self._reader, *key)
                return self._known[key]
        return None


def turn_event(turn: Turn) -> Event:
    """A turn as an event about the root of its run. A correction is the same event in a higher revision."""
    run = turn.standing
    about = run.root if run.root.kind else ObjectRef(kind=run.system, namespace=run.namespace, name=run.name or run.run)
    return Event(
        number=fingerprint(run.cluster, "run", run.system, run.run, run.state, str(run.at)),
        cluster=run.cluster,
        at=run.at,
        observed_at=run.at,
        origin="run",
        about=about,
        reason=run.state,
        message=_message(run),
        severity=SEVERITIES.get(run.state, "info"),
        links=(Link(rel="subject", system=run.system, run=run.run, run_name=run.name, via="run"),),
        seq=run.seq,
        revision=turn.revision,
    )


def _message(run: Standing) -> str:
    words = [f"Run {run.name or run.run}"]
    words += [f"of pipeline {run.pipeline}"] if run.pipeline else []
    words.append(_SAYS.get(run.state, f"is {run.state}"))
    over = run.finished if run.state in OVER else None
    if over is not None and run.created is not None and over > run.created:
        words.append(f"after {span(over - run.created)}")
    text = " ".join(words)
    text += f": {run.reason}" if run.reason.lower() not in ("", run.state.lower()) else ""
    queued = run.phases.get("queued", 0)
    return f"{text} (queued {span(queued)})" if queued else text


def span(micros: Micros) -> str:
    """A length of time in its two largest units: ``45s``, ``12m``, ``1h 5m``, ``2d 3h``."""
    seconds = max(0, micros // 1_000_000)
    for unit, size, lesser, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size}{unit} {rest}{lesser}" if rest else f"{seconds // size}{unit}"
    return f"{seconds}s"
