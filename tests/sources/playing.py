"""Recordings played into a journal without a writer's thread, and what the journal then holds."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipetrail.app.restoring import restore_counts, restore_objects
from pipetrail.kube.keep import redact
from pipetrail.model import Event, ObjectQuery, Query, Reject
from pipetrail.model.times import format_time, parse_time
from pipetrail.sources.objects import ObjectReader
from pipetrail.sources.playback import POSITION, Recording, resource_key
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.stores.sqlite.summary import rejects

TTL = 3_600_000_000
Frame = tuple[str, str, dict[str, Any]]
"""Its file, and the line as JSON."""


class Contents(NamedTuple):
    """What a journal holds, without the order and times of storing."""

    events: dict[str, Event]
    versions: dict[str, list[tuple[bytes, int | None]]]
    rejects: list[Reject]

    def counts(self) -> dict[str, int]:
        """How many occurrences each Kubernetes event adds, by id."""
        return {id_: event.count for id_, event in self.events.items() if event.origin == "kubernetes"}

    def said(self) -> "Counter[tuple[str, str, str, str]]":
        """What the states said, without the times of arrival."""
        found = (event for event in self.events.values() if event.origin == "status")
        return Counter((event.about.uid, event.reason, event.action, event.message) for event in found)

    def last_bodies(self) -> dict[str, bytes]:
        """The last state of each object by its uid."""
        return {uid: [body for body, _ in parts if body][-1] for uid, parts in self.versions.items()}


def play(folder: Path, path: str, cluster: str = "") -> None:
    """Play a folder into a journal, on from where it was played before: what the program does, in one thread."""
    name = cluster or folder.name
    journal = Journal(path, redact=redact)
    try:
        with JournalReader(path) as reader:
            counts = restore_counts(reader, name, TTL, 0, since=0)
            known = restore_objects(reader, name, deleted_since=0)
            positions = {state.resource: state.position for state in reader.sources() if state.cluster == name}
        readers: dict[str, ObjectReader] = {}
        for versions in known.values():
            ref = versions[0][0].ref
            readers.setdefault(resource_key(ref.api_version, ref.kind), ObjectReader(name)).restore(versions)
        for step in Recording(folder, name, counts, readers).steps(positions.get(POSITION)):
            journal.append(step.batches)
    finally:
        journal.close()


def contents(path: str, cluster: str = "") -> Contents:
    """All that a journal holds, or what it holds of one cluster."""
    clusters = (cluster,) if cluster else ()
    with JournalReader(path) as reader:
        found = list(reader.events(Query(clusters=clusters)))
        events = {event.id: event_without_place(event) for event in found}
        assert len(events) == len(found), "two events have one id"
        versions: dict[str, list[tuple[bytes, int | None]]] = {}
        for version in reader.objects(ObjectQuery(clusters=clusters, versions=True)):
            versions.setdefault(version.ref.uid, []).append((version.body, version.deleted_at))
        return Contents(events, versions, list(rejects(reader)))


def event_without_place(event: Event) -> Event:
    """The event without its place in the journal."""
    return msgspec.structs.replace(event, seq=0)


def frames(folder: Path) -> list[Frame]:
    """The lines of a recording in the order of arrival."""
    found = [
        (json.loads(line)["arrived"], number, file.name, json.loads(line))
        for number, file in enumerate(sorted(folder.glob("*.jsonl")))
        for line in file.read_bytes().splitlines()
    ]
    found.sort(key=lambda entry: entry[:2])
    return [(arrived, name, line) for arrived, _, name, line in found]


def write(folder: Path, lines: Sequence[Frame]) -> None:
    """Make a folder hold just these lines."""
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.jsonl"):
        file.unlink()
    by_file: dict[str, list[str]] = {}
    for _, name, line in lines:
        by_file.setdefault(name, []).append(json.dumps(line) + "\n")
    for name, texts in by_file.items():
        (folder / name).write_text("".join(texts), encoding="utf-8")


def delayed(lines: Sequence[Frame], seconds: int) -> Iterator[Frame]:
    """The lines with those of objects so much later."""
    for arrived, name, line in lines:
        if name == "events.jsonl":
            yield arrived, name, line
        else:
            later = format_time(parse_time(arrived) + seconds * 1_000_000)
            yield later, name, line | {"arrived": later}
