"""When a source was blind, and whether anything can have been lost by it."""

from collections.abc import Collection

from pipetrail.model import Event, Gap, Micros, ObjectRef, fingerprint, format_time
from pipetrail.model.times import SECOND

SHORTEST = 5 * SECOND  # a shorter break is a resync: counted, not recorded

REASONS = {
    "FirstStart": "nothing was recorded before",
    "PositionExpired": "the position expired (410)",
    "PositionStale": "the server ended each watch at once, so the position was taken as stale",
    "PositionLost": "no position was kept",
    "ServerWentBack": "the server went back, as after a restore from a backup",
    "ListTorn": "the list expired under way",
}
"""Why continuity can break, by the reason of the gap event."""


def gap_of(
    cluster: str,
    resource: str,
    cause: str,
    since: Micros | None,
    until: Micros,
    *,
    ttl: Micros | None,
    whole: bool = True,
    deleted_namespaces: Collection[str] | None = (),
) -> Gap | None:
    """The gap that a new list closes, or None for one that is too short to record.

    :param since: when the source was last complete; None: never.
    :param ttl: for Events, how long the cluster keeps them: a shorter gap is covered by the list. None for objects,
        whose states and deletions in between are not in any list.
    :param whole: whether the list itself was consistent.
    :param deleted_namespaces: namespaces that went meanwhile, and took their Events with them;
        None where that can't be known.
    """
    if since is not None and until - since <= SHORTEST and whole:
        return None
    kept = deleted_namespaces is not None and not deleted_namespaces
    covered = ttl is not None and since is not None and until - since < ttl and whole and kept
    return Gap(
        cluster=cluster,
        resource=resource,
        since=since,
        until=until,
        reason=cause if whole else "ListTorn",
        loss="none" if covered else "possible",
    )


def gap_event(gap: Gap, kind: str, namespace: str = "") -> Event:
    """The event that puts a gap on the timeline, at its end."""
    if gap.since is None:
        message = f"the record of {gap.resource} begins here; what was before is not known"
    else:
        loss = "nothing was lost" if gap.loss == "none" else "changes may be missing"
        message = (
            f"blind to {gap.resource} from {format_time(gap.since)} to {format_time(gap.until)}: "
            f"{REASONS.get(gap.reason, gap.reason)}; {loss}"
        )
    return Event(
        number=fingerprint(gap.cluster, "gap", gap.resource, str(gap.since), gap.reason),
        cluster=gap.cluster,
        at=gap.until,
        observed_at=gap.until,
        origin="gap",
        about=ObjectRef(kind=kind, namespace=namespace),
        reason=gap.reason,
        message=message,
        action=f"loss:{gap.loss}",
        severity="info" if gap.loss == "none" or gap.since is None else "warning",
    )
