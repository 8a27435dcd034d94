"""Alerts from verdicts: what makes one, what changes it, what ends it."""

import msgspec
import pytest

from pipetrail.model import Delivery
from pipetrail.testing.deliveries import delivery
from pipetrail.testing.receivers import (
    ScriptedReceiver,
)
from tests.sinks.alert_play import Play
from tests.sinks.trouble import DAY, MINUTE, START, turn, verdict

# --- What an alert is


async def test_a_failed_run_is_an_alert_with_its_cause_blame_and_remedy(play: Play) -> None:
    await play.send(verdict(), at=START + MINUTE)

    found = play.one()
    assert found["labels"] == {
        "alertname": "PipetrailRunFailing",
        "cluster": "prod",
        "namespace": "ml",
        "system": "job",
        "pipeline": "nightly",
        "severity": "critical",
    }
    notes = found["annotations"]
    assert (
        notes
        | {
            "summary": "the kernel killed the container for memory",
            "run": "train-1",
            "state": "Failed",
            "cause": "out of memory",
            "reason": "OOMKilled",
            "category": "oom",
            "blame": "user_code",
            "confidence": "high",
            "remedy": "raise the memory limit",
            "evidence": "2 events",
            "runs": "1: train-1",
            "objects": "1: ml/Pod/train-1-0",
            "times": "1",
        }
        == notes
    )
    assert found["startsAt"] == "2026-11-24T03:00:00.000000Z"
    assert found["endsAt"] == "2026-11-24T03:05:00.000000Z"


async def test_what_changes_is_no_label(play: Play) -> None:
    await play.send(verdict())

    fixed = {"alertname", "cluster", "namespace", "system", "pipeline", "severity"}
    assert set(play.one()["labels"]) == fixed


async def test_without_a_pipeline_the_name_of_the_root_stands_for_it(play: Play) -> None:
    await play.send(verdict(pipeline="", run="train-7"), verdict(pipeline="", run="train-8", known=False))

    assert {alert["labels"]["pipeline"] for alert in play.firing()} == {"train-7", "train-8"}


async def test_a_verdict_before_its_run_is_known_is_the_same_alert(play: Play) -> None:
    first = verdict(known=False)
    await play.send(first)
    await play.send(verdict(better=first, at=START + 1))

    assert play.one()["annotations"]["times"] == "1"


@pytest.mark.parametrize(
    ("state", "severity"), [("Stuck", "critical"), ("Zombie", "critical"), ("Preempted", "warning")]
)
async def test_other_trouble_is_an_alert_too(play: Play, state: str, severity: str) -> None:
    await play.send(verdict(state))

    assert (play.one()["labels"]["severity"], play.one()["annotations"]["state"]) == (severity, state)


@pytest.mark.parametrize(
    "quiet",
    [
        verdict("Cancelled"),
        verdict("Succeeded", recovered=True),
        verdict("Running", recovered=True),
        turn("Failed", START),
        turn("Succeeded", START),
        delivery(1),
    ],
    ids=["cancelled", "succeeded", "recovered", "a failed run without a verdict yet", "a good run", "an Event"],
)
async def test_nothing_else_is_an_alert(play: Play, quiet: Delivery) -> None:
    await play.send(quiet)

    assert play.posts == []
    assert play.memory.values == {}


async def test_what_happened_before_the_alert_would_be_over_is_none(play: Play) -> None:
    await play.send(verdict(), at=START + 2 * DAY)

    assert play.firing() == []


async def test_further_labels_and_the_source_are_those_of_the_settings() -> None:
    async with ScriptedReceiver() as scripted:
        play = Play(scripted, labels={"team": "vision", "severity": "info"}, source="https://pipetrail.example/")
        await play.sink.start()
        await play.send(verdict())
        await play.sink.stop()

    assert play.one()["labels"] | {"team": "vision", "severity": "info"} == play.one()["labels"]
    assert play.one()["generatorURL"] == "https://pipetrail.example/"


async def test_foreign_texts_are_cut_and_have_no_control_characters(play: Play) -> None:
    found = verdict(pipeline="a\x1b[31m\n" + "x" * 5000, summary="\x00\u202e" + "y" * 5000)
    await play.send(found)

    alert = play.one()
    for text in (*alert["labels"].values(), *alert["annotations"].values()):
        assert text.isprintable()
    assert len(alert["labels"]["pipeline"]) <= 250
    assert len(alert["annotations"]["summary"]) <= 1000


async def test_a_verdict_of_another_version_is_an_alert_all_the_same(play: Play) -> None:
    await play.send(verdict(verdict={"strange": 1, "pipeline": "nightly"}))

    assert play.one()["annotations"]["cause"] == "oom-killed"


# --- How long it lasts


async def test_it_is_told_again_each_minute_and_never_starts_anew(play: Play) -> None:
    await play.send(verdict())
    await play.wait(START + 10 * MINUTE, step=MINUTE // 60)

    assert len({alert["startsAt"] for alert in play.posts}) == 1
    assert 11 <= len(play.posts) <= 12
    assert play.firing()


async def test_a_better_verdict_changes_the_annotations_alone(play: Play) -> None:
    first = verdict()
    await play.send(first)
    await play.send(verdict(at=START + 1, better=first, summary="the node was lost", seen=START + MINUTE))

    found = play.one()
    assert (found["annotations"]["summary"], found["annotations"]["times"]) == ("the node was lost", "1")
    assert found["startsAt"] == play.posts[0]["startsAt"]


async def test_the_same_verdict_twice_is_counted_and_told_once(play: Play) -> None:
    await play.send(verdict())
    await play.send(verdict())
    await play.send(turn("Failed", START))

    assert play.one()["annotations"]["times"] == "1"
    assert len(play.posts) == 1


async def test_the_next_good_run_of_the_pipeline_ends_it(play: Play) -> None:
    await play.send(verdict())
    await play.send(turn("Succeeded", START + 5 * MINUTE, run="train-2"))

    assert play.firing() == []
    assert play.posts[-1]["endsAt"] == "2026-11-24T03:05:00.000000Z"
    await play.wait(START + 20 * MINUTE)
    assert len(play.posts) == 2


async def test_a_good_run_of_another_pipeline_or_an_earlier_one_ends_nothing(play: Play) -> None:
    await play.send(verdict(at=START + MINUTE))
    await play.send(turn("Succeeded", START + 2 * MINUTE, run="other-1", pipeline="other"))
    await play.send(turn("Succeeded", START), turn("Succeeded", START, run="train-0"))

    assert play.one()


async def test_a_late_word_on_a_run_before_the_good_one_brings_nothing_back(play: Play) -> None:
    first = verdict()
    await play.send(first)
    await play.send(turn("Succeeded", START + MINUTE, run="train-2"))
    await play.send(verdict(better=first, seen=START + 2 * MINUTE, summary="more is known"))

    assert play.firing() == []


@pytest.mark.parametrize(
    ("state", "ended"), [("Stuck", True), ("Zombie", True), ("Preempted", False), ("Failed", False)]
)
async def test_only_what_a_run_can_get_over_ends_when_it_runs_again(play: Play, state: str, ended: bool) -> None:
    await play.send(verdict(state))
    await play.send(turn("Running", START + MINUTE))

    assert (play.firing() == []) is ended


async def test_it_lasts_while_another_run_of_the_pipeline_is_stuck(play: Play) -> None:
    await play.send(verdict("Stuck"), verdict("Stuck", run="train-2"))
    await play.send(turn("Running", START + MINUTE))
    assert play.one()["annotations"]["runs"] == "2: train-1, train-2"

    await play.send(turn("Cancelled", START + 2 * MINUTE, run="train-2"))
    assert play.firing() == []


async def test_a_verdict_that_the_run_got_over_it_ends_it(play: Play) -> None:
    await play.send(verdict("Stuck"))
    await play.send(verdict("Running", at=START + MINUTE, recovered=True))

    assert play.firing() == []


async def test_a_run_that_got_over_it_before_the_verdict_was_read_is_no_alert(play: Play) -> None:
    late = verdict("Stuck", at=START)
    run = turn("Running", START + MINUTE).run
    await play.send(msgspec.structs.replace(late, run=run), at=START + 2 * MINUTE)

    assert play.firing() == []


async def test_it_ends_after_a_day_without_news(play: Play) -> None:
    await play.send(verdict())
    await play.wait(START + DAY - MINUTE, step=30 * MINUTE)
    assert play.memory.values
    before = len(play.posts)
    await play.wait(START + DAY + MINUTE)

    assert play.firing() == []
    assert [alert["endsAt"] for alert in play.posts[before:]][-1] == "2026-11-25T03:00:00.000000Z"


async def test_worse_trouble_is_another_alert_in_place_of_the_first(play: Play) -> None:
    await play.send(verdict("Preempted"))
    await play.send(verdict("Failed", at=START + MINUTE))
    assert play.one()["labels"]["severity"] == "critical"

    await play.send(verdict("Preempted", at=START + 2 * MINUTE, attempt=2))
    assert play.one()["labels"]["severity"] == "critical"


async def test_with_a_severity_of_the_settings_worse_trouble_stays_the_same_alert() -> None:
    async with ScriptedReceiver() as scripted:
        play = Play(scripted, labels={"severity": "page"})
        await play.sink.start()
        await play.send(verdict("Preempted"))
        await play.send(verdict("Failed", at=START + MINUTE))
        await play.sink.stop()

    assert len(play.posts) == 2
    assert play.one()["annotations"]["state"] == "Failed"


# --- A pipeline that becomes known, or is forgotten, while the alert lasts


async def test_a_run_whose_pipeline_becomes_known_gets_over_the_alert_that_it_has(play: Play) -> None:
    await play.send(verdict("Stuck", pipeline="", known=False))
    await play.send(turn("Running", START + MINUTE))

    assert play.firing() == []


async def test_when_its_pipeline_becomes_known_an_alert_goes_on_under_that_name(play: Play) -> None:
    first = verdict(pipeline="", known=False)
    await play.send(first)
    await play.send(verdict(better=first, seen=START + MINUTE))

    found = play.one()
    assert (found["labels"]["pipeline"], found["annotations"]["times"]) == ("nightly", "1")
    assert found["startsAt"] == play.posts[0]["startsAt"]
    await play.send(turn("Succeeded", START + 2 * MINUTE, run="train-2"))
    assert play.firing() == []


async def test_a_pipeline_that_was_well_since_gets_no_alert_by_a_run_that_turns_out_to_be_its_own(play: Play) -> None:
    await play.send(verdict(run="train-0", at=START - MINUTE))
    await play.send(verdict(pipeline="", known=False))
    await play.send(turn("Succeeded", START + MINUTE, run="train-2"))
    await play.send(turn("Failed", START, run="train-1"), at=START + 2 * MINUTE)

    assert play.firing() == []


async def test_a_run_whose_pipeline_is_not_known_any_more_ends_the_alert_that_it_has(play: Play) -> None:
    await play.send(verdict())
    await play.send(turn("Succeeded", START + MINUTE, pipeline=""))

    assert play.firing() == []


async def test_a_run_of_the_same_id_in_another_system_is_another_run(play: Play) -> None:
    await play.send(verdict("Stuck", pipeline="", known=False))
    other = turn("Running", START + MINUTE)
    links = tuple(msgspec.structs.replace(link, system="argo") for link in other.event.links)
    await play.send(msgspec.structs.replace(other, event=msgspec.structs.replace(other.event, links=links)))

    assert play.one()


# --- The cases of other tools


async def test_an_event_that_is_updated_and_expires_neither_ends_nor_starts_an_alert_anew(play: Play) -> None:
    """T-65."""
    await play.send(verdict())
    for minute in range(2, 180, 2):  # for two hours an update each two minutes; then it expires
        await play.wait(START + minute * MINUTE)
        if minute <= 120:
            await play.send(delivery(minute, at=START + minute * MINUTE))
        assert play.one()["startsAt"] == "2026-11-24T03:00:00.000000Z"

    assert play.one()["annotations"]["times"] == "1"


async def test_three_preemptions_days_apart_are_three_alerts_that_count_them(play: Play) -> None:
    """T-66."""
    said = []
    for number in range(3):
        at = START + 3 * number * DAY
        await play.wait(at, step=DAY // 4)
        await play.send(verdict("Preempted", at=at, attempt=number))
        await play.send(turn("Running", at + MINUTE))
        said.append((play.one()["startsAt"], play.one()["annotations"]["times"]))
        await play.wait(at + 2 * DAY, step=DAY // 4)
        assert play.firing() == []

    assert said == [
        ("2026-11-24T03:00:00.000000Z", "1"),
        ("2026-11-27T03:00:00.000000Z", "2"),
        ("2026-11-30T03:00:00.000000Z", "3"),
    ]
    assert play.posts[-1]["annotations"]["times_since"] == "2026-11-24T03:00:00.000000Z"


async def test_five_replicas_of_a_run_that_crash_from_one_cause_are_one_alert_that_names_them(play: Play) -> None:
    """T-67, as one run."""
    pods = tuple(f"serve-{number}" for number in range(5))
    await play.send(verdict(pods=pods))

    assert play.one()["annotations"]["objects"] == "5: " + ", ".join(f"ml/Pod/{pod}" for pod in pods)
    await play.send(turn("Succeeded", START + MINUTE))
    assert play.firing() == []


async def test_five_runs_of_a_pipeline_that_crash_from_one_cause_are_one_alert_that_names_them(play: Play) -> None:
    """T-67, as five runs."""
    await play.send(*(verdict(run=f"train-{number}", at=START + number) for number in range(5)))

    notes = play.one()["annotations"]
    assert (notes["runs"], notes["times"]) == ("5: train-0, train-1, train-2, train-3, train-4", "5")
    await play.send(turn("Succeeded", START + MINUTE, run="train-9"))
    assert play.firing() == []
    assert len(play.posts) == 2


async def test_hundreds_of_runs_are_counted_and_some_are_named(play: Play) -> None:
    for number in range(300):
        await play.send(verdict(run=f"train-{number}", at=START + number))

    notes = play.one()["annotations"]
    assert notes["times"] == "300"
    assert notes["runs"].startswith("50: train-0, ")
    assert notes["runs"].endswith("train-9 and 40 or more others")
    assert sum(map(len, play.memory.values.values())) < 20_000


# --- What a cluster is called


async def test_the_label_is_the_name_of_the_cluster_where_it_is_known(play: Play) -> None:
    play.clusters = {"prod": "prod-eu"}
    await play.send(verdict())

    assert play.one()["labels"]["cluster"] == "prod-eu"


async def test_an_alert_keeps_the_label_that_it_began_with_and_the_next_one_has_the_name(play: Play) -> None:
    await play.send(verdict())
    play.clusters = {"prod": "prod-eu"}
    await play.restart()
    await play.send(verdict(run="train-2", at=START + MINUTE))
    meanwhile = play.one()
    await play.send(turn("Succeeded", START + 2 * MINUTE))
    ended = play.firing()
    await play.send(verdict(run="train-3", at=START + 3 * MINUTE))
    after = play.one()

    assert (meanwhile["labels"]["cluster"], meanwhile["annotations"]["times"]) == ("prod", "2")
    assert ended == []
    assert (after["labels"]["cluster"], after["annotations"]["times"]) == ("prod-eu", "3")
