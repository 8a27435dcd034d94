"""Recordings are read as a cluster would be: each fact once, whatever is repeated, delayed or broken off."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.app.playing import Played, PlayOptions
from pipetrail.app.playing import play as play_all
from pipetrail.model import Query
from pipetrail.sources.counting import Counts
from pipetrail.sources.playback import NoRecording, Recording, resource_key
from pipetrail.sources.playback import recordings as found_in
from pipetrail.stores.sqlite import JournalReader
from pipetrail.testing.strategies import json_values
from tests.sources import playing
from tests.stores import facts


@pytest.fixture
def place() -> Iterator[Path]:
    with facts.folder() as found:
        yield found


async def test_every_recording_plays_whole_and_playing_again_adds_nothing(place: Path, recordings: list[Path]) -> None:
    options = PlayOptions(journal=str(place / "j.db"))
    seen: list[Played] = []
    done = await play_all(recordings, options, progress=seen.append)
    first = playing.contents(options.journal)
    again = await play_all(recordings, options)

    assert [played.cluster for played in done] == [folder.name for folder in recordings]
    assert sum(played.new_frames for played in done) == sum(played.frames for played in done) > 2000
    assert sum(played.new_frames for played in again) == 0
    assert playing.contents(options.journal) == first
    assert first.rejects == []
    assert len(seen) > len(recordings)


def test_what_the_frames_show_is_in_the_journal(place: Path, recordings: list[Path]) -> None:
    """Of each Event the total of its last copy, of each object its last state and its end."""
    for folder in recordings:
        path = str(place / f"{folder.name}.db")
        playing.play(folder, path)
        found = playing.contents(path)
        totals: dict[str, int] = {}
        gone: dict[str, bool] = {}
        for _, _, line in playing.frames(folder):
            item = line["object"]
            uid = item["metadata"]["uid"]
            if item["kind"] == "Event":
                series = item.get("series") or {}
                totals[uid] = max(totals.get(uid, 0), series.get("count") or item.get("count") or 1)
            else:
                gone[uid] = line["type"] == "DELETED"
        stored: dict[str, int] = {}
        for event in found.events.values():
            if event.origin == "kubernetes" and event.source is not None:
                stored[event.source.uid] = stored.get(event.source.uid, 0) + event.count

        assert stored == totals, folder.name
        assert {uid: parts[-1][1] is not None for uid, parts in found.versions.items()} == gone, folder.name
        assert found.rejects == []


def test_each_frame_doubled_adds_nothing(place: Path, recordings: list[Path]) -> None:
    for folder in recordings:
        lines = playing.frames(folder)
        twice = place / "twice" / folder.name
        twice.parent.mkdir(exist_ok=True)
        playing.write(twice, [line for line in lines for _ in range(2)])
        playing.play(folder, str(place / "once.db"))
        playing.play(twice, str(place / "twice.db"))

    assert playing.contents(str(place / "twice.db")) == playing.contents(str(place / "once.db"))


def test_objects_that_come_later_change_nothing_in_the_kubernetes_events(place: Path, recordings: list[Path]) -> None:
    for folder in recordings:
        late = place / "late" / folder.name
        late.parent.mkdir(exist_ok=True)
        playing.write(late, list(playing.delayed(playing.frames(folder), 30)))
        playing.play(folder, str(place / "straight.db"))
        playing.play(late, str(place / "late.db"))
    straight, later = playing.contents(str(place / "straight.db")), playing.contents(str(place / "late.db"))

    assert later.counts() == straight.counts()
    assert later.said() == straight.said()
    assert later.last_bodies() == straight.last_bodies()


def test_a_restart_at_every_tenth_frame_gives_the_same_journal(place: Path, recordings: list[Path]) -> None:
    for folder in recordings:
        lines = playing.frames(folder)
        broken = place / "broken" / folder.name
        broken.parent.mkdir(exist_ok=True)
        path = str(place / f"{folder.name}.db")
        for cut in (*range(10, len(lines), 10), len(lines)):
            playing.write(broken, lines[:cut])
            playing.play(broken, path)
        straight = str(place / "straight.db")
        playing.play(folder, straight)

        assert playing.contents(path) == playing.contents(straight, folder.name), folder.name


def test_a_recording_that_grows_is_read_on_where_it_ended_and_no_frame_is_passed_over(place: Path) -> None:
    folder, path = place / "growing", str(place / "j.db")
    lines = [
        (at, "events.jsonl", {"arrived": at, "type": "ADDED", "object": event(f"e{number}")})
        for number, at in enumerate(f"2026-11-24T03:12:{second:02}.000000Z" for second in range(20))
    ]
    for length in (1, 2, 3, 10, 11, 20):
        playing.write(folder, lines[:length])
        playing.play(folder, path)
        assert len(playing.contents(path).events) == length


def test_a_recording_that_was_replaced_is_read_from_its_beginning(place: Path, recordings: list[Path]) -> None:
    folder = place / "mine"
    path = str(place / "j.db")
    playing.write(folder, playing.frames(recordings[0]))
    playing.play(folder, path)
    playing.write(folder, playing.frames(recordings[1]))
    playing.play(folder, path)
    alone = str(place / "alone.db")
    playing.play(folder, alone)

    both, new = playing.contents(path), playing.contents(alone)
    assert new.events.keys() <= both.events.keys()
    assert new.versions.keys() <= both.versions.keys()


async def test_speed_keeps_the_recorded_pace(place: Path) -> None:
    folder = place / "paced"
    lines = [
        (at, "events.jsonl", {"arrived": at, "type": "ADDED", "object": event(f"e{number}")})
        for number, at in enumerate(f"2026-11-24T03:12:0{second}.000000Z" for second in range(5))
    ]
    playing.write(folder, lines)
    began = time.monotonic()
    await play_all([folder], PlayOptions(journal=str(place / "j.db"), speed=20.0))

    assert time.monotonic() - began > 4 / 20.0


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": name,
            "namespace": "ml",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-11-24T03:12:00Z",
        },
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "ml"},
        "reason": "R",
    } | fields


def line(item: Any, at: str = "2026-11-24T03:12:00Z", type_: str = "ADDED") -> bytes:
    return json.dumps({"arrived": at, "type": type_, "object": item}).encode()


BROKEN = (
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe",
    b'{"arrived":"2026-11-24T03:12:00Z"}',
    b'{"arrived":"2026-11-24T03:12:00Z","type":"ADDED","object":null}',
    b'{"arrived":"2026-11-24T03:12:00Z","type":"ADDED","object":[]}',
    b'{"arrived":"2026-11-24T03:12:00Z","type":"ADDED","object":{"kind":5}}',
    b'{"arrived":"yesterday","type":"ADDED","object":{"kind":"Event"}',
    b'{"arrived":"2026-11-24T03:12:00Z","type":"ADDED","object":{"kind":"Event","count":%s}}' % (b"9" * 5000),
    b'{"arrived":"2026-11-24T03:12:00Z","type":"ADDED","object":' + b"[" * 100_000,
)


def test_lines_that_are_no_frames_are_kept_as_rejects_and_the_rest_is_read(place: Path) -> None:
    folder = place / "broken"
    folder.mkdir()
    good = [line(event(f"e{number}")) for number in range(len(BROKEN) + 1)]
    parts = [part for pair in zip(good, (*BROKEN, b""), strict=True) for part in pair]
    (folder / "events.jsonl").write_bytes(b"\n".join(parts))
    path = str(place / "j.db")
    playing.play(folder, path)
    found = playing.contents(path)

    assert len(found.events) == len(good)
    assert len(found.rejects) == len(BROKEN)
    for reject in found.rejects:
        assert reject.reason
        assert (reject.cluster, reject.resource) == ("broken", "recording")
    playing.play(folder, path)
    assert playing.contents(path) == found


def test_strange_frames_that_parse_are_read(place: Path) -> None:
    folder = place / "strange"
    folder.mkdir()
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u", "labels": {"a": 5}}, "status": [1]}
    items: list[Any] = [
        event("nul", message="a\0b"),
        event("seps", message="a\u0085b\u2028c"),
        event("surrogate", message="\ud800"),
        event("year-1", lastTimestamp="0001-01-01T00:00:00Z"),
        event("year-9999", lastTimestamp="9999-12-31T23:59:59Z"),
        event("huge-count", count=10**25),
        event("count-as-text", count="5"),
        event("large", message="m" * (1 << 20)),
        event("wrong", involvedObject="pod", series=[], source=7),
        pod,
        pod | {"metadata": {"uid": "no-name"}},
        {"apiVersion": "x/y/z", "kind": "Odd", "metadata": {"uid": "odd"}, "status": {"phase": ["x"]}},
    ]
    (folder / "all.jsonl").write_bytes(b"\n".join(map(line, items)))
    path = str(place / "j.db")
    playing.play(folder, path)
    found = playing.contents(path)

    assert found.rejects == []
    messages = {event.source.name: event for event in found.events.values() if event.source}
    assert messages["nul"].message == "a\0b"
    assert messages["seps"].message == "a\u0085b\u2028c"
    assert messages["surrogate"].message == "?"
    assert messages["count-as-text"].count == 5
    assert messages["huge-count"].count > 0
    assert len(messages["large"].message) == 1 << 20
    assert all(event.at > 10**15 for event in found.events.values())
    assert {"u", "no-name", "odd"} <= found.versions.keys()


@given(values=st.lists(json_values, max_size=5), kind=st.sampled_from(["Event", "Pod", "Node", "Job", "X"]))
def test_no_content_of_a_recording_stops_it(values: list[Any], kind: str) -> None:
    with facts.folder() as place:
        folder = place / "any"
        folder.mkdir()
        keys = ("metadata", "spec", "status", "involvedObject", "count", "message")
        objects = [{"apiVersion": "v1", "kind": kind, key: value} for key, value in zip(keys, values, strict=False)] + [
            {"kind": kind, "metadata": {"uid": f"u{number}"}, "spec": v, "status": v} for number, v in enumerate(values)
        ]
        (folder / "any.jsonl").write_bytes(b"\n".join([*map(line, values), *map(line, objects), line(event("last"))]))
        path = str(place / "j.db")
        playing.play(folder, path)
        with JournalReader(path) as reader:
            assert list(reader.events(Query(kinds=("Pod",), reasons=("R",))))


def test_a_folder_without_frames_is_told(place: Path) -> None:
    with pytest.raises(NoRecording, match=r"no \*\.jsonl file of frames there"):
        Recording(place, "c", Counts(1, 0), {})
    with pytest.raises(NoRecording, match=r"nor in a folder below"):
        found_in([place])
    with pytest.raises(NoRecording, match="no such folder"):
        found_in([place / "missing"])


def test_recordings_are_found_in_a_folder_and_below(place: Path) -> None:
    for name in ("b", "a"):
        (place / name).mkdir()
        (place / name / "events.jsonl").touch()
    (place / "empty").mkdir()

    assert found_in([place, place / "a"]) == [place / "a", place / "b", place / "a"]
    shutil.rmtree(place / "a")
    assert found_in([place]) == [place / "b"]


@pytest.mark.parametrize(
    ("api_version", "kind", "key"),
    [
        ("v1", "Pod", "pods"),
        ("v1", "Event", "events"),
        ("events.k8s.io/v1", "Event", "events"),
        ("batch/v1", "Job", "jobs.batch"),
        ("batch.volcano.sh/v1alpha1", "Job", "jobs.batch.volcano.sh"),
        ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies.networking.k8s.io"),
        ("x.org/v1", "Class", "classes.x.org"),
        ("", "", "s"),
    ],
)
def test_a_kind_is_served_under_its_usual_plural(api_version: str, kind: str, key: str) -> None:
    assert resource_key(api_version, kind) == key
