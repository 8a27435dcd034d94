"""Hostile input, in lists and in watches: kept as a reject where it does not parse, else stored; never fatal."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from pipetrail.testing.apiserver import AddCrd, Answer, Case, Fault, Object, Stream, frame
from tests.watching.recorded import CLUSTER, START, VIRTUAL_TIME, Trial, event, pod, recorded

pytestmark = VIRTUAL_TIME

DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000


def odd(name: str, **more: Any) -> Object:
    """An Event whose fields are not what the API promises."""
    uid = f"{zlib.crc32(name.encode()):08x}-0000-4000-8000-000000000000"
    return event(name) | {"metadata": {"name": name, "namespace": "team-a", "uid": uid, "resourceVersion": "1"}} | more


BENT: dict[str, Object] = {
    "count-text": odd("count-text", count="many"),
    "count-huge": odd("count-huge", count=10**30),
    "count-negative": odd("count-negative", count=-5),
    "count-float": odd("count-float", count=2.5),
    "message-number": odd("message-number", message=5),
    "message-null": odd("message-null", message=None),
    "about-null": odd("about-null", involvedObject=None),
    "about-text": odd("about-text", involvedObject="pod/p"),
    "about-numbers": odd("about-numbers", involvedObject={"kind": 1, "name": ["x"], "namespace": "team-a"}),
    "source-list": odd("source-list", source=["kubelet"]),
    "series-text": odd("series-text", series="many"),
    "times-wrong": odd("times-wrong", firstTimestamp="yesterday", lastTimestamp=12345),
    "year-1": odd("year-1", firstTimestamp="0001-01-01T00:00:00Z", lastTimestamp="0001-01-01T00:00:00Z"),
    "year-9999": odd("year-9999", lastTimestamp="9999-12-31T23:59:59Z", eventTime="9999-12-31T23:59:59.999999-12:00"),
    "labels-list": odd("labels-list"),
    "type-new": odd("type-new", type="Catastrophe"),
    "nul": odd("nul", message="a\0b"),
    "nel": odd("nel", message="one\u0085two\u2028three"),
    "lone": odd("lone", message="half \ud800 of it", reason="R\udfff"),
    "long": odd("long", message="x" * (8 << 20)),
    "labels": odd("labels"),
    "minimal": {"metadata": {"name": "minimal", "namespace": "team-a"}},
}
BENT["labels-list"]["metadata"]["labels"] = ["a", "b"]
BENT["labels"]["metadata"]["labels"] = {f"label-{number}": "v" * 60 for number in range(10_000)}


def check_bent(trial: Trial) -> None:
    """All of them are stored, once, and with times that can be."""
    found = {item.source.name: item for item in trial.events() if item.source}
    assert set(found) == {*BENT, "good", "last"}
    assert len(trial.events()) == len(found)
    assert trial.rejects() == []
    for name in ("year-1", "year-9999", "times-wrong", "minimal"):
        assert START - 1 <= found[name].at < START + 60_000_000, name
    assert found["nul"].message == "a\0b"
    assert found["nel"].message == "one\u0085two\u2028three"
    assert found["lone"].message.startswith("half ")
    assert found["lone"].message.endswith(" of it")
    assert len(found["long"].message) == 8 << 20
    assert (found["count-huge"].count, found["count-negative"].count) == (2**31 - 1, 1)
    assert found["message-number"].message == "5"
    assert found["about-numbers"].about.namespace == "team-a"
    assert len(found["labels"].marks) == 10_000


async def test_bent_events_of_a_list_are_stored_as_far_as_they_can_be_read(tmp_path: Path) -> None:
    """Bad input: wrong types, missing fields, odd text, the years 1 and 9999, 8 MiB, 10,000 labels; in a list."""
    case = Case(name="bent list", objects={"events": [event("good"), *BENT.values()]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)
        trial.server.put("events", event("last", at=5))
        await trial.after(5)

        check_bent(trial)
        assert trial.running.clusters[0].following["events"].watch.decoder.bent > 5


async def test_bent_events_of_a_watch_are_stored_as_far_as_they_can_be_read(tmp_path: Path) -> None:
    """Bad input: the same in a watch."""
    async with recorded(Case(name="bent watch", objects={"events": [event("good")]}), tmp_path) as trial:
        await trial.after(2)
        for found in BENT.values():
            trial.server.put("events", found)
        trial.server.put("events", event("last", at=2))
        await trial.after(5)

        check_bent(trial)


BROKEN: dict[str, bytes] = {
    "half": b'{"type":"ADDED","object":{"metadata":{"name":"x"}\n',
    "no json": b"<html>502 Bad Gateway</html>\n",
    "no type": b'{"object":{"metadata":{"name":"x"}}}\n',
    "type is a number": b'{"type":5,"object":{}}\n',
    "no object": b'{"type":"ADDED"}\n',
    "object is null": b'{"type":"ADDED","object":null}\n',
    "object is a list": b'{"type":"MODIFIED","object":[1,2]}\n',
    "no identity": b'{"type":"ADDED","object":{}}\n',
    "error is text": b'{"type":"ERROR","object":"bad"}\n',
    "a list": b"[1,2,3]\n",
    "a number": b"17\n",
    "bad utf-8": b'{"type":"ADDED","object":\xff\xfe}\n',
    "raw nul": b'\0\0\0{"type":"ADDED"}\n',
    "deep": DEEP + b"\n",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("resource", ["events", "pods"])
async def test_a_line_that_is_no_frame_is_kept_and_its_neighbours_are_stored(
    tmp_path: Path, name: str, resource: str
) -> None:
    """Bad input: a line that does not parse is a reject, once; the frames around it are stored; the watch goes on."""
    case = Case(name="broken", objects={resource: [event("e0") if resource == "events" else pod("e0")]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(2)
        await trial.stop()
        script = Stream(insert={1: BROKEN[name]}, join=True)
        trial.server.inject(Fault(resource=resource, verb="watch", do=script))
        for number in (1, 2):
            put(trial, resource, f"e{number}")
        await trial.start()
        await trial.after(3)
        put(trial, resource, "e3")
        await trial.after(3)

        names = set(trial.totals()) if resource == "events" else {v.ref.name for v in trial.objects(kinds=("Pod",))}
        assert names == {"e0", "e1", "e2", "e3"}
        ((where, reason, _),) = trial.rejects()
        assert where == resource
        assert reason
        assert trial.blind() == []
        assert trial.gaps() == []
        assert len(trial.server.asked("watch", resource)) == 2


def put(trial: Trial, resource: str, name: str) -> None:
    trial.server.put(resource, event(name) if resource == "events" else pod(name))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (frame("ADDED", odd("nul")).replace(b"Back-off", b"Back\0off"), "nul"),
        (frame("ADDED", odd("lone")).replace(b"Back-off", rb"Back\ud800off"), "lone"),
        (frame("ADDED", odd("utf")).replace(b"Back-off", b"Back\xffoff"), "utf"),
        (frame("SURPRISE", odd("type")), "type"),
        (frame("ADDED", odd("twice")) * 2, "twice"),
        (b"\n\n" + frame("ADDED", odd("blank")) + b"\r\n", "blank"),
        (json.dumps({"object": odd("spaces"), "type": "ADDED"}, indent=None).encode() + b"\n", "spaces"),
    ],
    ids=["raw nul", "surrogate", "bad utf-8", "unknown type", "twice", "blank lines", "other order"],
)
async def test_a_line_that_can_be_read_somehow_is_stored(tmp_path: Path, line: bytes, name: str) -> None:
    """Bad input: raw NUL, lone surrogates and bytes that are no UTF-8 inside a string do not cost the Event."""
    case = Case(name="raw", objects={"events": [event("e0")]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(2)
        await trial.stop()
        trial.server.inject(Fault(resource="events", verb="watch", do=Stream(insert={0: line})))
        trial.server.put("events", event("e1"))
        await trial.start()
        await trial.after(3)

        assert trial.totals() == {"e0": 1, "e1": 1, name: 1}
        assert trial.rejects() == []


@pytest.mark.parametrize("text", [b"Back-off", b"Back\0off", rb"Back\ud800off", b"Back\xffoff"], ids=repr)
async def test_items_of_a_list_that_are_no_objects_are_kept_as_rejects(tmp_path: Path, text: bytes) -> None:
    """Bad input: a list with a number, a null and a nameless item; also where no strict parser takes its text."""
    items = [odd("a"), 5, None, {}, odd("b")]
    listed = {"kind": "EventList", "metadata": {"resourceVersion": "1002"}, "items": items}
    body = json.dumps(listed).encode().replace(b"Back-off", text)
    faults = [Fault(resource="events", verb="list", do=Answer(status=200, body=body))]
    async with recorded(Case(name="items", faults=faults), tmp_path) as trial:
        await trial.after(3)
        trial.server.put("events", event("c", at=3))
        await trial.after(3)

        assert trial.totals() == {"a": 1, "b": 1, "c": 1}
        assert len(trial.rejects()) == 3
        assert trial.blind() == []


NO_LISTS = [b"", b"<html>", b"[]", b'{"items":5}', b'{"metadata":5}', b'{"items":[']


@pytest.mark.parametrize("body", [*NO_LISTS, b'{"items":[' + DEEP[:-5] + b"]}"], ids=range(7))
async def test_a_list_that_is_none_is_asked_for_again(tmp_path: Path, body: bytes) -> None:
    """Bad input: an answer that calls itself 200 and is no list: blind for a moment, with the reason, then whole."""
    faults = [Fault(resource="pods", verb="list", times=2, do=Answer(status=200, body=body))]
    async with recorded(Case(name="no list", objects={"pods": [pod("p")]}, faults=faults), tmp_path) as trial:
        await trial.after(0.3)
        assert [reason for reason in trial.blind() if reason.startswith(f"{CLUSTER}: pods: /api/v1/pods: ")]
        await trial.after(10)

        assert len(trial.objects(kinds=("Pod",))) == 1
        assert trial.blind() == []


def ready_since(time: str) -> Object:
    return {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time}]}


def ended(restarts: int, **terminated: Any) -> Object:
    return {"containerStatuses": [{"name": "main", "restartCount": restarts, "state": {"terminated": terminated}}]}


ODD_PODS: dict[str, Object] = {
    "phase-number": pod("phase-number", status={"phase": 7}),
    "status-text": pod("status-text", status="Running"),
    "statuses-object": pod("statuses-object", status={"phase": "Running", "containerStatuses": {"name": "main"}}),
    "exit-text": pod("exit-text", status=ended(0, exitCode="one", reason="Error")),
    "exit-huge": pod("exit-huge", status=ended(10**30, exitCode=10**30)),
    "year-1": pod("year-1", status=ready_since("0001-01-01T00:00:00Z")),
    "year-9999": pod("year-9999", status=ready_since("9999-12-31T23:59:59Z")),
    "labels": pod("labels", metadata={"labels": {f"label-{number}": "v" * 60 for number in range(10_000)}}),
    "text": pod("text", status={"phase": "Failed", "message": "nul \0, lone \ud800, nel \u0085, sep \u2028"}),
    "owners": pod("owners", metadata={"ownerReferences": "none", "annotations": 5}),
    "big": pod("big", status={"phase": "Failed", "message": "y" * (8 << 20)}),
}


async def test_bent_objects_are_kept_as_far_as_they_can_be_read(tmp_path: Path) -> None:
    """Bad input: Pods with wrong types, far times, 10,000 labels, odd text, 8 MiB; in list, watch and restart."""
    half = len(ODD_PODS) // 2
    names = list(ODD_PODS)
    case = Case(name="odd pods", objects={"pods": [ODD_PODS[name] for name in names[:half]]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(3)
        for name in names[half:]:
            trial.server.put("pods", ODD_PODS[name])
        trial.server.put("pods", pod("last"))
        await trial.after(3)
        await trial.restart()
        await trial.after(3)

        assert {version.ref.name for version in trial.objects(kinds=("Pod",))} == {*ODD_PODS, "last"}
        assert trial.rejects() == []
        for found in trial.events("status"):
            assert START <= found.at < START + 60_000_000
        assert trial.blind() == []


async def test_odd_custom_objects_are_kept(tmp_path: Path) -> None:
    """Bad input: a custom resource may hold anything: numbers without bound, deep nesting, conditions that are none."""
    deep: Any = "leaf"
    for _ in range(200):
        deep = {"in": deep}
    workflows = [
        {"metadata": {"name": "numbers", "namespace": "team-a"}, "spec": {"n": 10**40, "x": 1e308}},
        {"metadata": {"name": "deep", "namespace": "team-a"}, "spec": deep},
        {"metadata": {"name": "conditions", "namespace": "team-a"}, "status": {"conditions": [1, None, {"type": 5}]}},
        {"metadata": {"name": "list", "namespace": "team-a"}, "status": [1, 2], "spec": "text"},
        {"metadata": {"name": "huge", "namespace": "team-a"}, "spec": {"text": ["z" * 100] * 80_000}},
    ]
    crd = AddCrd("argoproj.io", "v1alpha1", "Workflow", "workflows")
    case = Case(name="custom", custom=[crd], objects={"workflows.argoproj.io": workflows})
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)

        found = {version.ref.name: version for version in trial.objects(kinds=("Workflow",))}
        assert set(found) == {"numbers", "deep", "conditions", "list", "huge"}
        assert len(found["huge"].body) < 256 * 1024
        assert trial.rejects() == []
