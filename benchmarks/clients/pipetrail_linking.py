"""What linking alone costs: the bench stream is read before, only the linking of its events is timed.

COUNT events are linked to the 5,000 pods and 200 Jobs of the stream, in batches as a recorder gets them. With
``--late`` COUNT events come before COUNT distinct pods, and what is timed is giving them their links afterwards. With
``--objects`` COUNT pods are known, and what is measured is the memory that they take.
"""

import gc
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
from msgspec.structs import replace

from benchmarks import stream
from benchmarks.clients.outcome import report
from pipetrail.analysis.linking import Linker
from pipetrail.app.linking import Linking
from pipetrail.app.recorder import ease_collector
from pipetrail.kube import wire
from pipetrail.kube.decode import Decoder
from pipetrail.model import Batch, Event, ObjectVersion
from pipetrail.sources.changes import Changes
from pipetrail.sources.counting import Counts
from pipetrail.sources.events import EventReader
from pipetrail.sources.objects import ObjectReader

_CLUSTER = "bench"
_BATCH = 100
_HOUR = 3_600_000_000
_TEMPLATES = 2_000
_START = int(stream.START.timestamp() * 1e6)


def events(count: int) -> list[list[Event]]:
    """The events of the stream, in batches."""
    reader = EventReader(_CLUSTER, Counts(_HOUR, _START))
    decoder = Decoder(wire.KubeEvent)
    found: list[list[Event]] = []
    with stream.cached_events(count).open("rb") as file:
        lines = islice(file, count)
        while part := b"".join(islice(lines, _BATCH)):
            into = Changes()
            for frame in decoder.frames(part):
                assert isinstance(frame, wire.Frame)
                reader.take(frame.type, frame.object, _START, into)
            found.append(into.events)
    return found


def objects(pods: int) -> Iterator[ObjectVersion]:
    """The Jobs and so many pods, as they are kept."""
    yield from _kept(ObjectReader(_CLUSTER, "batch/v1", "Job"), msgspec.json.Decoder(wire.Custom), stream.jobs())
    yield from _kept(ObjectReader(_CLUSTER, "v1", "Pod"), msgspec.json.Decoder(wire.Pod), stream.pods(pods))


def pods(count: int) -> Iterator[ObjectVersion]:
    """So many pods, each with a name and a uid of its own, and the Jobs; those of the stream again and again."""
    versions = list(objects(_TEMPLATES))
    yield from (version for version in versions if version.ref.kind == "Job")
    templates = [version for version in versions if version.ref.kind == "Pod"]
    for number in range(count):
        version = templates[number % len(templates)]
        name, uid = f"{version.ref.name[:-5]}{number:05x}", f"{number:08x}{version.ref.uid[8:]}"
        body = version.body.replace(version.ref.name.encode(), name.encode())
        yield replace(
            version,
            ref=replace(version.ref, name=name, uid=uid),
            body=body.replace(version.ref.uid.encode(), uid.encode()),
        )


def _kept(
    reader: ObjectReader,
    decoder: msgspec.json.Decoder[wire.Custom] | msgspec.json.Decoder[wire.Pod],
    bodies: Iterable[bytes],
) -> Iterator[ObjectVersion]:
    for body in bodies:
        into = Changes()
        reader.read(decoder.decode(body), _START, into)
        yield from into.objects


def cost(count: int) -> float:
    """Microseconds of CPU per event."""
    linking = Linking()
    linking.link(Batch(cluster=_CLUSTER, resource="v1/pods", objects=list(objects(stream.PODS))))
    batches = [Batch(cluster=_CLUSTER, resource="v1/events", events=part) for part in events(count)]
    gc.freeze()
    began = time.process_time()
    for batch in batches:
        linking.link(batch)
    return (time.process_time() - began) / sum(len(batch.events) for batch in batches) * 1e6


def late(count: int) -> dict[str, float]:
    """Seconds of CPU to take pods whose events came before them, and then to give these events their links."""
    linker = Linker()
    versions = list(pods(count))
    for number, version in enumerate(versions):
        if version.ref.kind == "Pod":
            event = Event(
                number=number,
                cluster=_CLUSTER,
                at=version.created_at or _START,
                observed_at=_START,
                origin="kubernetes",
                about=version.ref,
                reason="Scheduled",
            )
            linker.take(number, event)
    gc.freeze()
    began = time.process_time()
    for version in versions:
        linker.see(version)
    seen = time.process_time()
    raised = linker.relink()
    assert len(raised) == count
    return {"see_seconds": seen - began, "relink_seconds": time.process_time() - seen}


def memory(count: int) -> float:
    """How many MiB the process grows by when so many pods are known."""
    linking = Linking()
    some = pods(count)
    linking.link(Batch(cluster=_CLUSTER, resource="v1/pods", objects=list(islice(some, stream.RUNS + 100))))
    gc.collect()
    before = _resident()
    for version in some:
        linking.link(Batch(cluster=_CLUSTER, resource="v1/pods", objects=[version]))
    gc.collect()
    return _resident() - before


def _resident() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / (1 << 20)


if __name__ == "__main__":
    ease_collector()
    number = int(sys.argv[1])
    if "--late" in sys.argv:
        report(number, **late(number))
    elif "--objects" in sys.argv:
        report(number, objects_mib=memory(number))
    else:
        report(number, link_us=cost(number))
