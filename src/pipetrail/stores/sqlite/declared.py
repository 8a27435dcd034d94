"""Facts that their declarer named: an Event that is made again with the same id adds nothing to the first.

Whoever declares Events as code makes one again when the cluster has forgotten it (``pulumi up --refresh`` after the
event's lifetime, days later perhaps). It is another object with another uid, but no second fact.
"""

import apsw
import msgspec

from pipetrail.marks import EVENT_ID
from pipetrail.model import Event
from pipetrail.model.identity import fingerprint


def folded(db: apsw.Connection, event: Event, seq: int) -> Event | None:
    """What an Event with an id of its own adds to the fact of that id: all of it, further occurrences, or nothing.

    :param seq: that the event takes if it is kept.
    """
    # In the namespace of its object: nobody can silence an Event of a namespace into which they may not write.
    key = fingerprint(event.cluster, event.about.namespace, event.marks[EVENT_ID])
    total = event.source.total if event.source is not None else event.count
    known = db.execute("SELECT total FROM declared WHERE key = ?", (key,)).get
    if known is None:
        db.execute("INSERT INTO declared VALUES(?, ?, ?)", (key, total, seq))
        return event
    if total <= known:
        return None
    db.execute("UPDATE declared SET total = ? WHERE key = ?", (total, key))
    return msgspec.structs.replace(event, count=min(event.count, total - known))
