"""Events as Parquet: the fields of the JSON output, typed, in row groups that are written as they fill."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipetrail.cli.render import blocks
from pipetrail.model import Event, Link, ObjectRef, SourceObject

ROW_GROUP = 50_000

_TIME = pa.timestamp("us", tz="UTC")
_REF = pa.struct([(name, pa.string()) for name in ("apiVersion", "kind", "namespace", "name", "uid", "fieldPath")])
_SOURCE = pa.struct([("kind", pa.string()), ("name", pa.string()), ("uid", pa.string()), ("total", pa.int64())])
_LINK = pa.struct(
    [
        ("rel", pa.string()),
        ("system", pa.string()),
        ("run", pa.string()),
        ("run_name", pa.string()),
        ("step", pa.string()),
        ("attempt", pa.int64()),
        ("run_attempt", pa.int64()),
        ("replica", pa.string()),
        ("pod_uid", pa.string()),
        ("confidence", pa.string()),
        ("via", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("id", pa.string()),
        ("revision", pa.int32()),
        ("at", _TIME),
        ("observed_at", _TIME),
        ("cluster", pa.string()),
        ("origin", pa.string()),
        ("reason", pa.string()),
        ("action", pa.string()),
        ("message", pa.string()),
        ("severity", pa.string()),
        ("type", pa.string()),
        ("count", pa.int64()),
        ("about", _REF),
        ("reporter", pa.string()),
        ("node", pa.string()),
        ("related", _REF),
        ("source", _SOURCE),
        ("links", pa.list_(_LINK)),
        ("verdict", pa.string()),  # JSON
        ("supersedes", pa.string()),
        ("at_estimated", pa.bool_()),
        ("marks", pa.map_(pa.string(), pa.string())),
    ]
)
"""The columns; ``verdict`` is JSON text, for its shape may grow."""

_PLAIN = frozenset(SCHEMA.names) - {"about", "related", "source", "links", "verdict", "marks"}


def write_parquet(events: Iterator[Event], out: BinaryIO, row_group: int = ROW_GROUP) -> int:
    """Write events to a file; returns how many there were. No more than a row group is held."""
    count = 0
    with pq.ParquetWriter(out, SCHEMA, compression="zstd") as writer:
        for group in _groups(events, row_group):
            writer.write_batch(_batch(group), row_group_size=row_group)
            count += len(group)
    return count


def _groups(events: Iterator[Event], size: int) -> Iterator[list[Event]]:
    """Full lists: unlike lines on a screen, nobody waits for the first row of a group."""
    return blocks(events, size, clock=lambda: 0.0)


def _batch(events: Sequence[Event]) -> Any:
    columns = []
    for field in SCHEMA:
        name = field.name
        values: list[Any]
        if name in _PLAIN:
            values = [getattr(event, name) for event in events]
        elif name in ("about", "related"):
            values = [_ref(getattr(event, name)) for event in events]
        elif name == "source":
            values = [_source(event.source) for event in events]
        elif name == "links":
            values = [[_link(link) for link in event.links] for event in events]
        elif name == "verdict":
            values = [
                None if event.verdict is None else msgspec.json.encode(event.verdict).decode() for event in events
            ]
        else:
            values = [list(event.marks.items()) for event in events]
        columns.append(pa.array(values, type=field.type))
    return pa.record_batch(columns, schema=SCHEMA)


def _ref(ref: ObjectRef | None) -> tuple[str, ...] | None:
    if ref is None:
        return None
    return (ref.api_version, ref.kind, ref.namespace, ref.name, ref.uid, ref.field_path)


def _source(source: SourceObject | None) -> tuple[Any, ...] | None:
    return None if source is None else (source.kind, source.name, source.uid, source.total)


def _link(link: Link) -> dict[str, Any]:
    return msgspec.structs.asdict(link)
