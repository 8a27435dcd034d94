"""Printers: events, block by block, as a table, JSON, YAML, CSV or names; and the way to standard output."""

import csv
import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import BinaryIO, Protocol, TypeVar

import msgspec

from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines
from pipetrail.cli.table import Banner, Cell, Column, Row, Table
from pipetrail.cli.words import ShortTimes, clean, container_of, object_words
from pipetrail.documents.events import event_shape
from pipetrail.documents.times import FullTimes
from pipetrail.model import Event, ObjectRef

T = TypeVar("T")
_BLOCK = 256
_BLOCK_SECONDS = 0.2  # what a slow search has found so far is shown this often
_NAMES_KNOWN = 50_000

TIMES = "\N{MULTIPLICATION SIGN}"

MARKS = {"info": Cell(" "), "warning": Cell("!", "yellow", bold=True), "error": Cell("✗", "red", bold=True)}
_COLOURS = {"info": None, "warning": "yellow", "error": "red"}
_FORMULA = ("=", "+", "-", "@")


class Printer(Protocol):
    """Turns events into bytes. Holds no more than a block of them."""

    def start(self) -> bytes:
        """What comes before all events."""
        ...

    def block(self, events: Sequence[Event]) -> bytes:
        """The next events, in order."""
        ...


Newer = Callable[[Event], str | None]
"""Finds the verdict that supersedes one."""


def _none_newer(event: Event) -> str | None:
    return None


class JsonEvents:
    """The stable JSON lines."""

    def __init__(self, newer: Newer = _none_newer) -> None:
        self._newer = newer

    def start(self) -> bytes:
        """Nothing: a stream of lines has no beginning."""
        return b""

    def block(self, events: Sequence[Event]) -> bytes:
        """One object on each line."""
        return json_lines([event_shape(event, self._newer(event)) for event in events])


class YamlEvents:
    """The same fields as YAML, a document for each event."""

    def __init__(self, newer: Newer = _none_newer) -> None:
        self._newer = newer

    def start(self) -> bytes:
        """Nothing."""
        return b""

    def block(self, events: Sequence[Event]) -> bytes:
        """A document for each event."""
        return yaml_documents([event_shape(event, self._newer(event)) for event in events])


class EventNames:
    """The objects that the events are about, each when it is first seen."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def start(self) -> bytes:
        """Nothing."""
        return b""

    def block(self, events: Sequence[Event]) -> bytes:
        """The names that are new; ones long past may come again."""
        lines = []
        for event in events:
            name = clean(object_words(event.about))
            if name not in self._known:
                if len(self._known) >= _NAMES_KNOWN:
                    self._known.clear()
                self._known.add(name)
                lines.append(name + "\n")
        return "".join(lines).encode()


class CsvEvents:
    """Comma separated values, with what a spreadsheet would take for a formula disarmed."""

    TITLES = (
        "seq,id,at,observed_at,cluster,origin,severity,type,count,reason,action,message,api_version,kind,namespace,name,"
        "uid,field_path,reporter,node"
    )

    def __init__(self) -> None:
        self._times = FullTimes()

    def start(self) -> bytes:
        """The titles."""
        return self.TITLES.encode() + b"\r\n"

    def block(self, events: Sequence[Event]) -> bytes:
        """One line for each event."""
        out = io.StringIO()
        writer = csv.writer(out)
        times = self._times
        for event in events:
            about = event.about
            row: list[object] = [event.seq, event.id, times(event.at), times(event.observed_at)]
            row += map(_short_cell, (event.cluster, event.origin, event.severity, event.type or ""))
            row += [event.count, _short_cell(event.reason), _short_cell(event.action), csv_cell(event.message)]
            row += map(_short_cell, (about.api_version, about.kind, about.namespace, about.name, about.uid))
            row += map(_short_cell, (about.field_path, event.reporter, event.node))
            writer.writerow(row)
        return out.getvalue().encode()


@lru_cache(8192)
def _short_cell(text: str) -> str:
    return csv_cell(text)


def csv_cell(text: str) -> str:
    """Foreign text as a cell that no spreadsheet takes for a formula."""
    text = clean(text)
    return "'" + text if text.startswith(_FORMULA) else text


class EventTable:
    """Events for people: one line each, and gaps across all columns.

    :param wide: the whole message, and more columns.
    :param namespace: whether objects are named with their namespace.
    :param clusters: what people call the clusters, by id; None leaves the column out.
    """

    def __init__(
        self, screen: Screen, *, wide: bool = False, namespace: bool = True, clusters: dict[str, str] | None = None
    ) -> None:
        self._wide = wide
        self._namespace = namespace
        self._clusters = clusters
        self._short = ShortTimes(screen.now())
        columns = [Column("TIME"), Column("")]
        columns += [Column("CLUSTER", 15, "end")] if clusters is not None else []
        columns += [Column("ORIGIN"), Column("NODE"), Column("REPORTER")] if wide else []
        columns += [Column("OBJECT", 29, "path"), Column("REASON", 20, "end"), Column("MESSAGE", 100, "end")]
        self._table = Table(columns, 0 if wide else screen.width, screen.colour)

    def start(self) -> bytes:
        """Nothing: the header comes with the first events, when the widths are known."""
        return b""

    def block(self, events: Sequence[Event]) -> bytes:
        """One line for each event, more for a gap."""
        return self._table.lines([self._row(event) for event in events]).encode()

    def _row(self, event: Event) -> Row:
        if event.origin == "gap" and event.reason != "FirstStart":  # every record has a beginning, for each kind
            return self._gap(event)
        colour = _COLOURS[event.severity]
        message = clean(event.message) or clean(event.action)
        container = clean(container_of(event.about)) if event.origin == "status" else ""
        before = f"{TIMES}{event.count} " if event.count > 1 else ""  # where no narrow column cuts it off
        if container:
            before += f"{container}: "
        row: list[Cell | str] = [Cell(self._short(event.at), dim=True), MARKS[event.severity]]
        if self._clusters is not None:
            row.append(clean(self._clusters.get(event.cluster, event.cluster)))
        if self._wide:
            row += [event.origin, clean(event.node), clean(event.reporter)]
        row += [
            clean(object_words(event.about, self._namespace)),
            Cell(clean(event.reason), colour, bold=event.severity == "error"),
            before + message,
        ]
        return row

    def _gap(self, event: Event) -> Row:
        text = clean(self._short.inside(event.message) or event.reason)
        harmless = event.severity == "info"
        where = f"{self._clusters.get(event.cluster, event.cluster)}: " if self._clusters is not None else ""
        return Banner(f"{'gap' if harmless else 'GAP'}: {clean(where)}{text}", "cyan" if harmless else "yellow")


def namespace_of(ref: ObjectRef) -> str:
    """The namespace for a column, or a dash."""
    return clean(ref.namespace) or "-"


def yaml_documents(shapes: Sequence[msgspec.Struct]) -> bytes:
    """Shapes as YAML documents."""
    import yaml

    plain = [msgspec.json.decode(msgspec.json.encode(shape)) for shape in shapes]
    text: str = yaml.dump_all(
        plain, Dumper=yaml.CSafeDumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=120
    )
    return text.encode()


def blocks(items: Iterable[T], size: int = _BLOCK, clock: Callable[[], float] = time.monotonic) -> Iterator[list[T]]:
    """Items in lists of so many; of fewer where more would keep the first ones waiting."""
    block: list[T] = []
    started = clock()
    for item in items:
        block.append(item)
        if len(block) >= size or clock() - started > _BLOCK_SECONDS:
            yield block
            block, started = [], clock()
    if block:
        yield block


def stdout() -> BinaryIO:
    """Standard output for bytes."""
    return sys.stdout.buffer


def print_blocks(items: Iterable[T], encode: Callable[[Sequence[T]], bytes]) -> int:
    """Print items as they come; returns how many there were.

    :raises BrokenPipeError: when nobody reads any more.
    """
    out = stdout()
    count = 0
    for block in blocks(items):
        out.write(encode(block))
        out.flush()
        count += len(block)
    return count
