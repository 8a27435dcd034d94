"""What holds for any stream: chunks, repetition, order of copies, and crashes do not change what is recorded."""

import itertools
import json
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pipetrail.app.restoring import object_reader, restore_counts, restore_objects
from pipetrail.kube import wire
from pipetrail.kube.backoff import Backoff
from pipetrail.kube.decode import Decoder
from pipetrail.kube.kinds import CORE, Resource
from pipetrail.kube.lines import Lines
from pipetrail.kube.watch import Changed, Listed, Signal, Watch
from pipetrail.model import Batch, Event, Micros, ObjectQuery, Query, uid_key
from pipetrail.sources.counting import Counts
from pipetrail.sources.events import EventReader
from pipetrail.sources.live import LiveSource
from pipetrail.sources.objects import ObjectReader
from pipetrail.stores.sqlite import Journal, JournalReader
from tests.watching.recorded import CLUSTER, START, event, pod, stamp

T = TypeVar("T")
TTL: Micros = 3_600_000_000
EVENTS, PODS = (next(kind for kind in CORE if kind.key == key) for key in ("events", "pods"))
NOW: Micros = START + 600_000_000
FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=60)


def done(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise AssertionError("it waited")


# The byte stream

texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('\0\n\r\u0085\u2028\u2029"\\{}'), max_size=40
)
lines = st.builds(
    lambda name, message, raw: (
        json.dumps({"type": "ADDED", "object": event(name, message=message)}, ensure_ascii=not raw).encode() + b"\n"
    ),
    texts,
    texts,
    st.booleans(),
) | st.sampled_from([b"\n", b"nonsense\n", b'{"type":"ADDED","object":5}\n', b"\x00\xff\n"])


@FIXED
@given(st.lists(lines, max_size=8), st.lists(st.integers(0, 4000), max_size=20), st.booleans())
def test_the_chunks_of_a_stream_do_not_change_its_frames(
    parts: list[bytes], cuts: list[int], last_newline: bool
) -> None:
    stream = b"".join(parts)
    stream = stream if last_newline else stream.removesuffix(b"\n")
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    def frames(chunks: Sequence[bytes]) -> list[Any]:
        cutter, decoder = Lines(), Decoder(wire.KubeEvent)
        whole = [cutter.feed(chunk) for chunk in chunks if chunk] + [cutter.rest()]
        return [frame for some in whole if some for frame in decoder.frames(some)]

    expected = [frame for line in stream.split(b"\n") if line for frame in frames([line])]
    assert frames([stream]) == expected
    assert frames([stream[a:b] for a, b in itertools.pairwise(places)]) == expected


# Counts

steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 90)), min_size=1, max_size=12)
actions = st.lists(st.sampled_from(["watch", "again", "older", "relist", "restart", "crash", "commit"]), max_size=40)


@settings(FIXED, max_examples=200)
@given(steps, actions, st.integers(0, 1000))
def test_the_increments_of_an_event_add_up_to_its_count(
    growth: list[tuple[int, int]], order: list[str], seed: int
) -> None:
    """Under any interleaving of frames, copies of any age, lists, restarts, and crashes before a commit."""
    rng = random.Random(seed)
    count, at = 1 + growth[0][0], START
    versions = [(count, at)]
    for more, seconds in growth[1:]:
        count, at = count + more, at + seconds * 1_000_000
        versions.append((count, at))
    key = uid_key("8f14e45f-ceea-467f-ab3c-0123456789ab")
    stored: list[tuple[int, int, int]] = []  # added, total, time
    fresh: list[tuple[int, int, int]] = []
    position = durable = 0
    counts = Counts(TTL, START)

    def take(version: tuple[int, int]) -> None:
        if added := counts.add(key, *version):
            fresh.append((added, *version))

    for action in [*order, "relist", "commit"]:
        match action:
            case "watch" if position < len(versions):
                take(versions[position])
                position += 1
            case "again" if position:
                take(versions[position - 1])
            case "older" if position:
                take(versions[rng.randrange(position)])
            case "relist":
                position = len(versions)
                take(versions[-1])
            case "commit":
                stored += fresh
                fresh, durable = [], position
            case "restart" | "crash":
                if action == "restart":
                    stored, durable = stored + fresh, position
                fresh, position = [], durable
                counts = Counts(TTL, START, [(key, total, seen) for _, total, seen in stored])

    assert sum(added for added, _, _ in stored) == versions[-1][0]
    assert all(added > 0 for added, _, _ in stored)


# Sources


class History:
    """A server whose list is at a fixed version, with the changes after it; stands in for a Watch."""

    def __init__(
        self,
        kind: type[Any],
        listed: list[dict[str, Any]],
        changes: list[tuple[str, dict[str, Any]]],
        final: list[dict[str, Any]],
    ) -> None:
        self._decoder = Decoder(kind)
        self._listed = listed
        self._changes = changes
        self._final = final
        self.alive_at: Micros | None = None

    def signals(self, position: str | None, sizes: Sequence[int]) -> Iterator[Signal]:
        """What a watch yields from a position on, in groups of these sizes."""
        since = self.alive_at
        if position is None:
            pages = list(grouped(self._listed, sizes)) or [[]]
            for number, page in enumerate(pages):
                last = number == len(pages) - 1
                self.alive_at = NOW if last else self.alive_at
                yield Listed(
                    items=[self._decoder.item(json.dumps(item).encode()) for item in page],
                    broken=[],
                    first=number == 0,
                    last=last,
                    version="0",
                    cause="FirstStart" if since is None else "PositionExpired",
                    since=since,
                )
        begin = int(position or 0)
        for group in grouped(self._changes[begin:], sizes):
            begin += len(group)
            data = b"".join(json.dumps({"type": type_, "object": item}).encode() + b"\n" for type_, item in group)
            self.alive_at = NOW
            yield Changed(frames=cast(Any, self._decoder.frames(data)), broken=[], position=str(begin))

    def relisted(self) -> Listed:
        """The list as it is at the end."""
        items = [self._decoder.item(json.dumps(item).encode()) for item in self._final]
        return Listed(items=items, broken=[], first=True, last=True, version="9", cause="PositionExpired", since=NOW)

    sizes: Sequence[int] = (1,)

    async def follow(self, position: str | None, alive_at: Micros | None = None) -> AsyncIterator[Signal]:
        self.alive_at = alive_at
        for signal in self.signals(position, self.sizes):
            yield signal


def grouped(items: Sequence[T], sizes: Sequence[int]) -> Iterator[Sequence[T]]:
    begin = number = 0
    while begin < len(items):
        size = sizes[number % len(sizes)]
        yield items[begin : begin + size]
        begin, number = begin + size, number + 1


def source(resource: Resource, history: History, reader: EventReader | ObjectReader, counts: Counts) -> LiveSource:
    return LiveSource(CLUSTER, resource, cast(Watch, history), reader, now=lambda: NOW, counts=counts)


async def batches(live: LiveSource, position: str | None, alive_at: Micros | None) -> list[Batch]:
    return [batch async for batch in live.batches(position, alive_at)]


NAMES = ("a", "b", "c")
UIDS = {name: f"{number:08d}-1111-4000-8000-000000000000" for number, name in enumerate(NAMES)}


def event_history(bumps: list[tuple[str, int, int]], listed_at: int) -> History:
    """Events that are bumped; what came before ``listed_at`` is seen by its last state only."""
    now: dict[str, dict[str, Any]] = {}
    listed: list[dict[str, Any]] = []
    changes: list[tuple[str, dict[str, Any]]] = []
    for number, (name, more, at) in enumerate(bumps):
        if number == listed_at:
            listed = list(now.values())
        known = now.get(name)
        if more == 0 and known:
            del now[name]
            if number >= listed_at:
                changes.append(("DELETED", known))
            continue
        count = (known["count"] if known else 0) + max(more, 1)
        form = event(name, count, at=number * 10 + at)
        form["metadata"] |= {
            "uid": UIDS[name] if not known else known["metadata"]["uid"],
            "resourceVersion": str(number),
        }
        if not known:  # an Event that was deleted and came again is another one
            form["metadata"]["uid"] = f"{number:08d}-2222-4000-8000-000000000000"
        now[name] = form
        if number >= listed_at:
            changes.append(("MODIFIED" if known else "ADDED", form))
    return History(wire.KubeEvent, listed if listed_at < len(bumps) else [*now.values()], changes, [*now.values()])


def pod_history(steps: list[tuple[str, int, int]], listed_at: int) -> History:
    """Pods that change their phase, restart, and go."""
    now: dict[str, dict[str, Any]] = {}
    listed: list[dict[str, Any]] = []
    changes: list[tuple[str, dict[str, Any]]] = []
    for number, (name, phase, at) in enumerate(steps):
        if number == listed_at:
            listed = list(now.values())
        known = now.get(name)
        if phase == 0 and known:
            del now[name]
            if number >= listed_at:
                changes.append(("DELETED", known))
            continue
        uid = known["metadata"]["uid"] if known else f"{number:08d}-3333-4000-8000-000000000000"
        ended = {"exitCode": at, "reason": "Error", "finishedAt": stamp(at)}
        statuses = [{"name": "main", "restartCount": at % 3, "state": {"terminated": ended} if at % 2 else {}}]
        form = pod(name, ("Pending", "Running", "Failed", "Succeeded")[phase])
        form["metadata"] |= {"uid": uid, "resourceVersion": str(number)}
        form["status"] |= {"containerStatuses": statuses}
        now[name] = form
        if number >= listed_at:
            changes.append(("MODIFIED" if known else "ADDED", form))
    return History(wire.Pod, listed if listed_at < len(steps) else [*now.values()], changes, [*now.values()])


histories = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3), st.integers(0, 9)), max_size=14)
group_sizes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@FIXED
@given(histories, st.integers(0, 8), group_sizes, st.data())
def test_repeated_frames_and_lists_add_nothing(
    story: list[tuple[str, int, int]], listed_at: int, sizes: list[int], data: st.DataObject
) -> None:
    """A frame of an Event may come again at any time, one of an object at once, and the list too: nothing is added."""
    for resource, made in ((EVENTS, event_history), (PODS, pod_history)):
        # A server sends no older state of an object after a newer one; of an Event, clients see copies of any age.
        history, groups = made(story, listed_at), sizes if resource is EVENTS else [1]
        signals = list(history.signals(None, groups))
        repeated: list[Signal] = []
        for number, signal in enumerate(signals):
            repeated.append(signal)
            earlier = [old for old in signals[: number + 1] if isinstance(old, Changed)]
            again: list[Changed] = earlier if resource is EVENTS else earlier[-1:]
            repeated += data.draw(st.lists(st.sampled_from(again), max_size=2)) if again else []
        assert found_by(resource, [*repeated, history.relisted()]) == found_by(resource, signals)


def found_by(resource: Resource, signals: list[Signal]) -> list[Any]:
    """The facts that a new source reads from these signals."""
    counts = Counts(TTL, NOW)
    reader: Any = EventReader(CLUSTER, counts) if resource is EVENTS else ObjectReader(CLUSTER, "v1", "Pod")
    live = source(resource, History(wire.KubeEvent, [], [], []), reader, counts)
    found: list[Any] = []
    for signal in signals:
        batch = done(live._batch(copied(signal)))
        assert batch is not None
        found += [(fact.id, fact.count) for fact in batch.events]
        found += [(version.ref.uid, version.body) for version in batch.objects]
    return found


def copied(signal: Signal) -> Signal:
    """The signal with objects of its own: reading an object cleans it."""
    if isinstance(signal, Changed):
        return msgspec.structs.replace(signal, frames=[fresh(frame) for frame in signal.frames])
    if isinstance(signal, Listed):
        return msgspec.structs.replace(signal, items=[fresh(wire.Frame("", item)).object for item in signal.items])
    return signal


def fresh(frame: wire.Frame[Any]) -> wire.Frame[Any]:
    kind = type(frame.object)
    return wire.Frame(frame.type, msgspec.json.decode(msgspec.json.encode(frame.object), type=kind))


@settings(FIXED, max_examples=12)
@given(histories, st.integers(0, 8), group_sizes, group_sizes, st.lists(st.integers(0, 6), max_size=3))
def test_crashes_between_batches_change_nothing_in_the_journal(
    story: list[tuple[str, int, int]], listed_at: int, sizes: list[int], other_sizes: list[int], crashes: list[int]
) -> None:
    """After any crashes the journal holds the same events, counts and versions as without."""
    for resource, made in ((EVENTS, event_history), (PODS, pod_history)):
        with tempfile.TemporaryDirectory(prefix="pipetrail-") as folder:
            whole = recorded_content(Path(folder) / "whole.db", resource, made(story, listed_at), [], [sizes])
            broken = recorded_content(
                Path(folder) / "broken.db", resource, made(story, listed_at), crashes, [sizes, other_sizes]
            )
        assert broken == whole


def recorded_content(
    path: Path, resource: Resource, history: History, crashes: list[int], sizes: list[list[int]]
) -> tuple[Counter[tuple[str, int]], Counter[tuple[str, bytes]]]:
    """What a journal holds after a recording that crashed after so many batches, again and again, and then ended."""
    for number, lasts in enumerate([*crashes, None]):
        journal = Journal(str(path))
        with JournalReader(str(path)) as reader:
            counts = restore_counts(reader, CLUSTER, TTL, NOW)
            known = restore_objects(reader, CLUSTER, NOW - 2 * TTL)
            stored = {state.resource: state for state in reader.sources()}.get(resource.key)
        reading: EventReader | ObjectReader = (
            EventReader(CLUSTER, counts)
            if resource is EVENTS
            else object_reader(CLUSTER, "", resource.api_version, resource.kind, known)
        )
        history.sizes = sizes[number % len(sizes)]
        live = source(resource, history, reading, counts)
        position, alive_at = (stored.position, stored.alive_at) if stored else (None, None)
        for batch in done(batches(live, position, alive_at))[:lasts]:
            journal.append([batch])
        journal.close()
    with JournalReader(str(path)) as reader:
        events = Counter((found.id, found.count) for found in reader.events(Query()) if found.origin != "gap")
        versions = Counter((item.ref.uid, item.body) for item in reader.objects(ObjectQuery(versions=True)))
    return events, versions


# Waiting


@FIXED
@given(st.integers(0, 1000), st.integers(1, 10_000))
def test_waits_grow_and_stay_within_their_bounds(seed: int, tries: int) -> None:
    backoff = Backoff(0.5, 30.0, random.Random(seed))
    waits = [backoff.next() for _ in range(tries)]

    assert all(0.5 <= wait <= 30.0 for wait in waits)
    assert all(b >= a for a, b in itertools.pairwise(waits[:4]))
    backoff.reset()
    assert backoff.next() <= 1.0


def test_an_id_does_not_depend_on_the_copy() -> None:
    counts = Counts(TTL, NOW)
    read = EventReader(CLUSTER, counts).read
    item = Decoder(wire.KubeEvent).item(json.dumps(event("e", 3, at=5)).encode())
    first = read(item, NOW)
    again: Event | None = EventReader(CLUSTER, Counts(TTL, NOW)).read(item, NOW + 5_000_000)

    assert first is not None
    assert again is not None
    assert first.id == again.id
