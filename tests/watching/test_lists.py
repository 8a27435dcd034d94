"""Lists and refusals: pages that expire, servers that ask for patience, servers that never recover."""

from pathlib import Path

import pytest

from pipetrail.testing.apiserver import (
    Answer,
    Case,
    ClearFaults,
    EmptyAnswer,
    Fault,
    FaultAction,
    Generated,
    HeadersOnly,
    Kill,
    NoAnswer,
    Reset,
    ScriptedServer,
    Stream,
    expired_continue,
    failure,
)
from tests.watching.recorded import VIRTUAL_TIME, Trial, event, pod, recorded, stamp

pytestmark = VIRTUAL_TIME


def many(count: int) -> Generated:
    """So many Events that are only listed."""
    template = event("run-{n}", at=-60) | {"message": "Back-off of row {n}"}
    template["metadata"] |= {"uid": "{n}0-0000-4000-8000-000000000000", "creationTimestamp": stamp(-60)}
    template["involvedObject"] |= {"name": "run-{n}"}
    return Generated(resource="events", count=count, template=template)


async def until(trial: Trial, count: int, seconds: int) -> int:
    """Wait until so many events are stored; returns how many are."""
    for _ in range(seconds):
        await trial.after(1)
        if trial.running.writer.done.events >= count:
            break
    with trial.reader() as reader:
        return int(reader.db.execute("SELECT sum(events) FROM segments").get)


async def listed_across_an_expiry(folder: Path, count: int, after_page: int) -> int:
    """List many Events with a continue token that dies once; returns how many lists it took."""
    case = Case(name="many", generated=[many(count)], faults=[expired_continue("events", after_page=after_page)])
    async with recorded(case, folder) as trial:
        found = await until(trial, count, 600)
        starts = len(trial.gaps(first_start=True))
        assert found - starts - len(trial.events("status")) == count
        assert not [gap for gap in trial.gaps("events", first_start=True) if gap.reason != "FirstStart"]
        await trial.after(5)
        assert trial.state("events").state == "watching"
        return trial.lists("events")


async def test_a_list_whose_continue_token_dies_is_finished_and_repeated(tmp_path: Path) -> None:
    """T-20, small: 8,000 Events, the token dies after page 7: all are stored, none twice."""
    assert await listed_across_an_expiry(tmp_path, 8_000, 7) == 2


def forget_peak() -> None:
    """Let the peak of this process's memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory(name: str) -> int:
    """A figure of this process's memory, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.mark.release
@pytest.mark.timeout(1800)
async def test_a_million_events_are_listed_across_an_expiry_in_little_memory(tmp_path: Path) -> None:
    """T-20: 1,000,000 Events, the token dies after page 40; the memory of the process, server included, is bounded."""
    forget_peak()
    before = memory("VmRSS")
    assert await listed_across_an_expiry(tmp_path, 1_000_000, 40) == 2
    assert memory("VmHWM") - before < 256 * 1024


async def test_a_token_that_is_refused_for_ever_does_not_make_a_storm(tmp_path: Path) -> None:
    """T-20: each continue token, fresh ones too, gets a 410: blind with a reason, and few requests."""
    events = [event(f"e{number}") for number in range(600)]
    faults = [expired_continue("events", after_page=1, times=10_000)]
    async with recorded(Case(name="no token", objects={"events": events}, faults=faults), tmp_path) as trial:
        await trial.after(120)
        assert any("expires faster" in reason for reason in trial.blind())
        assert len(trial.server.asked("list", "events")) < 120
        trial.server.apply(ClearFaults())
        await trial.after(60)

        assert len(trial.totals()) == 600
        assert trial.blind() == []


async def test_a_page_in_the_middle_is_asked_for_again(tmp_path: Path) -> None:
    """Lists: one failed page costs one page, not the list."""
    events = [event(f"e{number}") for number in range(1200)]
    faults = [Fault(resource="events", verb="list", page=2, do=Answer(status=500))]
    async with recorded(Case(name="page", objects={"events": events}, faults=faults), tmp_path) as trial:
        await trial.after(10)

        assert len(trial.totals()) == 1200
        assert trial.lists("events") == 1


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(tmp_path: Path, status: int, verb: str) -> None:
    """Watching: who is asked to wait 20 s waits 20 s, and says that it is blind."""
    fault = Fault(resource="pods", verb=verb, do=Answer(status=status, retry_after=20))  # type: ignore[arg-type]
    async with recorded(Case(name="busy", objects={"pods": [pod("p")]}, faults=[fault]), tmp_path) as trial:
        await trial.after(19)
        assert any(str(status) in reason for reason in trial.blind())
        assert len(trial.server.asked(verb, "pods")) == 1  # type: ignore[arg-type]
        await trial.after(15)

        asked = [ask for ask in trial.server.asked(verb, "pods") if "resourceVersionMatch" not in ask.query]  # type: ignore[arg-type]
        assert 20 <= asked[1].at - asked[0].at < 31
        assert trial.blind() == []
        assert len(trial.objects(kinds=("Pod",))) == 1


async def test_a_wait_of_a_day_is_not_believed(tmp_path: Path) -> None:
    """Watching: a Retry-After that would mean blindness for a day is cut to minutes."""
    fault = Fault(resource="pods", verb="list", do=Answer(status=503, retry_after=86_400))
    async with recorded(Case(name="long", faults=[fault]), tmp_path) as trial:
        await trial.after(330)

        assert trial.blind() == []


@pytest.mark.parametrize(
    "wrong",
    [
        Answer(status=500),
        Answer(status=200, body=b"<html>sorry</html>\n", content_type="text/html"),
        Reset(),
        NoAnswer(),
        HeadersOnly(),
        EmptyAnswer(),
        Stream(after=0, end="error", error=failure(500, "etcd is gone")),
        Stream(after=0, end="error"),
    ],
    ids=["500", "nonsense", "reset", "no answer", "silence", "empty", "error frame", "410 for ever"],
)
async def test_a_server_that_fails_for_ever_gets_few_requests(tmp_path: Path, wrong: FaultAction) -> None:
    """Watching: whatever goes wrong with everything, a kind makes at most 12 requests a minute; then it recovers."""
    async with recorded(Case(name="failing", objects={"pods": [pod("p")]}), tmp_path) as trial:
        await trial.after(5)
        trial.server.inject(Fault(do=wrong, times=None))
        trial.server.kill_connections()
        await trial.after(300)
        for at in range(0, 240, 60):
            assert len(asked_between(trial.server, "pods", at + 65, at + 125)) <= 12
        assert len(asked_between(trial.server, "pods", 5, 65)) <= 25
        trial.server.apply(ClearFaults())
        trial.server.apply(Kill())
        trial.server.put("pods", pod("q"))
        await trial.after(100)

        assert {version.ref.name for version in trial.objects(kinds=("Pod",))} == {"p", "q"}
        assert trial.blind() == []


def asked_between(server: ScriptedServer, name: str, since: float, until: float) -> list[float]:
    return [ask.at for ask in server.requests if ask.resource == name and since <= ask.at < until]
