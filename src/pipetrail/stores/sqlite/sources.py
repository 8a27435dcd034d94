"""How far each source has come: its position moves in the transaction of what it saw, never before or after."""

from collections.abc import Sequence

import apsw

from pipetrail.model import Batch, Micros
from pipetrail.stores.sqlite.interning import Interned


def keep_source(
    db: apsw.Connection, strings: Interned[str], cluster: str, resource: str, parts: Sequence[Batch]
) -> None:
    """Move a source on by some batches of it, in their order; to be called in their transaction.

    :param strings: gives the numbers of the cluster and of the resource.
    """
    position = state = None
    alive_at: Micros | None = None
    last_event: Micros | None = None
    added = 0
    for part in parts:
        position = part.position if part.position is not None else position
        alive_at = part.alive_at if part.alive_at is not None else alive_at
        state = part.state if part.state is not None else state
        if part.events:
            added += len(part.events)
            last_event = max(last_event or 0, part.events[-1].observed_at)
    key = (strings[cluster], strings[resource])
    db.execute(
        "INSERT INTO sources(cluster, resource, position, alive_at, last_event_at, events) VALUES(?,?,?,?,?,?)"
        " ON CONFLICT DO UPDATE SET position = coalesce(excluded.position, position),"
        " alive_at = coalesce(excluded.alive_at, alive_at),"
        " last_event_at = coalesce(excluded.last_event_at, last_event_at), events = events + excluded.events",
        (*key, position, alive_at, last_event, added),
    )
    if state is not None:
        db.execute(
            "UPDATE sources SET state = ?, reason = ?, missing_rights = ? WHERE cluster = ? AND resource = ?",
            (state.state, state.reason, "\n".join(state.missing_rights), *key),
        )
