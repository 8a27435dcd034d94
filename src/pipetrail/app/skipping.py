"""Events that were pruned before a sink was sent them: a gap in what that sink has, recorded like all others."""

from pipetrail.model import Batch, Event, Gap, Micros, ObjectRef, fingerprint, format_time
from pipetrail.sinks.shared import Skipped
from pipetrail.stores.sqlite.reading import JournalReader
from pipetrail.stores.sqlite.summary import labels, summary

REASON = "pruned-before-delivery"


def skipped_batches(path: str, skipped: Skipped, now: Micros) -> list[Batch]:
    """What records it: for each cluster of the journal a gap, from when to when, and an event.

    The interval is that of the history which was pruned; which of the clusters the events were of went with them.
    """
    with JournalReader(path) as reader:
        clusters = sorted(labels(reader)) or sorted({source.cluster for source in reader.sources()})
        gone = [prune for prune in summary(reader).prunes if _overlaps(prune.first_seq, prune.last_seq, skipped)]
    since = min((prune.since for prune in gone), default=None)
    until = max((prune.until for prune in gone), default=now)
    return [_batch(cluster, skipped, since, until, now) for cluster in clusters]


def _overlaps(first: int | None, last: int | None, skipped: Skipped) -> bool:
    """Whether history of these ``seq`` was skipped; older journals did not note which went."""
    return first is None or last is None or (first <= skipped.upto and last > skipped.after)


def _batch(cluster: str, skipped: Skipped, since: Micros | None, until: Micros, now: Micros) -> Batch:
    resource = f"sinks/{skipped.sink}"
    interval = f" from {format_time(since)} to {format_time(until)}" if since is not None else ""
    event = Event(
        number=fingerprint(cluster, "gap", resource, str(skipped.upto), REASON),
        cluster=cluster,
        at=now,
        observed_at=now,
        origin="gap",
        about=ObjectRef(kind="Sink", name=skipped.sink),
        reason=REASON,
        message=f"{skipped.events:,} events{interval} were pruned before sink {skipped.sink} was sent them",
        action="loss:possible",
        severity="warning",
    )
    gap = Gap(cluster=cluster, resource=resource, since=since, until=until, reason=REASON, loss="possible")
    return Batch(cluster=cluster, resource="", events=[event], gaps=[gap])
