"""What the journal keeps of a verdict beside its row as an event."""

from collections.abc import Iterable, Mapping
from typing import Any

import apsw
import msgspec

from pipetrail.model import Event
from pipetrail.stores.sqlite.links import Runs
from pipetrail.stores.sqlite.rows import listed


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


def verdicts_of(db: apsw.Connection, seqs: Iterable[int]) -> dict[int, Mapping[str, Any]]:
    """The fields of an event that only a verdict has, by ``seq``, of those with one of these."""
    found = db.execute(
        "SELECT seq, body, supersedes FROM verdicts WHERE seq IN (SELECT value FROM json_each(?))", (listed(seqs),)
    )
    return {
        int(seq): {"verdict": msgspec.json.decode(str(body)), "supersedes": supersedes}
        for seq, body, supersedes in found
    }
