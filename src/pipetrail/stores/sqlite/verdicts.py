"""What the journal keeps of a verdict beside its row as an event, and of how a run stands."""

from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import msgspec

from pipetrail.model import Event, Standing
from pipetrail.stores.sqlite.interning import Interned
from pipetrail.stores.sqlite.links import Runs


def keep_verdict(db: apsw.Connection, runs: Runs, segment: int, seq: int, cluster: int, event: Event) -> bool:
    """Write what only a verdict has; False where the journal has it already.

    After a restart, and from a recording that is played again, the same verdicts come again.

    :param cluster: the number of its cluster.
    """
    link = event.links[0] if event.links else None
    run = runs[cluster, link.system, link.run] if link is not None else None
    body = msgspec.json.encode(event.verdict).decode()
    db.execute(
        "INSERT OR IGNORE INTO verdicts VALUES(?,?,?,?,?,?)", (seq, segment, run, event.number, event.supersedes, body)
    )
    return db.changes() > 0


def keep_standings(db: apsw.Connection, runs: Runs, clusters: Interned[str], found: Sequence[Standing]) -> None:
    """Write how runs stand.

    :param clusters: gives the number of a cluster.
    """
    for one in found:
        number = runs[clusters[one.cluster], one.system, one.run]
        db.execute("UPDATE runs SET state = ?, state_at = ? WHERE id = ?", (one.state, one.at, number))
        if one.name:
            db.execute("UPDATE runs SET name = ? WHERE id = ?", (one.name, number))


def verdict_of(db: apsw.Connection, seq: int) -> Mapping[str, Any]:
    """The fields of an event that only a verdict has, of the one with that ``seq``."""
    for body, supersedes in db.execute("SELECT body, supersedes FROM verdicts WHERE seq = ?", (seq,)):
        return {"verdict": msgspec.json.decode(str(body)), "supersedes": supersedes}
    return {}
