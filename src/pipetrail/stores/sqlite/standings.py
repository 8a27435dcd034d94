"""How the runs of a journal stand, and what was found to be wrong with them: few rows, whatever its history."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pipetrail.model import Micros, Standing
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.reading import JournalReader
from pipetrail.stores.sqlite.rows import INT64
from pipetrail.stores.sqlite.turns import COLUMNS, OVER, standing_of

_RUNS = (
    f"SELECT {COLUMNS}, r.state, r.state_at, t.seq, t.body FROM runs r JOIN strings c ON c.id = r.cluster"
    " LEFT JOIN turns t ON t.seq = r.turn"
)

_LOOKED_AT = 500  # runs among which those that succeeded are looked for


def standings(reader: JournalReader, states: Sequence[str] = (), since: Micros | None = None) -> list[Standing]:
    """The runs in some states, or in any, that came into them since then; one whose state nobody told has none."""
    where, bindings = ["r.state IS NOT NULL"], list[Any]()
    if states:
        where.append(f"r.state IN ({','.join('?' * len(states))})")
        bindings += states
    if since is not None:
        where.append("r.state_at >= ?")
        bindings.append(since)
    return _read(reader, f"{_RUNS} WHERE {' AND '.join(where)} ORDER BY r.state_at DESC, r.id", bindings)


def is_told(reader: JournalReader) -> bool:
    """Whether a recorder told how runs stand; one of before could not."""
    with explained(reader.path):
        return bool(reader.db.execute("SELECT EXISTS(SELECT 1 FROM runs WHERE state IS NOT NULL)").get)


def called(reader: JournalReader, word: str) -> list[Standing]:
    """The runs of this id or name; where nobody told it, the state of one is empty."""
    return _read(reader, f"{_RUNS} WHERE r.run = ? OR r.name = ? ORDER BY r.id", (word, word))


def standing(reader: JournalReader, cluster: str, system: str, run: str) -> Standing | None:
    """How a run stands; None where nobody told it."""
    where = "r.state IS NOT NULL AND c.text = ? AND r.system = ? AND r.run = ?"
    return next(iter(_read(reader, f"{_RUNS} WHERE {where}", (cluster, system, run))), None)


def waits(reader: JournalReader) -> dict[tuple[str, str], dict[str, Any]]:
    """Why runs wait, where that was told: the bodies of verdicts by cluster and run."""
    with explained(reader.path):
        found: list[Any] = reader.db.execute(
            "SELECT c.text, r.run, r.waits FROM runs r JOIN strings c ON c.id = r.cluster"
            " WHERE r.waits IS NOT NULL AND r.state = 'Pending'"
        ).fetchall()
    return {(cluster, run): msgspec.json.decode(body) for cluster, run, body in found}


def last_turn(reader: JournalReader) -> int:
    """The ``seq`` of the newest turn; 0 where there is none."""
    with explained(reader.path):
        return int(reader.db.execute("SELECT coalesce(max(seq), 0) FROM turns").get)


def finished(
    reader: JournalReader, cluster: str, namespace: str, pipeline: str, most: int, until: Micros | None = None
) -> list[Standing]:
    """The runs of a pipeline that are over, or were at some time, as far as their turns are left, the newest first."""
    where = "c.text = ? AND r.namespace = ? AND r.pipeline = ? AND r.turn IS NOT NULL AND r.state IN (?, ?, ?)"
    sql = f"{_RUNS} WHERE {where} AND r.state_at <= ? ORDER BY r.turn DESC LIMIT ?"
    until = until if until is not None else INT64
    return _read(reader, sql, (cluster, namespace, pipeline, *OVER, until, most))


def succeeded(
    reader: JournalReader,
    cluster: str,
    system: str,
    namespace: str,
    pipeline: str,
    begins: str,
    until: Micros,
    most: int,
) -> list[Standing]:
    """The runs of a pipeline that succeeded by some time, as far as their turns are left, the newest first.

    :param begins: how their names begin; empty for any.
    """
    # The newest of the pipeline stand side by side in an index; of those without one there may be very many.
    newest = (
        "SELECT n.id FROM runs n WHERE n.cluster = (SELECT id FROM strings WHERE text = ?) AND n.namespace = ?"
        f" AND n.pipeline = ? AND n.turn IS NOT NULL ORDER BY n.turn DESC LIMIT {_LOOKED_AT}"
    )
    where = f"r.id IN ({newest}) AND +r.state = 'Succeeded' AND r.system = ? AND substr(r.name, 1, ?) = ?"
    sql = f"{_RUNS} WHERE {where} AND +r.state_at <= ? ORDER BY r.turn DESC LIMIT ?"
    return _read(reader, sql, (cluster, namespace, pipeline, system, len(begins), begins, until, most))


def untold(reader: JournalReader, cluster: str) -> list[str]:
    """The ids of the runs of a cluster whose state nobody told."""
    with explained(reader.path):
        found = reader.db.execute(
            "SELECT DISTINCT r.run FROM runs r JOIN strings c ON c.id = r.cluster WHERE c.text = ? AND r.state IS NULL",
            (cluster,),
        )
        return [str(run) for (run,) in found]


def _read(reader: JournalReader, sql: str, bindings: Iterable[Any]) -> list[Standing]:
    with explained(reader.path):
        found: list[Any] = reader.db.execute(sql, tuple(bindings)).fetchall()
    return [standing_of(row[:4], *row[4:]) for row in found]
