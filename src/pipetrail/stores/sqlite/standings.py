"""How the runs of a journal stand, and what was found to be wrong with them: few rows, whatever its history."""

from collections.abc import Iterable, Sequence
from typing import Any

from pipetrail.model import Micros, Standing
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.reading import JournalReader

_RUNS = "SELECT c.text, r.system, r.run, r.name, r.state, r.state_at FROM runs r JOIN strings c ON c.id = r.cluster"


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
    return [
        Standing(cluster=cluster, system=system, run=run, name=name, state=state or "", at=at or 0)
        for cluster, system, run, name, state, at in found
    ]
