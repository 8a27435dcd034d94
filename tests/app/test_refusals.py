"""Runs that a quota keeps from starting: the event that says so, beside the objects that do not."""

from pathlib import Path

import msgspec
import pytest

from pipetrail.app.runs import runs_of
from pipetrail.model import Batch, Event, Link, ObjectRef, ObjectVersion
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.testing.strategies import START

JOB = ObjectRef(api_version="batch/v1", kind="Job", namespace="ml", name="train", uid="uid-of-train")
REFUSED = 'Error creating: pods "train-x" is forbidden: exceeded quota: gpus, requested: 4, used: 4, limited: 4'
HOUR = 3600 * SECOND


def job(**status: object) -> ObjectVersion:
    body = msgspec.json.encode({"metadata": {"name": "train", "uid": JOB.uid}, "status": status})
    return ObjectVersion(cluster="c", ref=JOB, observed_at=START, created_at=START, body=body)


def refusal(at: int, message: str = REFUSED, run: str = JOB.uid) -> Event:
    link = Link(rel="subject", system="job", run=run)
    return Event(
        number=at,
        cluster="c",
        at=at,
        observed_at=at,
        origin="kubernetes",
        about=JOB,
        reason="FailedCreate",
        message=message,
        links=(link,),
    )


def told(path: Path, version: ObjectVersion, *events: Event, now: int = START + HOUR // 2) -> tuple[str, str]:
    journal = Journal(str(path / "j.db"))
    journal.append(
        [Batch(cluster="c", resource="jobs.batch", objects=[version], events=list(events), alive_at=1 << 60)]
    )
    journal.close()
    with JournalReader(str(path / "j.db")) as reader:
        (run,) = runs_of(reader, now)
    return run.state, run.why


def test_a_job_whose_pods_are_refused_says_what_refuses_them(tmp_path: Path) -> None:
    assert told(tmp_path, job(startTime="x"), refusal(START)) == ("Pending", REFUSED)


def test_of_several_refusals_the_last_is_told(tmp_path: Path) -> None:
    events = [refusal(START, "first"), refusal(START + 60 * SECOND, "second")]

    assert told(tmp_path, job(), *events) == ("Pending", "second")


def test_what_waits_for_too_long_still_says_it(tmp_path: Path) -> None:
    at = START + 2 * HOUR

    assert told(tmp_path, job(), refusal(at), now=at + 60 * SECOND) == ("Stuck", REFUSED)


def test_a_refusal_of_long_ago_is_not_why_it_waits_now(tmp_path: Path) -> None:
    assert told(tmp_path, job(), refusal(START), now=START + 2 * HOUR) == ("Stuck", "")


@pytest.mark.parametrize("run", ["another", ""])
def test_a_refusal_of_another_run_is_none(tmp_path: Path, run: str) -> None:
    assert told(tmp_path, job(), refusal(START, run=run)) == ("Pending", "")


def test_a_job_that_runs_has_nothing_to_say(tmp_path: Path) -> None:
    assert told(tmp_path, job(active=1), refusal(START)) == ("Running", "")
