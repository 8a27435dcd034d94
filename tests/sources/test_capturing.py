"""What is captured is a recording like any other: playing it gives what playing the original gave."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipetrail.app.capturing import Capturing
from pipetrail.kube import wire
from pipetrail.kube.decode import Decoder
from pipetrail.kube.kinds import CORE, EVENTS, RUN_KINDS, Resource
from pipetrail.kube.login import FixedLogin
from pipetrail.kube.watch import Blind, Changed, Listed, Sighted
from pipetrail.model.times import SECOND, parse_time
from pipetrail.sources.capture import Capture, file_name
from pipetrail.sources.playback import resource_key
from pipetrail.testing.apiserver import AddCrd, Case, ScriptedServer, serve
from pipetrail.testing.strategies import START
from tests.sources import playing
from tests.stores import facts

PODS = next(resource for resource in CORE if resource.key == "pods")


@pytest.fixture
def place() -> Iterator[Path]:
    with facts.folder() as found:
        yield found


# The whole way, through a scripted API server


class Clock:
    """The time of the recording that is being sent."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@contextlib.asynccontextmanager
async def capturing(server: ScriptedServer, folder: Path, clock: Clock) -> AsyncIterator[Capturing]:
    found = Capturing(FixedLogin(server.url), folder, now=clock)
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def crds(lines: list[playing.Frame]) -> list[AddCrd]:
    """The kinds of a recording that a cluster has by a CustomResourceDefinition, and that are recorded."""
    found = {(line["object"]["apiVersion"], line["object"]["kind"]) for _, _, line in lines}
    kinds = []
    for api_version, kind in sorted(found):
        group, _, version = api_version.rpartition("/")
        if kind in RUN_KINDS.get(group, ()):
            plural = resource_key(api_version, kind).partition(".")[0]
            cluster_wide = kind in ("ClusterQueue", "Queue")
            kinds.append(AddCrd(group, version, kind, plural, not cluster_wide))
    return kinds


async def send(server: ScriptedServer, capture: Capture, clock: Clock, frame: playing.Frame) -> None:
    """Make the server send a frame, and wait until it is captured."""
    arrived, _, line = frame
    item, key = line["object"], resource_key(line["object"]["apiVersion"], line["object"]["kind"])
    clock.now = parse_time(arrived)
    expected = capture.frames + 1
    server.put(key, item)
    if line["type"] == "DELETED":
        server.delete(key, item["metadata"].get("namespace", ""), item["metadata"]["name"])
        expected += 1
    for _ in range(200):
        if capture.frames >= expected:
            break
        await asyncio.sleep(0.01)
    assert capture.frames == expected, frame


def recorded(line: dict[str, Any]) -> bool:
    """Whether the kind of a frame is one that a recorder watches."""
    api_version, kind = line["object"]["apiVersion"], line["object"]["kind"]
    group = api_version.rpartition("/")[0]
    return kind in RUN_KINDS.get(group, ()) or any((known.group, known.kind) == (group, kind) for known in CORE)


@pytest.mark.looptime
async def test_playing_a_capture_of_a_recording_gives_what_the_recording_gave(
    place: Path, recordings: list[Path]
) -> None:
    for folder in recordings:
        lines = [frame for frame in playing.frames(folder) if recorded(frame[2])]
        original, captured = place / "original" / folder.name, place / "captured" / folder.name
        original.mkdir(parents=True)
        playing.write(original, lines)
        clock = Clock()
        async with (
            serve(Case(name=folder.name, custom=crds(lines))) as server,
            capturing(server, captured, clock) as run,
        ):
            while server.open_watches < len(CORE) + len(crds(lines)):  # noqa: ASYNC110 (the server's state)
                await asyncio.sleep(0.1)
            for frame in lines:
                await send(server, run.capture, clock, frame)
        assert run.trouble == {}

        playing.play(original, str(place / "original.db"))
        playing.play(captured, str(place / "captured.db"))
        first = playing.contents(str(place / "original.db"), folder.name)
        second = playing.contents(str(place / "captured.db"), folder.name)
        spaces = second.versions.keys() - first.versions.keys()
        bodies = second.last_bodies()

        assert second.rejects == []
        assert second.counts() == first.counts(), folder.name
        assert {key: count for key, count in second.said().items() if key[0] not in spaces} == first.said(), folder.name
        assert {uid: bodies[uid] for uid in first.versions} == first.last_bodies(), folder.name
        assert len(spaces) == 2  # "default" and "kube-system" of the scripted server


# Signals one by one


def pod(uid: str, version: int = 1, namespace: str = "ml", phase: str = "Running") -> Any:
    document = {
        "metadata": {"name": uid, "namespace": namespace, "uid": uid, "resourceVersion": str(version)},
        "spec": {"containers": [{"name": "c", "env": [{"name": "K", "value": "hunter2"}], "args": ["hunter2"]}]},
        "status": {"phase": phase},
    }
    return Decoder(wire.Pod).item(json.dumps(document).encode())


def page(*items: Any, first: bool = True, last: bool = True, whole: bool = True, since: int | None = 1) -> Listed:
    return Listed(
        items=list(items), broken=[], first=first, last=last, version="9", cause="FirstStart", since=since, whole=whole
    )


def changed(type_: str, item: Any) -> Changed:
    return Changed(frames=[wire.Frame(type_, item)], broken=[], position="9")


class Captured:
    """A capture in a folder, and what its files hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = START
        self.capture = Capture(folder, self._tick)

    def _tick(self) -> int:
        self.now += SECOND
        return self.now

    def lines(self, name: str = "pods.jsonl") -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_bytes().splitlines()]

    def said(self, name: str = "pods.jsonl") -> list[tuple[str, str]]:
        return [(line["type"], line["object"]["metadata"]["uid"]) for line in self.lines(name)]


@pytest.fixture
def captured(place: Path) -> Iterator[Captured]:
    found = Captured(place / "recording")
    yield found
    found.capture.close()
    found.capture.close()


def test_a_first_list_is_marked_as_such_and_a_watch_goes_on_behind_it(captured: Captured) -> None:
    captured.capture.take(PODS, page(pod("a"), pod("b"), since=None))
    captured.capture.take(PODS, changed("MODIFIED", pod("a", 2, phase="Failed")))
    captured.capture.take(PODS, changed("DELETED", pod("b", 3)))

    assert captured.said() == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert [line.get("initial", False) for line in captured.lines()] == [True, True, False, False]
    arrived = [line["arrived"] for line in captured.lines()]
    assert arrived == sorted(arrived)
    assert captured.lines()[2]["object"]["metadata"]["resourceVersion"] == "2"
    assert captured.lines()[0]["object"]["kind"] == "Pod"
    assert captured.capture.frames == 4


def test_a_list_after_a_break_writes_only_what_is_new_changed_or_gone(captured: Captured) -> None:
    captured.capture.take(PODS, page(pod("a"), pod("b"), pod("c"), since=None))
    captured.capture.take(PODS, page(pod("a"), first=True, last=False))
    captured.capture.take(PODS, page(pod("b", 2), pod("d"), first=False, last=True))

    assert captured.said()[3:] == [("MODIFIED", "b"), ("ADDED", "d"), ("DELETED", "c")]


def test_a_list_that_is_torn_buries_nothing(captured: Captured) -> None:
    captured.capture.take(PODS, page(pod("a"), pod("b"), since=None))
    captured.capture.take(PODS, page(pod("a"), whole=False))

    assert captured.said()[2:] == []


def test_the_list_of_one_namespace_says_nothing_of_another(captured: Captured) -> None:
    captured.capture.take(PODS, page(pod("a", namespace="ml"), since=None), "ml")
    captured.capture.take(PODS, page(since=None), "other")
    captured.capture.take(PODS, page(pod("b", namespace="other")), "other")
    captured.capture.take(PODS, page(pod("a", namespace="ml")), "ml")

    assert captured.said() == [("ADDED", "a"), ("ADDED", "b")]


def test_nothing_is_written_for_signals_without_frames(captured: Captured) -> None:
    for signal in (Sighted(position="1"), Blind(state="blind", reason="x"), page(since=None)):
        captured.capture.take(PODS, signal)

    assert list(captured.folder.iterdir()) == []


def test_a_capture_goes_on_in_the_files_that_are_there(captured: Captured) -> None:
    captured.capture.take(PODS, page(pod("a"), since=None))
    captured.capture.close()
    captured.capture = Capture(captured.folder, lambda: START + 3600 * SECOND)
    captured.capture.take(PODS, page(pod("b"), since=None))

    assert captured.said() == [("ADDED", "a"), ("ADDED", "b")]


def test_no_secret_is_written(captured: Captured) -> None:
    captured.capture.take(PODS, page(pod("a"), since=None))
    event = Decoder(wire.KubeEvent).item(b'{"metadata":{"name":"e","uid":"e"},"message":"password=hunter2"}')
    captured.capture.take(EVENTS, changed("ADDED", event))

    assert b"hunter2" not in b"".join(file.read_bytes() for file in captured.folder.iterdir())
    assert captured.lines("events.jsonl")[0]["object"]["message"] == "password=[redacted]"


def test_the_files_are_those_of_the_shared_recordings() -> None:
    workflow = Resource(group="argoproj.io", version="v1alpha1", plural="workflows", kind="Workflow")
    names = {resource.key: file_name(resource) for resource in (*CORE, workflow)}

    assert {key: names[key] for key in ("events", "pods", "jobs.batch", "nodes", "workflows.argoproj.io")} == {
        "events": "events.jsonl",
        "pods": "pods.jsonl",
        "jobs.batch": "jobs.jsonl",
        "nodes": "nodes.jsonl",
        "workflows.argoproj.io": "workloads.jsonl",
    }
