"""Verdicts of a running recorder: soon after the change that decides them, and corrected by what comes later."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from pipetrail.catalogue import load
from pipetrail.testing.apiserver import Case, Object
from tests.watching.recorded import OPTIONS, VIRTUAL_TIME, Trial, pod, recorded, stamp

pytestmark = VIRTUAL_TIME
RESOLVER = {"name": "in-house", "run": {"label": "team.example/run-id"}}
JUDGING = replace(OPTIONS, catalogue=load(), resolvers=(RESOLVER,))
KILLED = {"exitCode": 137, "reason": "OOMKilled", "startedAt": stamp(1), "finishedAt": stamp(20)}


def main(state: str, **said: Any) -> Object:
    return {"name": "main", "restartCount": 0, "state": {state: said}}


def trainer(phase: str, container: Object) -> Object:
    """The pod of a run: its label says so."""
    metadata = {"labels": {"team.example/run-id": "r1"}}
    made = pod("train", phase, metadata=metadata, status={"phase": phase, "containerStatuses": [container]})
    return made | {"spec": {"nodeName": "n1", "restartPolicy": "Never", "containers": [{"name": "main"}]}}


def told(trial: Trial) -> list[tuple[str, str]]:
    return [(event.action, event.reason) for event in trial.events("verdict")]


async def test_a_pod_that_is_killed_is_judged_within_a_second(tmp_path: Path) -> None:
    case = Case(name="oom", objects={"pods": [trainer("Running", main("running", startedAt=stamp(1)))]})
    async with recorded(case, tmp_path, options=JUDGING) as trial:
        await trial.after(20)
        assert told(trial) == []
        trial.server.put("pods", trainer("Failed", main("terminated", **KILLED)))
        await trial.after(1)

        assert told(trial) == [("Failed", "oom_killed")]


async def test_a_restart_tells_nothing_twice(tmp_path: Path) -> None:
    case = Case(name="oom", objects={"pods": [trainer("Failed", main("terminated", **KILLED))]})
    async with recorded(case, tmp_path, options=JUDGING) as trial:
        await trial.after(5)
        before = trial.events("verdict")
        await trial.restart(after=5)
        await trial.after(400)

        assert trial.events("verdict") == before
        assert len(before) == 1


async def test_a_crash_before_the_verdict_is_made_good(tmp_path: Path) -> None:
    case = Case(name="oom", objects={"pods": [trainer("Running", main("running", startedAt=stamp(1)))]})
    async with recorded(case, tmp_path, options=JUDGING) as trial:
        await trial.after(20)
        trial.server.put("pods", trainer("Failed", main("terminated", **KILLED)))
        await trial.after(0.3)
        assert told(trial) == []
        await trial.crash()
        await trial.start()
        await trial.after(5)

        assert told(trial) == [("Failed", "oom_killed")]


async def test_without_a_catalogue_a_recorder_judges_nothing(tmp_path: Path) -> None:
    case = Case(name="oom", objects={"pods": [trainer("Failed", main("terminated", **KILLED))]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)

        assert trial.events("verdict") == []
