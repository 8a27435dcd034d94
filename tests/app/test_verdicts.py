"""Verdicts as events: told when a run ends, is preempted or gets over it; corrected, never changed; never doubled."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipetrail.analysis.diagnosis import Verdict, diagnose
from pipetrail.app import verdicts as module
from pipetrail.app.judging import judged
from pipetrail.app.reading import RunReader
from pipetrail.app.verdicts import SETTLED, Told, Verdicts, verdict_event
from pipetrail.app.why import subjects
from pipetrail.catalogue import Catalogue
from pipetrail.model import Batch, Event, Link, ObjectQuery, ObjectRef, Query
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.stores.sqlite.standings import standings
from tests.app.recorded import configured, folder_of, put
from tests.conftest import RECORDINGS
from tests.sources.playing import frames

LATE = 1 << 60
OOM = RECORDINGS / "job-oom-backofflimit"
PREEMPTED = RECORDINGS / "kueue-priority-preemption"


def verdicts(path: str) -> list[Event]:
    with JournalReader(path) as reader:
        return list(reader.events(Query(origins=("verdict",), order="seq")))


def judge(of: Verdicts, path: str, now: int = LATE) -> list[Event]:
    """One look at all that is due; what it came to is stored."""
    with JournalReader(path) as reader:
        batches = of.settle(of.judge(reader, of.due(now), now))
    journal = Journal(path)
    journal.append(batches)
    journal.close()
    return [event for batch in batches for event in batch.events]


def restored(path: str, name: str, catalogue: Catalogue) -> Verdicts:
    found = Verdicts(name, catalogue, configured(), clock=time.monotonic)
    with JournalReader(path) as reader:
        found.restore(reader, 0)
    return found


# ---- when they are told


def test_a_run_that_fails_is_told_as_an_event_about_its_root(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, catalogue)
    (found,) = verdicts(path)

    assert (found.reason, found.action, found.severity) == ("oom_killed", "Failed", "error")
    assert (found.about.kind, found.about.name) == ("Job", "train-churn")
    assert [(link.rel, link.run_name, link.via) for link in found.links] == [("subject", "churn-2041", "verdict")]
    assert found.message


def test_its_body_is_the_verdict(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, catalogue)
    (found,) = verdicts(path)

    assert found.verdict is not None
    assert found.verdict.keys() >= set(Verdict.__struct_fields__)
    assert found.verdict["cause"] == "oom_killed"


def test_a_preemption_is_told_when_it_happens_and_again_when_the_run_got_over_it(
    path: str, catalogue: Catalogue
) -> None:
    put(PREEMPTED, path, catalogue)
    first, second = verdicts(path)

    assert [(one.action, one.reason, one.severity) for one in (first, second)] == [
        ("Preempted", "preempted", "warning"),
        ("Succeeded", "preempted", "info"),
    ]
    assert second.supersedes is None
    assert first.observed_at < second.at


def test_nothing_is_told_of_runs_that_go_well(path: str, catalogue: Catalogue) -> None:
    put(RECORDINGS / "pytorchjob-success", path, catalogue)

    assert verdicts(path) == []


def test_without_a_catalogue_nothing_is_told(path: str) -> None:
    put(OOM, path, None)

    assert verdicts(path) == []
    with JournalReader(path) as reader:
        assert standings(reader) == []


def test_how_each_run_stands_is_told(path: str, catalogue: Catalogue) -> None:
    put(PREEMPTED, path, catalogue)
    with JournalReader(path) as reader:
        assert {(one.name, one.state) for one in standings(reader)} == {
            ("sweep-88", "Succeeded"),
            ("hotfix-5", "Succeeded"),
        }


def test_verdicts_are_no_source(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, catalogue)
    put(OOM, other := path + "2", None)
    with JournalReader(path) as reader, JournalReader(other) as plain:
        assert reader.sources() == plain.sources()


# ---- once


def test_what_was_played_before_is_not_told_again(path: str, catalogue: Catalogue) -> None:
    put(PREEMPTED, path, catalogue)
    before = verdicts(path)
    put(PREEMPTED, path, catalogue)

    assert verdicts(path) == before


def test_a_program_that_starts_anew_tells_nothing_twice(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, catalogue)
    fresh = restored(path, OOM.name, catalogue)

    assert judge(fresh, path) == []
    assert len(verdicts(path)) == 1


def test_a_program_that_forgot_what_it_told_comes_to_the_same_event(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, catalogue)
    before = verdicts(path)
    forgetful = Verdicts(OOM.name, catalogue, configured(), clock=time.monotonic)
    forgetful.note([changes(path)], 0)

    (again,) = judge(forgetful, path)
    assert again.id == before[0].id
    assert verdicts(path) == before


@pytest.mark.parametrize("cut", [20, 60, 100])
def test_a_recording_in_two_parts_ends_with_the_same_verdict(
    cut: int, path: str, tmp_path: Path, catalogue: Catalogue
) -> None:
    lines = frames(OOM)
    for part in (lines[:cut], lines):
        put(folder_of(part, OOM.name, tmp_path), path, catalogue)
        shutil.rmtree(tmp_path / OOM.name)
    put(OOM, whole := str(tmp_path / "whole.db"), catalogue)

    found, expected = verdicts(path), verdicts(whole)
    assert len({one.id for one in found}) == len(found)
    assert [(one.id, one.reason) for one in found][-1:] == [(one.id, one.reason) for one in expected][-1:]


def changes(path: str) -> Batch:
    """A batch in which an object of the run changed."""
    with JournalReader(path) as reader:
        event = next(one for one in reader.events(Query(origins=("status",))) if one.links)
        (version, *_) = reader.objects(ObjectQuery(uids=(event.about.uid,), clusters=(event.cluster,)))
    return Batch(cluster=event.cluster, resource="jobs.batch", events=[event], objects=[version])


# ---- corrected


@pytest.fixture
def failed(path: str, catalogue: Catalogue) -> Iterator[tuple[RunReader, Verdict]]:
    put(OOM, path, catalogue)
    with JournalReader(path) as reader:
        runs = RunReader(reader, LATE, configured())
        (subject,) = subjects(runs, "churn-2041")
        verdict = diagnose(subject.read.case, catalogue)
        assert verdict is not None
        yield runs, verdict


def test_a_better_verdict_supersedes_the_one_before(failed: tuple[RunReader, Verdict]) -> None:
    runs, verdict = failed
    (subject,) = subjects(runs, "churn-2041")
    first = verdict_event(subject.read, replace(verdict, cause="killed", confidence="low"), None, LATE)
    assert first is not None
    last = Told(first.id, first.action, tuple((first.verdict or {})["gist"]))
    second = verdict_event(subject.read, verdict, last, LATE)

    assert second is not None
    assert second.supersedes == first.id
    assert second.id != first.id


def test_one_that_says_the_same_is_not_told(failed: tuple[RunReader, Verdict]) -> None:
    runs, verdict = failed
    (subject,) = subjects(runs, "churn-2041")
    first = verdict_event(subject.read, verdict, None, LATE)
    assert first is not None
    last = Told(first.id, first.action, tuple((first.verdict or {})["gist"]))

    assert verdict_event(subject.read, replace(verdict, summary="in other words"), last, LATE + 1) is None


def test_one_on_another_state_supersedes_nothing(failed: tuple[RunReader, Verdict]) -> None:
    runs, verdict = failed
    (subject,) = subjects(runs, "churn-2041")
    found = verdict_event(subject.read, verdict, Told("0" * 30, "Stuck", ("Stuck", "1", "x")), LATE)

    assert found is not None
    assert found.supersedes is None


def test_what_comes_later_corrects_what_was_told(
    path: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(OOM, path, None)
    ours = restored(path, OOM.name, catalogue)
    monkeypatch.setattr(
        module,
        "judged",
        lambda *of, **how: replace(judged(*of, **how) or pytest.fail("no verdict"), cause="exit_unknown"),
    )
    (first,) = judge(ours, path, LATE)
    monkeypatch.setattr(module, "judged", judged)
    assert judge(ours, path, LATE + 30 * SECOND) == []  # not looked at yet
    (second,) = judge(ours, path, LATE + 61 * SECOND)

    assert [(one.reason, one.supersedes) for one in verdicts(path)] == [
        ("exit_unknown", None),
        ("oom_killed", first.id),
    ]
    assert second.supersedes == first.id
    assert judge(ours, path, LATE + 200 * SECOND) == []


# ---- cheaply


def test_events_alone_make_no_work(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, None)
    ours = Verdicts(OOM.name, catalogue, clock=time.monotonic)
    ours.note([replace(changes(path), objects=[])], 0)

    assert ours.due(LATE) == []


def test_an_object_that_changed_no_state_makes_no_work(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, None)
    ours = Verdicts(OOM.name, catalogue, clock=time.monotonic)
    ours.note([replace(changes(path), events=[])], 0)

    assert ours.due(LATE) == []


def test_many_changes_of_a_run_are_one_look_at_it_half_a_second_after_the_first(
    path: str, catalogue: Catalogue
) -> None:
    put(OOM, path, None)
    ours = Verdicts(OOM.name, catalogue, clock=time.monotonic)
    for at in range(10):
        ours.note([changes(path)], at)

    assert ours.due(SETTLED - 1) == []
    assert len(ours.due(SETTLED)) == 1
    assert ours.due(LATE) == []


def test_what_does_not_fit_into_the_budget_is_done_the_next_time(path: str, catalogue: Catalogue) -> None:
    put(PREEMPTED, path, None)
    ticks = iter(range(100))
    ours = Verdicts(PREEMPTED.name, catalogue, configured(), clock=lambda: next(ticks), budget=0.5)
    with JournalReader(path) as reader:
        ours.restore(reader, 0)
        first = ours.judge(reader, ours.due(1), 1)
        ours.settle(first)

        assert first.standings == []
        assert len(ours.due(1)) == 2


def test_a_run_that_can_not_be_judged_stops_nothing(
    path: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(OOM, path, None)
    ours = restored(path, OOM.name, catalogue)
    monkeypatch.setattr(module, "judged", lambda *_, **__: 1 // 0)

    assert judge(ours, path) == []


def test_a_run_of_which_nothing_is_left_is_left_out(path: str, catalogue: Catalogue) -> None:
    Journal(path).close()
    about = ObjectRef(api_version="v1", kind="Pod", namespace="ml", name="p", uid="u")
    link = Link(rel="subject", system="job", run="gone")
    event = Event(
        number=1, cluster="c", at=1, observed_at=1, origin="status", about=about, reason="Failed", links=(link,)
    )
    put(OOM, path, None)
    ours = Verdicts("c", catalogue, clock=time.monotonic)
    ours.note([replace(changes(path), events=[event])], 0)

    assert judge(ours, path) == []
