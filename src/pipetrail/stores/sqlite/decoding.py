"""Rows of a segment as events again, a page at a time.

What events share (their objects, their links) is read for all of a page at once: a statement for each of them costs
more than all the rest.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from pipetrail.model import Event, Link, ObjectRef, SourceObject
from pipetrail.stores.sqlite import rows
from pipetrail.stores.sqlite.links import read as read_links
from pipetrail.stores.sqlite.verdicts import verdicts_of

_REFS = 50_000

Row = tuple[Any, ...]

_COLUMNS = ", ".join(f"e.{column}" for column in (*rows.EVENT_COLUMNS.split(", "), "revision"))
_ABOUT, _RELATED, _LINKED = (rows.EVENT_COLUMNS.split(", ").index(name) for name in ("about", "related", "run"))
_VERDICT = rows.ORIGIN_NUMBER["verdict"]
_NO_MARKS: dict[str, str] = {}  # one for all: nobody changes an event
_decode_marks = msgspec.json.Decoder(dict[str, str]).decode


def selecting(segment: int) -> str:
    """The statement that :meth:`Decoder.events` takes the rows of; a condition on ``e`` and ``m`` may follow."""
    return f"SELECT {_COLUMNS}, m.text FROM events_{segment} e JOIN messages_{segment} m ON m.id = e.message"


class _Strings(dict[int, str]):
    """The strings of a journal by their numbers; one that is not known yet is read with all that are new."""

    def __init__(self, db: apsw.Connection) -> None:
        super().__init__()
        self._db = db
        self._known = 0

    def __missing__(self, number: int) -> str:
        fresh: list[Any] = self._db.execute("SELECT id, text FROM strings WHERE id > ?", (self._known,)).fetchall()
        self.update(fresh)
        self._known = max(self, default=0)
        return self.get(number, "")


class Decoder:
    """Makes events of rows. It remembers what they share, of so many objects and links."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self.texts: dict[int, str] = _Strings(db)
        """The strings by their numbers."""
        self._refs: dict[int, dict[int, ObjectRef]] = {}
        self._links: dict[int, dict[int, tuple[Link, ...]]] = {}

    def refs(self, segment: int, numbers: Iterable[int | None]) -> dict[int, ObjectRef]:
        """The object references of a segment, at least those of these numbers."""
        known = _of(self._refs, segment)
        wanted = {number for number in numbers if number is not None}
        if missing := wanted - known.keys():
            text = self.texts
            found: list[Any] = self._db.execute(
                f"SELECT * FROM refs_{segment} WHERE id IN (SELECT value FROM json_each(?))", (rows.listed(missing),)
            ).fetchall()
            for number, _, api_version, kind, namespace, name, uid, path in found:
                known[number] = ObjectRef(
                    api_version=text[api_version],
                    kind=text[kind],
                    namespace=text[namespace],
                    name=name,
                    uid=uid,
                    field_path=text[path],
                )
        return known

    def forget_links(self) -> None:
        """Read links anew from here on: the names of runs in them may have changed."""
        self._links.clear()

    def _links_of(self, segment: int, numbers: Iterable[int | None]) -> dict[int, tuple[Link, ...]]:
        known = _of(self._links, segment)
        wanted = {number for number in numbers if number is not None}
        if missing := wanted - known.keys():
            known |= read_links(self._db, segment, missing)
        return known

    def events(self, segment: int, found: Sequence[Row]) -> list[Event]:
        """The events of some rows of a segment, in the same order."""
        text, types, origins, severities = self.texts, rows.TYPES, rows.ORIGINS, rows.SEVERITIES
        refs = self.refs(segment, [number for row in found for number in (row[_ABOUT], row[_RELATED])])
        links = self._links_of(segment, [row[_LINKED] for row in found])
        told = [row[0] for row in found if row[4] == _VERDICT]
        verdicts = verdicts_of(self._db, told) if told else {}
        unpack_uid, unpack_name = rows.unpack_uid, rows.unpack_name
        events: list[Event] = []
        for row in found:
            (seq, at, observed_at, number, origin, severity, type_, count, cluster, about, reason, _, action, reporter,
             node, related, source_name, source_uid, total, marks, estimated, run, revision, message) = row  # fmt: skip
            ref = refs[about]
            source = None
            if total is not None:
                source = SourceObject(
                    kind=ref.kind if source_name is None else "Event",
                    name=ref.name if source_name is None else unpack_name(source_name, ref.name),
                    uid=unpack_uid(source_uid),
                    total=total,
                )
            event = Event(
                number=number,
                cluster=text[cluster],
                at=at,
                observed_at=observed_at,
                origin=origins[origin],  # type: ignore[arg-type]
                about=ref,
                reason=text[reason],
                message=message,
                action=text[action],
                severity=severities[severity],  # type: ignore[arg-type]
                type=types[type_] if type_ < len(types) else text[type_ - len(types)],
                count=count,
                reporter=text[reporter],
                node=text[node],
                related=None if related is None else refs[related],
                source=source,
                marks=_decode_marks(marks) if marks else _NO_MARKS,
                at_estimated=bool(estimated),
                links=() if run is None else links.get(run, ()),
                seq=seq,
                revision=revision or 1,
            )
            if seq in verdicts:
                event = msgspec.structs.replace(event, **verdicts[seq])
            events.append(event)
        return events


def _of(known: dict[int, dict[int, Any]], segment: int) -> dict[int, Any]:
    """What is known of a segment; where that of all is too much, nothing."""
    if sum(map(len, known.values())) > _REFS:
        known.clear()
    return known.setdefault(segment, {})
