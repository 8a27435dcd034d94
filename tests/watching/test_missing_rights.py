"""Rights, logins and kinds that come and go; sources that crash; several clusters and namespaces."""

from pathlib import Path
from typing import Any

import pytest

from pipetrail.app.cluster import ClusterOptions
from pipetrail.kube.login import Credentials, FixedLogin, read_token
from pipetrail.sources.events import EventReader
from pipetrail.testing.apiserver import (
    AddCrd,
    Allow,
    Answer,
    Case,
    Fault,
    Forbid,
    Kill,
    Put,
    RemoveCrd,
    RotateTokens,
    TimelineAction,
    serve,
)
from tests.watching.recorded import HOUR, START, VIRTUAL_TIME, Trial, event, pod, recorded

pytestmark = VIRTUAL_TIME
WORKFLOWS = AddCrd("argoproj.io", "v1alpha1", "Workflow", "workflows")


class TokenFileLogin:
    """A token file as the kubelet rotates it: read at the start and after a refusal."""

    def __init__(self, server: str, token: Path) -> None:
        self._token = token
        self._found = Credentials(server=server, authorization=read_token(str(token)))

    async def credentials(self, *, refused: bool = False) -> Credentials:
        if refused:
            self._found.authorization = read_token(str(self._token))
        return self._found


async def test_a_rotated_token_is_read_again(tmp_path: Path) -> None:
    """T-22: 401 after a token rotation: the token is read again, and recording goes on without a restart."""
    token = tmp_path / "token"
    token.write_text("old\n")
    case = Case(
        name="rotation",
        tokens=frozenset({"old"}),
        objects={"events": [event("e1")]},
        timeline=[(60.0, RotateTokens(frozenset({"new"}))), (61.0, Kill())],
    )
    async with serve(case) as server:
        trial = Trial(server, tmp_path, [(TokenFileLogin(server.url, token), ClusterOptions(name="c1"))])
        await trial.start()
        try:
            await trial.after(59)
            token.write_text("new\n")
            await trial.after(6)
            server.put("events", event("e2", at=65))
            await trial.after(1)
            assert trial.blind() == []
            assert trial.totals() == {"e1": 1, "e2": 1}
            assert trial.gaps() == []
        finally:
            await trial.stop()


async def test_a_token_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    """Watching: while every login is refused the recorder is blind and says why; it asks seldom, and recovers."""
    token = tmp_path / "token"
    token.write_text("old\n")
    case = Case(
        name="late", tokens=frozenset({"old"}), timeline=[(60.0, RotateTokens(frozenset({"new"}))), (61.0, Kill())]
    )
    async with serve(case) as server:
        trial = Trial(server, tmp_path, [(TokenFileLogin(server.url, token), ClusterOptions(name="c1"))])
        await trial.start()
        try:
            await trial.after(120)
            assert any("401" in reason for reason in trial.blind())
            token.write_text("new\n")
            await trial.after(40)
            assert trial.blind() == []
            refused = [ask for ask in server.asked("watch", "pods") + server.asked("list", "pods") if ask.at > 61]
            assert len(refused) < 20
        finally:
            await trial.stop()


async def test_a_kind_without_rights_is_named_and_the_rest_is_recorded(tmp_path: Path) -> None:
    """T-23: 403 on pods, 200 on events: events are stored, and the status names the missing verb and resource."""
    case = Case(name="no pods", objects={"events": [event("e1")]}, timeline=[(0.0, Forbid("pods"))])
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)

        assert trial.totals() == {"e1": 1}
        state = trial.state("pods")
        assert (state.state, state.missing_rights) == ("forbidden", ("list and watch pods",))
        assert 'cannot list resource "pods"' in state.reason
        assert trial.blind() == []


async def test_a_right_that_is_given_back_is_used_without_a_restart(tmp_path: Path) -> None:
    """Watching: 403 on one kind stands in the status and ends in recovery, with few requests meanwhile."""
    timeline: list[tuple[float, TimelineAction]] = [
        (30.0, Forbid("pods")),
        (31.0, Kill()),
        (40.0, Put("pods", pod("q"))),
        (630.0, Allow("pods")),
    ]
    async with recorded(Case(name="revoked", objects={"pods": [pod("p")]}, timeline=timeline), tmp_path) as trial:
        await trial.after(600)
        assert trial.state("pods").state == "forbidden"
        asked = [ask for ask in trial.server.requests if ask.resource == "pods" and ask.at > 31]
        assert len(asked) < 30
        await trial.after(70)

        assert trial.state("pods").state == "watching"
        assert trial.state("pods").missing_rights == ()
        assert {version.ref.name for version in trial.objects(kinds=("Pod",))} == {"p", "q"}
        assert trial.gaps("pods") == []  # the watch went on from its version


async def test_without_the_right_to_events_the_recorder_is_not_ready(tmp_path: Path) -> None:
    """Watching: events are what it is for."""
    case = Case(name="no events", timeline=[(0.0, Forbid("events")), (300.0, Allow("events"))])
    async with recorded(case, tmp_path) as trial:
        await trial.after(30)
        assert [reason for reason in trial.blind() if "events" in reason]
        await trial.after(320)

        assert trial.blind() == []
        (gap,) = trial.gaps("events", first_start=True)
        assert (gap.since, gap.reason, gap.loss) == (None, "FirstStart", "possible")
        assert gap.until > START + 300_000_000


async def test_a_kind_that_appears_later_is_watched_until_it_is_removed(tmp_path: Path) -> None:
    """T-24: a CRD comes 60 s after the start, later goes: watched within two minutes; no error loop after it."""
    workflow = {"metadata": {"name": "w", "namespace": "team-a"}, "status": {"phase": "Running"}}
    timeline: list[tuple[float, TimelineAction]] = [
        (60.0, WORKFLOWS),
        (61.0, Put("workflows.argoproj.io", workflow)),
        (400.0, RemoveCrd("workflows.argoproj.io")),
    ]
    async with recorded(Case(name="crd", timeline=timeline), tmp_path) as trial:
        await trial.after(180)
        assert [(v.ref.kind, v.ref.name) for v in trial.objects(kinds=("Workflow",))] == [("Workflow", "w")]
        assert trial.state("workflows.argoproj.io").state == "watching"
        await trial.after(300)
        assert trial.state("workflows.argoproj.io").state == "absent"
        assert trial.blind() == []
        (gone,) = trial.objects(kinds=("Workflow",), deleted=True)
        assert gone.deleted_at == START + 400_000_000
        before = len([ask for ask in trial.server.requests if "workflows" in ask.path])
        await trial.after(HOUR / 4)
        assert len([ask for ask in trial.server.requests if "workflows" in ask.path]) == before

        trial.server.apply(WORKFLOWS)
        trial.server.put("workflows.argoproj.io", workflow | {"metadata": {"name": "v", "namespace": "team-a"}})
        await trial.after(120)
        assert trial.state("workflows.argoproj.io").state == "watching"
        assert {v.ref.name for v in trial.objects(kinds=("Workflow",))} == {"v", "w"}
        assert [gap.loss for gap in trial.gaps("workflows.argoproj.io")] == ["possible"]


async def test_a_kind_that_comes_back_in_another_version_is_read_in_that(tmp_path: Path) -> None:
    """Watching: v1beta1 of a CRD is replaced by v1; what was known of its objects stays known."""
    job: dict[str, Any] = {
        "metadata": {"name": "j", "namespace": "team-a", "uid": "0f9c3a1e-0000-4000-8000-000000000001"},
        "status": {"state": "Running"},
    }
    old = AddCrd("jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets")
    case = Case(name="versions", custom=[old], objects={"jobsets.jobset.x-k8s.io": [job]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(30)
        trial.server.remove_crd("jobsets.jobset.x-k8s.io")
        await trial.after(1)
        trial.server.add_crd("jobset.x-k8s.io", "v1", "JobSet", "jobsets")
        other = job | {"metadata": {"name": "k", "namespace": "team-a"}}
        trial.server.put("jobsets.jobset.x-k8s.io", other)
        await trial.after(200)

        assert trial.state("jobsets.jobset.x-k8s.io").state == "watching"
        assert {v.ref.name: v.ref.api_version for v in trial.objects(kinds=("JobSet",))} == {
            "j": "jobset.x-k8s.io/v1alpha2",
            "k": "jobset.x-k8s.io/v1",
        }
        assert len(trial.events("status", names=("j",), reasons=("Running",))) == 1


async def test_kinds_that_can_not_be_found_out_make_the_recorder_unready(tmp_path: Path) -> None:
    """Watching: discovery fails, by status or by nonsense; the core kinds are recorded, and it is tried again soon."""
    html = Answer(status=200, body=b"<html>login</html>", content_type="text/html")
    faults = [
        Fault(resource="discovery", at=[1], do=Answer(status=500)),
        Fault(resource="discovery", at=[2], do=html),
    ]
    case = Case(name="discovery", custom=[WORKFLOWS], objects={"events": [event("e")]}, faults=faults)
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)
        assert trial.totals() == {"e": 1}
        assert any("discovery" in reason for reason in trial.blind())
        await trial.after(30)

        assert trial.blind() == []
        assert trial.state("workflows.argoproj.io").state == "watching"


async def test_a_namespaced_recorder_asks_for_its_namespaces_only(tmp_path: Path) -> None:
    """T-87: with a Role alone: lists and watches stay in the namespaces, and what has none is left out."""
    other = event("other") | {"metadata": {"name": "other", "namespace": "team-b"}}
    objects = {"events": [event("e1"), other], "pods": [pod("p")]}
    forbidden = ("events", "pods", "nodes", "namespaces", "jobs.batch", "persistentvolumeclaims")
    case = Case(
        name="namespaced",
        objects=objects,
        timeline=[(0.0, Forbid(resource, cluster_scope_only=True)) for resource in forbidden],
    )
    options = ClusterOptions(name="c1", namespaces=("team-a", "team-c"))
    async with recorded(case, tmp_path, options=options) as trial:
        await trial.after(5)
        trial.server.put("events", event("e2", at=5))
        await trial.after(5)

        assert trial.totals() == {"e1": 1, "e2": 1}
        assert trial.blind() == []
        paths = {ask.path for ask in trial.server.requests if ask.verb in ("list", "watch")}
        assert all("/namespaces/team-a/" in path or "/namespaces/team-c/" in path for path in paths)
        assert len([path for path in paths if "team-c" in path]) == len([path for path in paths if "team-a" in path])
        assert trial.state("team-a/events").state == "watching"


async def test_a_source_that_crashes_is_started_again_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watching: an error that nobody foresaw ends one source for some seconds; it says so, and is whole again."""
    case = Case(name="crash", objects={"events": [event("e1")], "pods": [pod("p")]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)
        source = trial.running.clusters[0].following["events"].source
        with monkeypatch.context() as patched:
            patched.setattr(source, "_read_frames", lambda *_: 1 / 0)
            trial.server.put("events", event("e2", at=5))
            await trial.after(1)
            assert trial.blind() == ["c1: events: an internal error; see the log"]
            assert trial.state("events").state == "blind"
            trial.server.put("pods", pod("q"))
            await trial.after(1)
            assert {version.ref.name for version in trial.objects(kinds=("Pod",))} == {"p", "q"}
        await trial.after(10)

        assert trial.totals() == {"e1": 1, "e2": 1}
        assert trial.blind() == []
        assert trial.state("events").state == "watching"


async def test_an_object_that_no_reader_foresaw_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad input: an error over one Event is kept as a reject; its neighbours are stored."""
    read = EventReader.read

    def odd(self: EventReader, found: Any, arrived: int) -> Any:
        if found.metadata.name == "odd":
            raise OverflowError("too odd")
        return read(self, found, arrived)

    monkeypatch.setattr(EventReader, "read", odd)
    case = Case(name="odd", objects={"events": [event("e1"), event("odd"), event("e2")]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)
        trial.server.put("events", event("e3", at=5))
        await trial.after(2)

        assert trial.totals() == {"e1": 1, "e2": 1, "e3": 1}
        assert [(where, reason) for where, reason, _ in trial.rejects()] == [("events", "OverflowError: too odd")]


async def test_many_clusters_share_one_journal(tmp_path: Path) -> None:
    """Watching: each keeps its own Events, objects and positions, although their names and uids are the same."""
    cases = [
        Case(name=f"c{number}", objects={"events": [event("e", number + 1)], "pods": [pod("p")]}) for number in range(4)
    ]
    async with serve(cases[0]) as a, serve(cases[1]) as b, serve(cases[2]) as c, serve(cases[3]) as d:
        servers = (a, b, c, d)
        logins = [(FixedLogin(server.url), ClusterOptions(name=server.case.name)) for server in servers]
        trial = Trial(a, tmp_path, logins)
        await trial.start()
        try:
            await trial.after(3)
            b.put("events", event("e", 10, at=3))
            c.kill_connections()
            d.compact(caches=True)
            await trial.restart()
            await trial.after(3)
            totals = {
                server.case.name: sum(found.count for found in trial.events(clusters=(server.case.name,)))
                for server in servers
            }
            assert totals == {"c0": 1, "c1": 10, "c2": 3, "c3": 4}
            assert {version.cluster for version in trial.objects(kinds=("Pod",))} == {"c0", "c1", "c2", "c3"}
        finally:
            await trial.stop()
