"""Recordings into a journal, by the same way as a live cluster."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipetrail.app.linking import Linking
from pipetrail.app.restoring import restore_counts, restore_objects
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
        await writer.put(*states, *linking.link(*step.batches))
        played.new_frames += step.frames - played.frames if played.frames else step.frames - _skipped(position)
        played.frames, played.until = step.frames, step.at
        if progress is not None:
            progress(played)
        # Playing at full speed would otherwise hold the loop, and the writer with it, until the end.
        await asyncio.sleep(0)
    await writer.flush()
    return played


def _skipped(position: str | None) -> int:
    return int(position.partition("@")[0]) if position and "@" in position else 0
