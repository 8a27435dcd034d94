"""Recordings into a journal, by the same way as a live cluster."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipetrail.app.linking import Linking
from pipetrail.app.reading import Patience
from pipetrail.app.restoring import restore_counts, restore_objects
from pipetrail.app.verdicts import SETTLED, Verdicts
from pipetrail.catalogue import Catalogue
from pipetrail.kube.keep import redact
from pipetrail.model import Batch, Micros, SourceState
from pipetrail.sources.objects import ObjectReader
from pipetrail.sources.playback import POSITION, Recording, resource_key
from pipetrail.stores.sqlite import Journal, JournalReader, Retention, Writer

DEFAULT_TTL: Micros = 3_600_000_000


class Played(msgspec.Struct, kw_only=True):
    """What playing one folder came to."""

    folder: str
    cluster: str
    frames: int = 0
    new_frames: int = 0
    until: Micros = 0


class PlayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How recordings are played. ``speed`` is a factor of the recorded time; None: as fast as they can be read."""

    journal: str
    speed: float | None = None
    full_text: bool = True
    event_ttl: Micros = DEFAULT_TTL
    retention: Retention = Retention()
    resolvers: tuple[dict[str, Any], ...] = ()
    catalogue: Catalogue | None = None
    """What verdicts on runs are made with; without it none are made."""
    patience: Patience = Patience()


async def play(
    folders: Sequence[Path],
    options: PlayOptions,
    *,
    cluster: str | None = None,
    progress: Callable[[Played], None] | None = None,
) -> list[Played]:
    """Play each folder as a cluster of its name, one after the other; returns when all of it is stored.

    A folder that was played before goes on where it ended.

    :param cluster: the name of the cluster instead; for one folder.
    :raises JournalError: when the journal can't be used.
    :raises NoRecording: when a folder has no frames.
    """
    gc.freeze()
    writer = Writer(
        lambda: Journal(options.journal, redact=redact, full_text=options.full_text),
        now=lambda: time.time_ns() // 1000,
        bounds=options.retention,
    )
    await writer.start()
    done: list[Played] = []
    try:
        for folder in folders:
            name = cluster or folder.resolve().name
            done.append(await _play_one(folder, name, writer, options, progress))
    finally:
        await writer.stop(seconds=60.0)
    return done


async def _play_one(
    folder: Path, name: str, writer: Writer, options: PlayOptions, progress: Callable[[Played], None] | None
) -> Played:
    await writer.ask(lambda journal: journal.name_cluster(name, name, options.event_ttl))
    with JournalReader(options.journal) as reader:
        counts = restore_counts(reader, name, options.event_ttl, 0, since=0)
        known = restore_objects(reader, name, deleted_since=0)
        stored = {state.resource: state for state in reader.sources() if state.cluster == name}
        linking = Linking(options.resolvers, options.event_ttl)
        linking.restore(reader, name, 0)
    judging = await asyncio.to_thread(_judging, name, writer, options)
    readers: dict[str, ObjectReader] = {}
    for versions in known.values():
        ref = versions[0][0].ref
        readers.setdefault(resource_key(ref.api_version, ref.kind), ObjectReader(name)).restore(versions)
    recording = Recording(folder, name, counts, readers)
    position = stored[POSITION].position if POSITION in stored else None
    played = Played(folder=str(folder), cluster=name)
    before: Micros | None = None
    resources: set[str] = set()
    for step in recording.steps(position):
        if options.speed and before is not None and step.at > before:
            await asyncio.sleep((step.at - before) / 1e6 / options.speed)
        before = step.at
        fresh = {batch.resource for batch in step.batches} - resources
        resources |= fresh
        states = [
            Batch(cluster=name, resource=key, state=SourceState(cluster=name, resource=key, state="played"))
            for key in fresh
        ]
        linked = linking.link(*step.batches)
        await writer.put(*states, *linked)
        if judging is not None:
            await judging.after(linked, step.at)
        played.new_frames += step.frames - played.frames if played.frames else step.frames - _skipped(position)
        played.frames, played.until = step.frames, step.at
        if progress is not None:
            progress(played)
        # Playing at full speed would otherwise hold the loop, and the writer with it, until the end.
        await asyncio.sleep(0)
    await writer.flush()
    if judging is not None and played.until:
        await judging.finish(played.until)
    return played


class _Judging:
    """Makes verdicts by the clock of a recording: whenever something went wrong, and at its end."""

    def __init__(self, verdicts: Verdicts, reader: JournalReader, writer: Writer) -> None:
        self._verdicts = verdicts
        self._reader = reader
        self._writer = writer
        self._due_at: Micros | None = None

    async def after(self, batches: Sequence[Batch], at: Micros) -> None:
        """Take notice of what was put; what went wrong half a second ago is judged."""
        if self._due_at is not None and at >= self._due_at:
            await self._judge(self._due_at)
        self._verdicts.note(batches, at)
        if self._due_at is None and any(_wrong(batch) for batch in batches):
            self._due_at = at + SETTLED

    async def finish(self, at: Micros) -> None:
        """Judge what is left at the end of the recording."""
        await self._judge(at + SETTLED)
        self._reader.close()

    async def _judge(self, at: Micros) -> None:
        self._due_at = None
        await self._writer.flush()
        while due := self._verdicts.due(at):
            for batch in self._verdicts.settle(self._verdicts.judge(self._reader, due, at)):
                await self._writer.put(batch)
        await self._writer.flush()


def _wrong(batch: Batch) -> bool:
    return bool(batch.objects) and any(event.severity != "info" for event in batch.events)


def _judging(name: str, writer: Writer, options: PlayOptions) -> _Judging | None:
    if options.catalogue is None:
        return None
    reader = JournalReader(options.journal)
    verdicts = Verdicts(name, options.catalogue, options.resolvers, options.patience, clock=time.monotonic)
    verdicts.restore(reader, 0)
    return _Judging(verdicts, reader, writer)


def _skipped(position: str | None) -> int:
    return int(position.partition("@")[0]) if position and "@" in position else 0
