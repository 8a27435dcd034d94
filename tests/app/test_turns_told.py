"""How runs stand is told with all that is known of them, once for each change, and corrected when the cause changes."""

import time
from typing import Any

import pytest
from msgspec.structs import replace

from pipetrail.analysis.diagnosis import Verdict
from pipetrail.app import verdicts as module
from pipetrail.app.feeding import JournalFeed
from pipetrail.app.judging import judged
from pipetrail.app.standing import losses, owner_labels
from pipetrail.app.verdicts import Verdicts
from pipetrail.catalogue import Catalogue
from pipetrail.model import Batch, Event, ObjectQuery, Query, Standing
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.stores.sqlite.turns import Turn, turns
from pipetrail.testing.strategies import START
from tests.app.recorded import configured, put
from tests.conftest import RECORDINGS
from tests.stores import facts

OOM = RECORDINGS / "job-oom-backofflimit"
PREEMPTED = RECORDINGS / "kueue-priority-preemption"
LATE = 1 << 60


def told(path: str, name: str = "") -> list[Turn]:
    with JournalReader(path) as reader:
        found = turns(reader.db, "1 ORDER BY t.seq", ())
    return [turn for turn in found if name in ("", turn.standing.name)]


def last(path: str, name: str) -> Standing:
    return told(path, name)[-1].standing


def looked_at_again(path: str, catalogue: Catalogue) -> None:
    """A program that starts anew looks at all runs of the recording, as if each had just changed."""
    ours = Verdicts(OOM.name, catalogue, configured(), clock=time.monotonic)
    with JournalReader(path) as reader:
        ours.restore(reader, 0)
        event = next(one for one in reader.events(Query(origins=("status",))) if one.links)
        versions = list(reader.objects(ObjectQuery(uids=(event.about.uid,))))
        ours.note([Batch(cluster=OOM.name, resource="pods", events=[event], objects=versions)], 0)
        batches = ours.settle(ours.judge(reader, ours.due(LATE), LATE))
    journal = Journal(path)
    journal.append(batches)
    journal.close()


def test_a_run_that_failed_says_all_that_is_known_of_it(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, catalogue)
    found = last(path, "churn-2041")

    assert (found.state, found.reason, found.category) == ("Failed", "oom_killed", "oom")
    assert found.blame
    assert found.created is not None
    assert found.started is not None
    assert found.at == found.finished
    assert (found.root.kind, found.root.name) == ("Job", "train-churn")
    assert sum(found.phases.values()) <= found.at - found.created
    assert found.phases["running"] > 0


def test_each_change_of_state_is_a_turn(path: str, catalogue: Catalogue) -> None:
    put(PREEMPTED, path, catalogue)
    low = told(path, "sweep-88")

    assert [turn.standing.state for turn in low][-2:] == ["Preempted", "Succeeded"]
    assert [turn.standing.preemptions for turn in low][-1] == 1
    assert low[-1].standing.evictions == 0
    assert low[-2].standing.reason == "preempted"
    # It got over it: nothing is wrong with it any more.
    assert low[-1].standing.reason == low[-1].standing.blame == ""


def test_what_was_played_or_judged_before_adds_no_turn(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, catalogue)
    before = told(path)
    put(OOM, path, catalogue)
    looked_at_again(path, catalogue)

    assert told(path) == before


def test_another_cause_found_later_corrects_the_turn(
    path: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(OOM, path, catalogue)
    before = told(path)

    def other(*of: Any, **how: Any) -> Verdict | None:
        found = judged(*of, **how)
        return None if found is None else replace(found, cause="killed", blame="unknown")

    monkeypatch.setattr(module, "judged", other)
    looked_at_again(path, catalogue)
    *same, turn = told(path)

    assert same == before
    assert (turn.corrects, turn.revision) == (before[-1].standing.seq, 2)
    assert (turn.standing.reason, turn.standing.blame, turn.standing.at) == ("killed", "unknown", same[-1].standing.at)


def test_a_sink_is_told_of_every_turn_with_its_verdict_before_it(path: str, catalogue: Catalogue) -> None:
    put(OOM, path, catalogue)
    feed = JournalFeed(path)
    items = feed.page(0, 5000).items
    feed.close()
    ends = [item.event for item in items if item.event.origin in ("verdict", "run")][-2:]

    assert [(event.origin, event.reason) for event in ends] == [("verdict", "oom_killed"), ("run", "Failed")]
    assert "churn-2041" in ends[1].message


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ({"team": "ranking", "app": "x"}, {"team": "ranking"}),
        ({"example.com/owner": "ann"}, {"example.com/owner": "ann"}),
        ({"workflows.argoproj.io/creator": "ann"}, {"workflows.argoproj.io/creator": "ann"}),
        ({"teamwork": "x", "owner/name": "x"}, {}),
    ],
)
def test_only_labels_that_name_an_owner_or_a_team_are_kept(labels: dict[str, str], kept: dict[str, str]) -> None:
    assert owner_labels(labels) == kept


def seen(number: int, reason: str, seconds: int, **changes: Any) -> Event:
    return facts.event(number, reason=reason, at=START + seconds * SECOND, **changes)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], (0, 0)),
        ([seen(1, "Preempted", 0), seen(1, "EvictedDueToPreempted", 1)], (1, 0)),
        ([seen(1, "Preempted", 0), seen(2, "Preempted", 2)], (1, 0)),
        ([seen(1, "Preempted", 0), seen(1, "Preempted", 600)], (2, 0)),
        ([seen(1, "Preempted", 0), seen(2, "Evicted", 3)], (1, 0)),
        ([seen(1, "Evicted", 0), seen(2, "TaintManagerEviction", 3), seen(2, "Evicted", 900)], (0, 2)),
        ([seen(9, "Preempted", 0)], (0, 0)),
        ([seen(1, "Preempted", 0, action="condition", message="Evicted=False: it is back")], (0, 0)),
    ],
)
def test_losses_are_counted_by_the_moments_at_which_they_came(events: list[Event], expected: tuple[int, int]) -> None:
    assert losses(events, {"u-1", "u-2"}) == expected
