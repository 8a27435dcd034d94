"""The scripted API server behaves as parts of the real one do, and goes wrong exactly as it is told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import pytest

from pipetrail.testing.apiserver import (
    AddCrd,
    Answer,
    Case,
    ClearFaults,
    Compact,
    Delete,
    EmptyAnswer,
    Fault,
    FaultAction,
    Forbid,
    Generated,
    HeadersOnly,
    Inject,
    Kill,
    NoAnswer,
    Object,
    Put,
    RemoveCrd,
    Reset,
    RestoreBackup,
    RotateTokens,
    ScriptedServer,
    Stream,
    TimelineAction,
    expired_continue,
    failure,
    frame,
    serve,
)

pytestmark = pytest.mark.looptime

EVENTS = "/api/v1/events"
PODS = "/api/v1/pods"
WORKFLOWS = "/apis/argoproj.io/v1alpha1/workflows"
WORKFLOW = AddCrd("argoproj.io", "v1alpha1", "Workflow", "workflows")


def named(name: str, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "team-a"}, **more}


def some(count: int) -> dict[str, list[Object]]:
    return {"events": [named(f"e{number}") for number in range(count)]}


class Client:
    """Just enough of a client: no retries, no patience."""

    def __init__(self, server: ScriptedServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def get(self, path: str, headers: Mapping[str, str] = {}, **query: str | int) -> tuple[int, Any]:
        async with self.session.get(self.server.url + path, params=query, headers=headers) as reply:
            body = await reply.read()
            return reply.status, json.loads(body) if reply.content_type == "application/json" else body.decode()

    async def chunks(self, path: str, headers: Mapping[str, str] = {}, **query: str | int) -> AsyncIterator[bytes]:
        async with self.session.get(
            self.server.url + path, params={"watch": "true", **query}, headers=headers
        ) as reply:
            assert reply.status == 200
            async for chunk in reply.content.iter_any():
                yield chunk

    async def watch(self, path: str, **query: Any) -> list[tuple[float, Object]]:
        """Give all frames of a watch up to its end, each with its time."""
        seen: list[tuple[float, Object]] = []
        rest = b""
        async for chunk in self.chunks(path, **query):
            *lines, rest = (rest + chunk).split(b"\n")
            seen += [(round(self.server.elapsed, 1), json.loads(line)) for line in lines]
        assert not rest
        return seen


def names(frames: list[tuple[float, Object]]) -> list[tuple[float, str, str]]:
    return [(at, seen["type"], seen["object"]["metadata"].get("name", "")) for at, seen in frames]


class Opening:
    """``async with Opening(case) as client``: a server and a client for one case; checks what is left over."""

    def __init__(self, case: Case) -> None:
        self.serving = serve(case)

    async def __aenter__(self) -> Client:
        server = await self.serving.__aenter__()
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=10_000))
        # aiohttp repeats a GET once by itself when its connection is reset before the answer; these tests count.
        self.session._retry_connection = False
        return Client(server, self.session)

    async def __aexit__(self, *error: Any) -> None:
        await self.session.close()
        await self.serving.__aexit__(*error)
        await asyncio.sleep(0.1)
        assert asyncio.all_tasks() == {asyncio.current_task()}


# The real server's behaviour


async def test_two_hours_of_bookmarks_pass_in_no_time() -> None:
    started = time.perf_counter()
    case = Case(name="idle", timeline=[(60 * minute + 30, Put("nodes", named("n"))) for minute in range(120)])
    async with Opening(case) as client:
        frames = await client.watch(PODS, resourceVersion=1002, timeoutSeconds=7200, allowWatchBookmarks="true")
        assert client.server.elapsed == pytest.approx(7200, abs=1)

    assert [at for at, _ in frames] == [*range(60, 7200, 60), 7198]
    assert {seen["type"] for _, seen in frames} == {"BOOKMARK"}
    assert frames[0][1]["object"] == {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1003"},
        "spec": {"containers": None},
        "status": {},
    }
    assert frames[-1][1]["object"]["metadata"]["resourceVersion"] == "1122"
    assert time.perf_counter() - started < 2


async def test_a_watch_replays_history_and_then_follows() -> None:
    timeline: list[tuple[float, TimelineAction]] = [
        (5.0, Put("events", named("e1", count=2))),
        (6.0, Delete("events", "team-a", "e0")),
        (7.0, Put("pods", named("p"))),
    ]
    async with Opening(Case(name="follow", objects=some(3), timeline=timeline)) as client:
        frames = await client.watch(EVENTS, resourceVersion=1003, timeoutSeconds=10)

    assert names(frames) == [(0, "ADDED", "e1"), (0, "ADDED", "e2"), (5, "MODIFIED", "e1"), (6, "DELETED", "e0")]
    assert frames[2][1]["object"]["count"] == 2
    assert (frames[2][1]["object"]["kind"], frames[2][1]["object"]["apiVersion"]) == ("Event", "v1")
    assert frames[3][1]["object"]["metadata"]["resourceVersion"] == "1007"
    assert frames[0][1]["object"]["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


async def test_a_watch_without_a_version_begins_with_what_exists() -> None:
    async with Opening(Case(name="no version", objects=some(2))) as client:
        client.server.delete("events", "team-a", "e0")
        frames = await client.watch(EVENTS, timeoutSeconds=1)

    assert names(frames) == [(0, "ADDED", "e1")]


async def test_events_get_no_bookmarks_unless_their_cache_is_forced() -> None:
    for forced, count in ((False, 0), (True, 3)):
        async with Opening(Case(name="bookmarks", event_bookmarks=forced)) as client:
            frames = await client.watch(EVENTS, resourceVersion=1002, timeoutSeconds=130, allowWatchBookmarks="true")
        assert len(frames) == count


async def test_a_compacted_version_expires_for_events_and_later_for_cached_kinds() -> None:
    async with Opening(Case(name="compaction", objects=some(5))) as client:
        client.server.compact()
        last = client.server.revision
        ((_, error),) = await client.watch(EVENTS, resourceVersion=last - 1, timeoutSeconds=10)
        assert await client.watch(EVENTS, resourceVersion=last, timeoutSeconds=1) == []
        assert await client.watch(PODS, resourceVersion=last - 1, timeoutSeconds=1) == []
        client.server.compact(caches=True)
        ((_, cached_error),) = await client.watch(PODS, resourceVersion=last - 1, timeoutSeconds=10)
        code, status = await client.get(EVENTS, resourceVersion=last - 1, resourceVersionMatch="Exact")

    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert cached_error["object"]["message"] == "too old resource version: 1006 (1007)"
    assert (code, status["code"], status["reason"]) == (410, 410, "Expired")


async def test_a_version_from_the_future_hangs_a_watch_and_refuses_a_list() -> None:
    async with Opening(Case(name="future")) as client:
        assert await client.watch(EVENTS, resourceVersion=5000, timeoutSeconds=300) == []
        assert client.server.elapsed == pytest.approx(300)
        code, status = await client.get(EVENTS, resourceVersion=5000, resourceVersionMatch="NotOlderThan")

    assert code == 504
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_pages_show_one_revision_and_an_old_token_goes_on_with_a_fresh_one() -> None:
    async with Opening(Case(name="pages", objects=some(5))) as client:
        _, first = await client.get(EVENTS, limit=2)
        client.server.delete("events", "team-a", "e3")
        _, second = await client.get(EVENTS, limit=2, **{"continue": first["metadata"]["continue"]})
        client.server.compact()
        code, gone = await client.get(EVENTS, limit=2, **{"continue": second["metadata"]["continue"]})
        _, rest = await client.get(EVENTS, limit=2, **{"continue": gone["metadata"]["continue"]})
        mixed, _ = await client.get(EVENTS, resourceVersion=1001, **{"continue": first["metadata"]["continue"]})

    assert (first["kind"], first["apiVersion"], first["metadata"]["remainingItemCount"]) == ("EventList", "v1", 3)
    assert first["items"][0].keys() == {"metadata"}
    assert [item["metadata"]["name"] for item in second["items"]] == ["e2", "e3"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"] == "1007"
    assert (code, gone["reason"]) == (410, "Expired")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["e4"]
    assert rest["metadata"] == {"resourceVersion": "1008"}
    assert mixed == 400


async def test_namespaces_narrow_a_list_and_a_watch() -> None:
    other = {"metadata": {"name": "x", "namespace": "team-b"}}
    case = Case(name="spaces", objects={"pods": [named("p"), other]}, timeline=[(1.0, Put("pods", other))])
    async with Opening(case) as client:
        _, pods = await client.get("/api/v1/namespaces/team-a/pods")
        frames = await client.watch("/api/v1/namespaces/team-b/pods", resourceVersion=1002, timeoutSeconds=3)
        _, pod = await client.get("/api/v1/namespaces/team-a/pods/p")
        missing, status = await client.get("/api/v1/namespaces/team-a/pods/q")
        wrong, text = await client.get("/api/v1/namespaces/team-a/nodes")

    assert [item["metadata"]["name"] for item in pods["items"]] == ["p"]
    assert names(frames) == [(0, "ADDED", "x"), (1, "MODIFIED", "x")]
    assert (pod["kind"], pod["metadata"]["namespace"]) == ("Pod", "team-a")
    assert (missing, status["message"]) == (404, 'pods "q" not found')
    assert (wrong, text) == (404, "404 page not found\n")


async def test_metadata_only_objects_come_when_asked_for() -> None:
    headers = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"}
    single = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    async with Opening(Case(name="metadata", objects={"pods": [named("p", spec={"nodeName": "n"})]})) as client:
        _, listed = await client.get(PODS, headers=headers)
        ((_, watched),) = await client.watch(PODS, headers=single, timeoutSeconds=1)
        refused, _ = await client.get(PODS, headers={"Accept": "application/vnd.kubernetes.protobuf"})

    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert listed["items"][0].keys() == watched["object"].keys() == {"kind", "apiVersion", "metadata"}
    assert listed["items"][0]["kind"] == watched["object"]["kind"] == "PartialObjectMetadata"
    assert refused == 406


async def test_discovery_shows_what_exists_now() -> None:
    timeline: list[tuple[float, TimelineAction]] = [
        (60.0, WORKFLOW),
        (61.0, AddCrd("argoproj.io", "v1", "Workflow", "workflows")),
    ]
    async with Opening(Case(name="discovery", timeline=timeline)) as client:
        _, groups = await client.get("/apis")
        before, _ = await client.get("/apis/argoproj.io/v1alpha1")
        await asyncio.sleep(65)
        _, more = await client.get("/apis")
        _, kinds = await client.get("/apis/argoproj.io/v1alpha1")
        _, core = await client.get("/api/v1")
        _, api = await client.get("/api")
        _, crds = await client.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        _, version = await client.get("/version")
        ready = await client.get("/readyz")

    assert [group["name"] for group in groups["groups"]] == ["batch", "apps", "apiextensions.k8s.io"]
    assert before == 404
    assert more["groups"][-1]["preferredVersion"] == {"groupVersion": "argoproj.io/v1", "version": "v1"}
    assert [kind["name"] for kind in kinds["resources"]] == ["workflows", "workflows/status"]
    assert {"pods", "pods/status", "events", "bindings"} < {kind["name"] for kind in core["resources"]}
    assert api["versions"] == ["v1"]
    assert crds["items"][0]["metadata"]["name"] == "workflows.argoproj.io"
    assert version["gitVersion"] == "v1.37.2"
    assert ready == (200, "ok")


async def test_a_removed_kind_tells_its_watch_and_is_gone() -> None:
    case = Case(
        name="removed",
        custom=[WORKFLOW],
        objects={"workflows": [named("w", spec={"a": 1})]},
        timeline=[(60.0, RemoveCrd("workflows"))],
    )
    async with Opening(case) as client:
        _, listed = await client.get(WORKFLOWS)
        frames = await client.watch(WORKFLOWS, timeoutSeconds=600)
        assert client.server.elapsed == pytest.approx(60)
        gone = await client.get(WORKFLOWS)

    assert listed["items"][0]["kind"] == "Workflow"
    assert names(frames) == [(0, "ADDED", "w"), (60, "DELETED", "w")]
    assert gone == (404, "404 page not found\n")


async def test_the_cluster_has_a_lasting_uid() -> None:
    async with Opening(Case(name="uid")) as client:
        _, space = await client.get("/api/v1/namespaces/kube-system")
        client.server.put("namespaces", {"metadata": {"name": "kube-system"}})
        _, again = await client.get("/api/v1/namespaces/kube-system")

    assert space["metadata"]["uid"] == again["metadata"]["uid"] != ""


async def test_a_recreated_object_is_deleted_first() -> None:
    old, new = named("p"), named("p")
    old["metadata"]["uid"], new["metadata"]["uid"] = "1", "2"
    async with Opening(Case(name="again", objects={"pods": [old]}, timeline=[(1.0, Put("pods", new))])) as client:
        frames = await client.watch(PODS, resourceVersion=client.server.revision, timeoutSeconds=5)

    assert [(seen["type"], seen["object"]["metadata"]["uid"]) for _, seen in frames] == [
        ("DELETED", "1"),
        ("ADDED", "2"),
    ]


async def test_a_rotated_token_and_a_missing_right_are_refused_in_the_real_words() -> None:
    case = Case(
        name="rights",
        tokens=frozenset({"old"}),
        user="reader",
        timeline=[(10.0, RotateTokens(frozenset({"new"}))), (10.0, Forbid("pods", cluster_scope_only=True))],
    )
    old, new = {"Authorization": "Bearer old"}, {"Authorization": "Bearer new"}
    async with Opening(case) as client:
        assert (await client.get(PODS, headers=old))[0] == 200
        assert (await client.get("/version"))[0] == 200
        await asyncio.sleep(11)
        code, unauthorized = await client.get(PODS, headers=old)
        _, forbidden = await client.get(PODS, headers=new)
        inside, _ = await client.get("/api/v1/namespaces/team-a/pods", headers=new)
        client.server.forbid("jobs.batch")
        _, jobs = await client.get("/apis/batch/v1/namespaces/team-a/jobs?watch=1", headers=new)
        client.server.allow("pods")
        allowed, _ = await client.get(PODS, headers=new)

    assert (code, unauthorized["reason"]) == (401, "Unauthorized")
    assert (
        forbidden["message"]
        == 'pods is forbidden: User "reader" cannot list resource "pods" in API group "" at the cluster scope'
    )
    assert jobs["message"] == (
        'jobs.batch is forbidden: User "reader" cannot watch resource "jobs" in API group "batch" '
        'in the namespace "team-a"'
    )
    assert (inside, allowed) == (200, 200)


async def test_a_restored_backup_takes_the_revision_back() -> None:
    timeline: list[tuple[float, TimelineAction]] = [
        (5.0, RestoreBackup(lost_writes=3)),
        (20.0, Put("events", named("late"))),
    ]
    async with Opening(Case(name="backup", objects=some(5), timeline=timeline)) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.watch(EVENTS, resourceVersion=1007, timeoutSeconds=100)
        assert client.server.elapsed == pytest.approx(5)
        _, listed = await client.get(EVENTS)
        assert await client.watch(EVENTS, resourceVersion=1007, timeoutSeconds=100) == []

    assert listed["metadata"]["resourceVersion"] == "1004"
    assert [item["metadata"]["name"] for item in listed["items"]] == ["e0", "e1"]


async def test_versions_need_not_be_numbers() -> None:
    case = Case(name="opaque", version_prefix="abc-", first_revision=0, objects=some(1))
    async with Opening(case) as client:
        _, listed = await client.get(EVENTS)
        client.server.put("events", named("f"))
        frames = await client.watch(EVENTS, resourceVersion=listed["metadata"]["resourceVersion"], timeoutSeconds=1)
        code, _ = await client.get(EVENTS, resourceVersion="17")

    assert listed["metadata"]["resourceVersion"] == "abc-3"
    assert names(frames) == [(0, "ADDED", "f")]
    assert code == 400


async def test_what_is_not_played_is_refused_aloud() -> None:
    async with Opening(Case(name="honest")) as client:
        for wish in ("labelSelector", "fieldSelector", "continue"):
            assert (await client.get(f"{PODS}?{wish}=a"))[0] == 400
        assert (await client.get(PODS, resourceVersionMatch="Exact"))[0] == 422
        async with client.session.post(client.server.url + PODS) as reply:
            assert reply.status == 405

    assert [ask.method for ask in client.server.requests] == ["GET"] * 4 + ["POST"]


async def test_a_million_objects_list_in_pages_without_being_kept() -> None:
    template = named("run-{n}", message="row {n}")
    template["metadata"]["uid"] = "{uid}"
    many = Generated(resource="events", count=1_000_000, template=template)
    case = Case(name="million", generated=[many], objects=some(1), faults=[expired_continue("events", after_page=3)])
    async with Opening(case) as client:
        _, page = await client.get(EVENTS, limit=500)
        for _ in range(3):
            code, page = await client.get(EVENTS, limit=500, **{"continue": page["metadata"]["continue"]})
        assert (code, page["reason"]) == (410, "Expired")
        _, page = await client.get(EVENTS, limit=500, **{"continue": page["metadata"]["continue"]})

    assert page["items"][0]["metadata"]["name"] == "run-0001500"
    assert page["items"][0]["metadata"]["uid"] == "00000000-0000-4000-8000-000000001500"
    assert page["metadata"]["remainingItemCount"] == 1_000_001 - 2000
    assert [ask.at for ask in client.server.asked("list", "events")] == [0.0] * 5


# Faults


@pytest.mark.parametrize(
    ("answer", "reason", "retry_after"),
    [
        (Answer(status=500), "InternalError", None),
        (Answer(status=503, retry_after=7), "ServiceUnavailable", "7"),
        (Answer(status=429, retry_after=1), "TooManyRequests", "1"),
        (Answer(status=410), "Expired", None),
        (Answer(status=401), "Unauthorized", None),
    ],
)
async def test_a_status_is_answered_as_often_as_told(answer: Answer, reason: str, retry_after: str | None) -> None:
    case = Case(name="status", faults=[Fault(resource="events", verb="list", times=2, do=answer)])
    async with Opening(case) as client:
        for _ in range(2):
            async with client.session.get(client.server.url + EVENTS) as reply:
                assert (reply.status, reply.headers.get("Retry-After")) == (answer.status, retry_after)
                assert (await reply.json())["reason"] == reason
        assert (await client.get(EVENTS))[0] == 200


async def test_faults_are_used_up_in_order_and_at_their_places() -> None:
    faults = [
        Fault(verb="list", at=[2], do=Answer(status=500)),
        Fault(verb="list", at=[3], do=Reset()),
        Fault(resource="pods", times=1, do=Answer(status=503)),
        Fault(
            during=(100, 200), times=None, do=Answer(status=429, body=b"Too many requests", content_type="text/plain")
        ),
    ]
    case = Case(
        name="order", faults=faults, timeline=[(300.0, Inject(Fault(do=EmptyAnswer()))), (400.0, ClearFaults())]
    )
    async with Opening(case) as client:
        assert (await client.get(EVENTS))[0] == 200
        assert (await client.get(EVENTS))[0] == 500
        with pytest.raises(aiohttp.ClientError):
            await client.get(PODS)
        assert (await client.get(PODS))[0] == 503
        assert (await client.get(PODS))[0] == 200
        await asyncio.sleep(150)
        assert await client.get(PODS) == (429, "Too many requests")
        await asyncio.sleep(200)
        async with client.session.get(client.server.url + PODS) as reply:
            assert (reply.status, await reply.read()) == (200, b"")
        client.server.inject(Fault(do=Reset()))
        await asyncio.sleep(100)
        assert (await client.get(PODS))[0] == 200


@pytest.mark.parametrize("silence", [NoAnswer(), HeadersOnly()])
async def test_silence_lasts_until_the_client_gives_up(silence: FaultAction) -> None:
    async with Opening(Case(name="silence", faults=[Fault(verb="watch", do=silence)])) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5000):
                await client.watch(EVENTS)
        assert client.server.elapsed == pytest.approx(5000)
        await asyncio.sleep(0.1)
        assert client.server.open_watches == 0


async def test_headers_arrive_before_the_silence() -> None:
    async with (
        Opening(Case(name="headers", faults=[Fault(do=HeadersOnly())])) as client,
        client.session.get(client.server.url + EVENTS) as reply,
    ):
        assert reply.status == 200
        assert client.server.elapsed == pytest.approx(0)


async def test_a_hundred_watches_close_at_once() -> None:
    faults = [Fault(resource="events", verb="watch", times=100, do=EmptyAnswer())]
    async with Opening(Case(name="empty", faults=faults)) as client:
        for _ in range(100):
            assert await client.watch(EVENTS, resourceVersion=1) == []
        assert client.server.elapsed == pytest.approx(0)
        assert len(client.server.asked("watch", "events")) == 100


async def collect(chunks: AsyncIterator[bytes], pieces: list[bytes]) -> None:
    """Put the chunks into ``pieces``, which keeps them if reading fails."""
    async for chunk in chunks:
        pieces.append(chunk)  # noqa: PERF401, a comprehension would lose what came before the failure


async def lines_of(script: Stream, count: int = 3) -> tuple[list[bytes], BaseException | None, float]:
    """Give the pieces in which a watch of some events arrives, what ended it, and when."""
    case = Case(name="stream", objects=some(count), faults=[Fault(verb="watch", do=script)])
    pieces: list[bytes] = []
    async with Opening(case) as client:
        try:
            async with asyncio.timeout(1000):
                await collect(client.chunks(EVENTS, resourceVersion=1002, timeoutSeconds=10), pieces)
        except (TimeoutError, aiohttp.ClientError) as error:
            return pieces, error, client.server.elapsed
        return pieces, None, client.server.elapsed


async def test_a_stream_closes_after_some_frames() -> None:
    pieces, error, at = await lines_of(Stream(after=2))

    assert [json.loads(line)["type"] for line in b"".join(pieces).splitlines()] == ["ADDED", "ADDED"]
    assert error is None
    assert at == pytest.approx(0)


async def test_a_stream_sends_an_error_frame() -> None:
    pieces, error, _ = await lines_of(Stream(after=1, end="error", error=failure(500, "etcd is gone")))

    last = json.loads(b"".join(pieces).splitlines()[-1])
    assert (last["type"], last["object"]["code"], last["object"]["message"]) == ("ERROR", 500, "etcd is gone")
    assert error is None


async def test_a_stream_is_reset_after_its_frames_have_arrived() -> None:
    pieces, error, _ = await lines_of(Stream(after=2, end="reset"))

    assert b"".join(pieces).count(b"\n") == 2
    assert isinstance(error, aiohttp.ClientError)


async def test_a_stream_stalls_for_ever() -> None:
    pieces, error, at = await lines_of(Stream(after=2, end="stall"))

    assert b"".join(pieces).count(b"\n") == 2
    assert isinstance(error, TimeoutError)
    assert at == pytest.approx(1000)


async def test_a_stream_without_frames_ends_at_once() -> None:
    pieces, error, at = await lines_of(Stream(after=0, end="error"), count=0)

    assert json.loads(b"".join(pieces))["object"]["code"] == 410
    assert error is None
    assert at == pytest.approx(0)


async def test_frames_are_split_into_small_chunks() -> None:
    pieces, _, _ = await lines_of(Stream(split=100, after=3))

    assert len(pieces) > 6
    assert max(len(piece) for piece in pieces) == 100
    assert [json.loads(line)["object"]["metadata"]["name"] for line in b"".join(pieces).splitlines()] == [
        "e0",
        "e1",
        "e2",
    ]


async def test_five_frames_come_in_one_chunk_and_the_last_has_no_newline() -> None:
    pieces, error, _ = await lines_of(Stream(join=True, after=5, last_newline=False), count=5)

    assert len(pieces) == 1
    assert pieces[0].count(b"\n") == 4
    assert len([json.loads(line) for line in pieces[0].split(b"\n")]) == 5
    assert error is None


async def test_raw_bytes_stand_between_the_frames() -> None:
    event = frame("ADDED", {"kind": "Event", "message": "x"})
    pieces, _, _ = await lines_of(Stream(insert={0: b'{"type":\n', 2: event.replace(b"x", b"\0")}))

    lines = b"".join(pieces).split(b"\n")
    assert lines[0] == b'{"type":'
    assert b"\0" in lines[3]
    assert len(lines) == 6


async def test_odd_text_arrives_as_the_real_server_writes_it() -> None:
    text = "next\x85line, nul \0, lone \ud800, sep \u2028, <b> & é"
    async with Opening(Case(name="odd", objects={"events": [named("e", message=text)]})) as client:
        pieces = [piece async for piece in client.chunks(EVENTS, resourceVersion=1000, timeoutSeconds=1)]
        _, listed = await client.get(EVENTS)

    line = b"".join(pieces)
    assert line.count(b"\n") == 1
    for raw in (
        b"next\xc2\x85line",
        rb"nul \u0000",
        rb"lone \ud800",
        rb"sep \u2028",
        rb"\u003cb\u003e \u0026 " + "é".encode(),
    ):
        assert raw in line
    assert listed["items"][0]["message"] == text


async def test_an_eight_mebibyte_object_arrives_whole() -> None:
    case = Case(name="huge", objects={"events": [named("e", message="x" * (8 << 20))]})
    async with Opening(case) as client:
        pieces = [piece async for piece in client.chunks(EVENTS, resourceVersion=1000, timeoutSeconds=1)]

    assert len(json.loads(b"".join(pieces))["object"]["message"]) == 8 << 20


# The timeline and the end


async def test_killed_watches_end_without_an_error_line() -> None:
    timeline: list[tuple[float, TimelineAction]] = [(1.0, Put("events", named("e"))), (1.0, Compact()), (30.0, Kill())]
    async with Opening(Case(name="kill", timeline=timeline)) as client:
        pieces: list[bytes] = []
        with pytest.raises(aiohttp.ClientError):
            await collect(client.chunks(EVENTS, resourceVersion=1002), pieces)
        assert client.server.elapsed == pytest.approx(30)

    assert b"".join(pieces).count(b"\n") == 1


async def test_leaving_cuts_what_is_still_open() -> None:
    async with Opening(Case(name="leave", timeline=[(10_000.0, Kill())])) as client:
        watch = asyncio.create_task(client.watch(EVENTS))
        await asyncio.sleep(1)
        assert client.server.open_watches == 1
        assert client.server.now().isoformat() == "2026-01-01T00:00:01+00:00"
        client.server.hang_up()
        with pytest.raises(aiohttp.ClientError):
            await watch


async def test_an_impossible_timeline_fails_the_test() -> None:
    with pytest.raises(LookupError, match="no events team-a/none to delete"):
        async with serve(Case(name="wrong", timeline=[(1.0, Delete("events", "team-a", "none"))])):
            await asyncio.sleep(2)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda server: server.put("widgets", named("w")),
        lambda server: server.restart_from_backup(9999),
    ],
)
async def test_mistakes_of_a_case_are_named(mistake: Callable[[ScriptedServer], object]) -> None:
    async with serve(Case(name="mistake")) as server:
        with pytest.raises((LookupError, ValueError), match="scripted server"):
            mistake(server)
