"""Recordings as batches: the frames of a folder in the order of their arrival, read as if a cluster sent them now.

A recording is a folder of JSON lines, ``{"arrived": time, "type": "ADDED", "object": {...}}``, in any number of files;
each file is in the order of arrival. The clock of what is played is ``arrived``.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from pipetrail.kube import keep, wire
from pipetrail.kube.decode import Decoder, tolerant_json
from pipetrail.kube.kinds import CORE, group_of, shape
from pipetrail.model import Batch, Micros, Reject
from pipetrail.model.times import format_time, parse_time
from pipetrail.sources.changes import Changes
from pipetrail.sources.counting import Counts
from pipetrail.sources.events import EventReader
from pipetrail.sources.objects import ObjectReader

POSITION = "recording"
_STEP = 200_000  # µs of recorded time in one batch
_STEP_FRAMES = 500
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
_CORE = {(resource.group, resource.kind): resource for resource in CORE}


class NoRecording(Exception):
    """The folder holds no recording."""


class _Line(msgspec.Struct):
    arrived: str
    type: str
    object: msgspec.Raw
    initial: bool = False


class _Kind(wire.Wire):
    api_version: str = ""
    kind: str = ""


class Step(msgspec.Struct):
    """Some frames in a row: the batches to store in one transaction, and the recorded time after them."""

    batches: list[Batch]
    at: Micros
    frames: int


_line = msgspec.json.Decoder(_Line)
_kind = msgspec.json.Decoder(_Kind)


def resource_key(api_version: str, kind: str) -> str:
    """The key of the resource that serves a kind: ``pods``, ``jobs.batch``; by the usual plural if it is not known."""
    group = group_of(api_version)
    if kind == "Event":
        return "events"
    known = _CORE.get((group, kind))
    if known is not None:
        return known.key
    lower = kind.lower()
    plural = lower + "es" if lower.endswith("s") else lower[:-1] + "ies" if lower.endswith("y") else lower + "s"
    return f"{plural}.{group}" if group else plural


class Recording:
    """Plays one folder into batches of one cluster.

    :param cluster: whose events these are; by design the folder's name.
    :raises NoRecording: when the folder has no file of frames.
    """

    def __init__(self, folder: Path, cluster: str, counts: Counts, objects: dict[str, ObjectReader]) -> None:
        self.folder = folder
        self.cluster = cluster
        self._events = EventReader(cluster, counts)
        self._counts = counts
        self._objects = objects
        self._decoders: dict[tuple[str, str], Decoder] = {}
        self.files = sorted(folder.glob("*.jsonl"))
        if not self.files:
            raise NoRecording(f"{folder}: no *.jsonl file of frames there (see `pipetrail capture --help`)")

    def steps(self, position: str | None) -> Iterator[Step]:
        """Yield what the folder holds behind a position that an earlier play stored."""
        skip, stamp = _parse(position)
        frames, at = 0, 0
        current: dict[str, Batch] = {}
        begun_at: Micros = 0
        taken = 0
        lines = self._lines()
        if skip:
            # Only if it is still the same recording up to there: a frame count and the time of the last one say so.
            last = deque(((number, line[0]) for number, line in enumerate(itertools.islice(lines, skip), 1)), maxlen=1)
            if list(last) != [(skip, stamp)]:
                lines = self._lines()
            else:
                frames, at = skip, stamp
        for arrived, _, data in lines:
            if current and (arrived - begun_at > _STEP or taken >= _STEP_FRAMES):
                yield self._step(current, frames, at)
                current, taken = {}, 0
            if not current:
                begun_at = arrived
            frames, at, taken = frames + 1, max(at, arrived), taken + 1
            self._read(data, at, current)
        if current or frames:
            yield self._step(current, frames, at)

    def _step(self, current: dict[str, Batch], frames: int, at: Micros) -> Step:
        done = Batch(cluster=self.cluster, resource=POSITION, position=f"{frames}@{format_time(at)}", alive_at=at)
        self._counts.turn(at)
        return Step([*current.values(), done], at, frames)

    def _lines(self) -> Iterator[tuple[Micros, int, bytes]]:
        """All lines by arrival; among equal ones, by file and place in it."""
        return heapq.merge(*(self._file(number, path) for number, path in enumerate(self.files)), key=lambda x: x[:2])

    def _file(self, number: int, path: Path) -> Iterator[tuple[Micros, int, bytes]]:
        before: Micros = 0
        with path.open("rb") as file:
            for line in file:
                if not line.strip():
                    continue
                # What can't be read is kept as a reject when its turn comes, with the time of the line before it.
                with suppress(*_UNREADABLE):
                    before = max(before, parse_time(_parsed(line).arrived))
                yield before, number, line

    def _read(self, data: bytes, at: Micros, into: dict[str, Batch]) -> None:
        changes = Changes()
        try:
            line = _parsed(data)
            about = _kind.decode(line.object)
            group = group_of(about.api_version)
            found = self._decoder(group, about.kind).item(line.object)
            resource = resource_key(about.api_version, about.kind)
            reader: EventReader | ObjectReader = (
                self._events
                if isinstance(found, wire.KubeEvent)
                else self._objects.setdefault(resource, ObjectReader(self.cluster))
            )
            reader.take(line.type, found, at, changes)
        except _UNREADABLE as error:
            reject = Reject(
                cluster=self.cluster, resource=POSITION, at=at, reason=str(error)[:256], body=keep.rejected(data)
            )
            self._batch(POSITION, at, into).rejects.append(reject)
            return
        batch = self._batch(resource, at, into)
        batch.events.extend(changes.events)
        batch.objects.extend(changes.objects)

    def _batch(self, resource: str, at: Micros, into: dict[str, Batch]) -> Batch:
        return into.setdefault(resource, Batch(cluster=self.cluster, resource=resource, alive_at=at))

    def _decoder(self, group: str, kind: str) -> Decoder:
        decoder = self._decoders.get((group, kind))
        if decoder is None:
            known = _CORE.get((group, kind))
            wanted: Any = (
                wire.KubeEvent
                if kind == "Event"
                else shape(group, kind, metadata_only=known is not None and known.metadata_only)
            )
            decoder = self._decoders[group, kind] = Decoder(wanted)
        return decoder


def _parsed(data: bytes) -> _Line:
    """The parts of a line; read tolerantly where it is no JSON of the strict kind (a lone surrogate, a raw NUL)."""
    try:
        return _line.decode(data)
    except _UNREADABLE:
        found = tolerant_json(data)
        if isinstance(found, dict) and isinstance(found.get("object"), dict):
            found["object"] = msgspec.Raw(msgspec.json.encode(found["object"]))
        return msgspec.convert(found, _Line)


def _parse(position: str | None) -> tuple[int, Micros]:
    if not position or "@" not in position:
        return 0, 0
    frames, _, at = position.partition("@")
    try:
        return int(frames), parse_time(at)
    except ValueError:
        return 0, 0


def recordings(folders: Iterable[Path]) -> list[Path]:
    """The recordings that some paths name: each folder itself, or the folders of recordings in it.

    :raises NoRecording: when one of them has neither.
    """
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise NoRecording(f"{folder}: no such folder")
        if any(folder.glob("*.jsonl")):
            found.append(folder)
            continue
        inner = sorted({path.parent for path in folder.glob("*/*.jsonl")})
        if not inner:
            raise NoRecording(f"{folder}: no *.jsonl file of frames there, nor in a folder below")
        found += inner
    return found
