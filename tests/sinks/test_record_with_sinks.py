"""`pipetrail record` with sinks in its configuration: delivery is a child that may die, and is never left behind."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pipetrail.control import ask
from pipetrail.model import Query
from pipetrail.stores.sqlite import JournalError, JournalReader
from pipetrail.testing.apiserver import Case, ScriptedServer, serve
from tests.app.deliveries_run import DEADLINE, Process, running, told, until
from tests.watching.recorded import event


def kubeconfig(path: Path, url: str) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "t"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(json.dumps(config), encoding="utf-8")
    return str(path)


class Trial:
    """A recorder of a scripted cluster, as a process with its child."""

    def __init__(self, server: ScriptedServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.journal, self.out = str(folder / "journal.db"), folder / "out.jsonl"
        self.kubeconfig = kubeconfig(folder / "kubeconfig", server.url)
        self.process: Process | None = None

    def configure(self, **sinks: dict[str, Any]) -> None:
        """Write the configuration: files that begin with the oldest, with events alone."""
        whole = {
            name: {"type": "file", "start": "oldest", "hold": 0, "match": {"reason": "BackOff"}, **settings}
            for name, settings in sinks.items()
        }
        clusters = [{"kubeconfig": self.kubeconfig, "name": "prod"}]
        text = json.dumps({"clusters": clusters, "journal": self.journal, "sinks": whole})
        (self.folder / "c.yaml").write_text(text, encoding="utf-8")

    @contextlib.asynccontextmanager
    async def recording(self, *more: str) -> AsyncIterator[Process]:
        arguments = ["record", "--config", str(self.folder / "c.yaml"), "--listen", "", *more]
        with running(self.folder / "log", *arguments) as process:
            self.process = process
            yield process
            if process.process.poll() is None:
                assert await asyncio.to_thread(process.end) == 0
            await self.until(lambda: self.child() is None or not alive(self.child()))

    def damage_state(self) -> None:
        """Let the child's file be one that it can't use."""
        Path(self.journal + ".sinks").write_text("no database", encoding="utf-8")

    def happen(self, *names: str) -> None:
        for name in names:
            self.server.put("events", event(name))

    async def until(self, found: Callable[[], Any], wanted: Callable[[Any], bool] = bool) -> Any:
        return await asyncio.to_thread(until, found, wanted)

    async def arrived(self, *names: str, out: Path | None = None) -> None:
        """Wait until exactly these have arrived, each once."""
        wanted = sorted(f"Back-off of {name}" for name in names)
        await self.until(lambda: sorted(told(out or self.out)), lambda found: found == wanted)

    def child(self) -> int | None:
        """The process that delivers, or delivered last."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(Path(self.journal + ".sinks.lock").read_text())
        return None


def alive(pid: int | None) -> bool:
    """Whether a process runs that nobody only has to be told the end of."""
    try:
        return pid is not None and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextlib.asynccontextmanager
async def trial(folder: Path) -> AsyncIterator[Trial]:
    async with serve(Case(name="record with sinks")) as server:
        made = Trial(server, folder)
        made.configure(audit={"path": str(made.out)})
        yield made


async def test_events_of_the_cluster_arrive_and_both_processes_end_in_order(tmp_path: Path) -> None:
    async with trial(tmp_path) as made:
        made.happen("a", "b")
        async with made.recording():
            await made.arrived("a", "b")
            made.happen("c")
            await made.arrived("a", "b", "c")
            child = made.child()
            assert alive(child)

        assert not alive(child)
        assert "Traceback" not in (tmp_path / "log").read_text()


async def test_a_killed_child_is_started_again_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    async with trial(tmp_path) as made:
        made.happen("a")
        async with made.recording() as process:
            await made.arrived("a")
            first = made.child()
            assert first is not None
            os.kill(first, signal.SIGKILL)
            made.happen("b", "c")
            await made.until(lambda: "was ended by signal 9" in process.log)
            await made.arrived("a", "b", "c")
            assert made.child() != first
            status = await asyncio.to_thread(ask, made.journal, {"do": "status"}, DEADLINE)

    assert status is not None
    assert status["result"]["sinks"] == ""


async def test_a_recorder_that_is_killed_leaves_no_child_behind(tmp_path: Path) -> None:
    async with trial(tmp_path) as made:
        made.happen("a")
        async with made.recording() as process:
            await made.arrived("a")
            child = made.child()
            assert alive(child)
            await asyncio.to_thread(process.end, signal.SIGKILL)
            await made.until(lambda: not alive(child))


async def test_sighup_reaches_the_child(tmp_path: Path) -> None:
    async with trial(tmp_path) as made:
        made.happen("a")
        async with made.recording() as process:
            await made.arrived("a")
            more = tmp_path / "more.jsonl"
            made.configure(audit={"path": str(made.out)}, more={"path": str(more)})
            process.hang_up()
            await made.arrived("a", out=more)
            made.happen("b")
            await made.arrived("a", "b")
            assert process.log.count("Delivery to the sinks was started.") == 1


async def test_sighup_starts_the_child_when_the_configuration_has_sinks_now(tmp_path: Path) -> None:
    async with trial(tmp_path) as made:
        made.configure()
        made.happen("a")
        async with made.recording() as process:
            await recorded(made, 1)
            assert made.child() is None
            made.configure(audit={"path": str(made.out)})
            process.hang_up()
            await made.arrived("a")


async def test_a_child_that_can_not_start_does_not_stop_the_recording_and_is_told(tmp_path: Path) -> None:
    async with trial(tmp_path) as made:
        made.damage_state()
        made.happen("a")
        async with made.recording() as process:
            await recorded(made, 1)
            await made.until(lambda: process.log.count("Delivery to the sinks ended") >= 2)
            status = await asyncio.to_thread(ask, made.journal, {"do": "status"}, DEADLINE)
            shown = await asyncio.to_thread(sinks, made)
            made.happen("b")
            await recorded(made, 2)

    assert status is not None
    assert status["result"]["sinks"] == "delivery ended with code 3"
    assert "it is damaged" in shown


def sinks(made: Trial) -> str:
    command = [sys.executable, "-m", "pipetrail", "sinks", "--journal", made.journal]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    return done.stdout + done.stderr


async def recorded(made: Trial, count: int) -> None:
    """Wait until so many events of the case are in the journal."""

    def found() -> int:
        with contextlib.suppress(JournalError), JournalReader(made.journal) as reader:
            return sum(1 for _ in reader.events(Query(reasons=("BackOff",))))
        return 0  # there is none yet

    await made.until(found, lambda number: number == count)


async def test_without_sinks_nothing_is_sent(tmp_path: Path) -> None:
    async with trial(tmp_path) as made:
        made.happen("a")
        async with made.recording("--no-sinks"):
            await recorded(made, 1)
            assert made.child() is None
    assert not made.out.exists()


async def test_a_gap_is_recorded_by_the_recorder_that_runs(tmp_path: Path) -> None:
    async with trial(tmp_path) as made:
        made.happen("a")
        async with made.recording("--no-sinks"):
            await recorded(made, 1)
            skipped = {"sink": "audit", "events": 7, "after": 0, "upto": 9}
            answer = await asyncio.to_thread(ask, made.journal, {"do": "gap", "skipped": skipped}, DEADLINE)
            wrong = await asyncio.to_thread(ask, made.journal, {"do": "gap", "skipped": {"sink": 5}}, DEADLINE)
        with JournalReader(made.journal) as reader:
            found = [gap for gap in reader.gaps() if gap.resource == "sinks/audit"]

    assert answer == {"ok": True, "result": {"gaps": 1}}
    assert wrong is not None
    assert wrong["ok"] is False
    assert [(gap.reason, gap.loss) for gap in found] == [("pruned-before-delivery", "possible")]


@pytest.mark.parametrize(
    "text", ["sinks: {audit: {type: fiel}}\n", "sinks: {a: {type: webhook, url: '${NOT_SET_X}'}}\n"]
)
async def test_a_recorder_refuses_sinks_with_mistakes(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    with running(tmp_path / "log", "record", "--config", str(tmp_path / "c.yaml"), "--listen", "") as process:
        assert await asyncio.to_thread(process.process.wait, DEADLINE) == 2

    assert f"{tmp_path}/c.yaml:1: sinks." in process.log
