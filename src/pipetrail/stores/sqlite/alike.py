"""The runs that one cause hit at about one time: what others met when this run failed."""

from typing import Any

import msgspec

from pipetrail.model import Micros, Standing
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.reading import JournalReader
from pipetrail.stores.sqlite.turns import COLUMNS, standing_of

_LOOKED_AT = 500  # runs, those nearest in time: of more, the answer would be late and no other

_BAD = ("Failed", "Stuck", "Zombie", "Pending")

# The states and times of runs stand in an index: which of them are looked at is found without reading any.
_SQL = f"""
SELECT {COLUMNS}, r.state, r.state_at, t.seq, t.body, coalesce(json_extract(r.waits, '$.since'),
  (SELECT json_extract(v.body, '$.since') FROM verdicts v WHERE v.run = r.id ORDER BY v.seq DESC LIMIT 1), r.state_at)
FROM runs r JOIN strings c ON c.id = r.cluster LEFT JOIN turns t ON t.seq = r.turn
WHERE r.id IN (
  SELECT id FROM runs WHERE state IN ({",".join("?" * len(_BAD))}) AND state_at BETWEEN ? AND ?
  ORDER BY abs(state_at - ?) LIMIT {_LOOKED_AT}
) AND c.text = ? AND (json_extract(t.body, '$.reason') = ? OR json_extract(r.waits, '$.cause') = ?)
"""


def alike(
    reader: JournalReader, cluster: str, cause: str, at: Micros, *, since: Micros, until: Micros
) -> list[tuple[Standing, Micros]]:
    """The runs of a cluster that failed or wait for a cause, each with since when.

    :param cause: an id of the catalogue.
    :param at: those whose state is as of about this time are looked at first.
    :param since: when they came into their state, at the earliest; ``until``, at the latest.
    """
    with explained(reader.path):
        found: list[Any] = reader.db.execute(_SQL, (*_BAD, since, until, at, cluster, cause, cause)).fetchall()
    return [(standing_of(row[:4], *row[4:8]), int(row[8])) for row in found]


def verdict_on(reader: JournalReader, cluster: str, run: str) -> dict[str, Any]:
    """The body of the last verdict on a run; empty where there is none."""
    with explained(reader.path):
        found = reader.db.execute(
            "SELECT v.body FROM runs r JOIN strings c ON c.id = r.cluster JOIN verdicts v ON v.run = r.id"
            " WHERE c.text = ? AND r.run = ? ORDER BY v.seq DESC LIMIT 1",
            (cluster, run),
        ).get
    body = msgspec.json.decode(found) if found is not None else {}
    return body if isinstance(body, dict) else {}
