"""Alerts from verdicts: what makes one, what changes it, what ends it; and what every sink must hold."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.config import load
from pipetrail.model import Delivery, Micros, Permanent, Sink, Temporary
from pipetrail.model.times import parse_time
from pipetrail.sinks import alertmanager, alerts
from pipetrail.sinks.alertmanager import Settings
from pipetrail.sinks.matching import Filter
from pipetrail.sinks.settings import Auth
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import Forgetful, delivery
from pipetrail.testing.receivers import (
    HALF_JSON,
    HTML,
    HUGE,
    REDIRECT,
    UNAVAILABLE,
    Asked,
    Reply,
    ScriptedReceiver,
    json_reply,
)
from pipetrail.testing.sink_contract import POISON, Make, SinkContract, deliveries
from pipetrail.testing.sink_world import now as real_now
from tests.sinks.http_receiver import HttpReceiver
from tests.sinks.trouble import DAY, MINUTE, START, turn, verdict

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "alertmanager.md").read_text(encoding="utf-8")
STATUS = json_reply({"versionInfo": {"version": "0.25.0"}})


def told(asked: Asked) -> list[tuple[str, int]]:
    """The verdicts of the alerts of a request. They have no revision: their links are right from the first."""
    return [(alert["annotations"]["verdict"], 1) for alert in msgspec.json.decode(asked.body)]


class TestAlertmanager(SinkContract):
    def deliveries(self, count: int, *, first: int = 1, poison: Sequence[int] = ()) -> list[Delivery]:
        made = []
        for one in deliveries(count, first=first, poison=poison):
            summary = one.event.message if POISON in one.event.message else "it failed"
            found = verdict(at=real_now(), run=f"run-{one.seq}", pipeline=f"p-{one.seq:04}", summary=summary)
            made.append(
                msgspec.structs.replace(found, seq=one.seq, event=msgspec.structs.replace(found.event, seq=one.seq))
            )
        return made

    @pytest.fixture
    async def receiver(self) -> AsyncIterator[HttpReceiver]:
        async with ScriptedReceiver() as scripted:
            yield HttpReceiver(scripted, told)

    @pytest.fixture
    def make(self, receiver: HttpReceiver) -> Make:
        settings = Settings(type="alertmanager", url=receiver.url, timeout=0.6)
        return lambda tools: alertmanager.make("test", settings, tools)


class Play:
    """An Alertmanager sink at times of the test's own, and what its receiver was told: the last of each alert."""

    def __init__(self, scripted: ScriptedReceiver, **given: Any) -> None:
        self.scripted = scripted
        self.memory = Forgetful()
        self.now: Micros = START
        self.clusters: dict[str, str] = {}
        self._given: dict[str, Any] = {"url": scripted.url, "timeout": 5.0} | given
        self.sink = self._made()

    def _made(self) -> Sink:
        settings = Settings(type="alertmanager", **self._given)
        return alertmanager.make(
            "test", settings, Tools(now=lambda: self.now, memory=self.memory, clusters=lambda: self.clusters)
        )

    async def restart(self) -> None:
        await self.sink.stop()
        self.sink = self._made()
        await self.sink.start()

    async def send(self, *batch: Delivery, at: Micros | None = None) -> None:
        self.now = max(self.now, *(each.event.observed_at for each in batch)) if at is None else at
        assert list(await self.sink.send(batch)) == [None] * len(batch)

    async def wait(self, until: Micros, step: Micros = MINUTE) -> None:
        """Let time pass, with a tick at each step."""
        while self.now < until:
            self.now = min(self.now + step, until)
            await self.sink.tick(self.now)

    @property
    def posts(self) -> list[dict[str, Any]]:
        return [alert for body in self.scripted.bodies for alert in msgspec.json.decode(body)]

    def firing(self) -> list[dict[str, Any]]:
        """The alerts that Alertmanager takes to fire at this moment."""
        last = {str(sorted(alert["labels"].items())): alert for alert in self.posts}
        return [alert for alert in last.values() if parse_time(alert["endsAt"]) > self.now]

    def one(self) -> dict[str, Any]:
        [found] = self.firing()
        return found


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    async with ScriptedReceiver() as scripted:
        made = Play(scripted)
        await made.sink.start()
        yield made
        await made.sink.stop()


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


# --- Restarts, failures, several of them


async def test_a_restart_goes_on_with_the_same_alert(play: Play) -> None:
    await play.send(verdict())
    await play.restart()
    await play.wait(START + MINUTE)
    assert (play.one()["startsAt"], play.one()["annotations"]["times"]) == (play.posts[0]["startsAt"], "1")

    await play.send(turn("Succeeded", START + 2 * MINUTE))
    await play.restart()
    await play.wait(START + 10 * MINUTE)
    assert play.firing() == []


async def test_what_was_not_told_is_not_remembered_and_comes_again(play: Play) -> None:
    play.scripted.answer = UNAVAILABLE
    with pytest.raises(Temporary):
        await play.sink.send([verdict()])
    assert play.memory.values == {}

    play.scripted.answer = Reply()
    await play.send(verdict())
    assert play.one()["annotations"]["times"] == "1"


async def test_an_end_that_was_not_told_comes_again(play: Play) -> None:
    await play.send(verdict())
    play.scripted.then(UNAVAILABLE)
    with pytest.raises(Temporary):
        await play.sink.send([turn("Succeeded", START)])
    await play.send(turn("Succeeded", START), at=START + MINUTE)

    assert play.firing() == []


async def test_a_tick_that_fails_is_temporary_and_is_made_up_for(play: Play) -> None:
    await play.send(verdict())
    play.scripted.then(UNAVAILABLE, Reply(status=400))
    for _ in range(2):
        with pytest.raises(Temporary):
            await play.sink.tick(START + MINUTE)
    await play.wait(START + MINUTE)

    assert play.one()["endsAt"] == "2026-11-24T03:05:00.000000Z"


async def test_what_is_remembered_and_can_not_be_read_is_forgotten(play: Play) -> None:
    play.memory.values = {"[]": b"nothing", "x": b'{"labels": 1}'}
    await play.restart()
    await play.send(verdict())

    assert len(play.memory.values) == 1


async def test_all_alertmanagers_are_told_and_one_of_them_is_enough() -> None:
    async with ScriptedReceiver() as first, ScriptedReceiver(UNAVAILABLE) as second, ScriptedReceiver() as third:
        play = Play(first, url=[first.url, second.url, third.url])
        await play.sink.start()
        await play.send(verdict())
        said = await play.sink.probe()
        await play.sink.stop()

    assert [len(one.requests) for one in (first, second, third)] == [2, 2, 2]
    assert f"{second.url}/api/v2/status: HTTP 503" in said


async def test_when_none_takes_it_the_failure_that_may_pass_counts() -> None:
    async with ScriptedReceiver(Reply(status=400)) as first, ScriptedReceiver(UNAVAILABLE) as second:
        play = Play(first, url=[first.url, second.url])
        await play.sink.start()
        with pytest.raises(Temporary, match="503"):
            await play.sink.send([verdict()])
        second.answer = Reply(status=400)
        with pytest.raises(Permanent):
            await play.sink.send([verdict()])
        await play.sink.stop()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (HTML, "a web page instead of an acknowledgement"),
        (HALF_JSON, "should be JSON and is not"),
        (json_reply({"status": "error", "error": "no such group"}), "no such group"),
        (REDIRECT, "it redirects to"),
    ],
    ids=["html", "half json", "200 with an error", "redirect"],
)
async def test_a_strange_answer_is_a_clear_error_and_nothing_is_lost(play: Play, reply: Reply, said: str) -> None:
    play.scripted.answer = reply
    with pytest.raises(Temporary, match=said) as error:
        await play.sink.send([verdict()])

    assert str(error.value).startswith(f"{play.scripted.url}/")
    assert play.memory.values == {}


async def test_a_huge_answer_is_no_harm(play: Play) -> None:
    play.scripted.answer = HUGE
    await play.send(verdict())

    assert play.one()


async def test_a_probe_says_the_version_and_tells_nothing(play: Play) -> None:
    play.scripted.answer = STATUS
    said = await play.sink.probe()
    play.scripted.answer = Reply(body=b"[]")
    unknown = await play.sink.probe()

    assert said == f"{play.scripted.url}/: Alertmanager 0.25.0"
    assert "does not say that it is an Alertmanager" in unknown
    assert [asked.path for asked in play.scripted.requests] == ["/api/v2/status"] * 2


async def test_an_address_may_have_a_path_of_its_own() -> None:
    async with ScriptedReceiver() as scripted:
        play = Play(scripted, url=f"{scripted.url}/alerts/")
        await play.sink.start()
        await play.send(verdict())
        await play.sink.stop()

    assert scripted.requests[0].path == "/alerts/api/v2/alerts"


async def test_many_alerts_are_told_in_parts(play: Play) -> None:
    await play.send(*(verdict(pipeline=f"p-{number}") for number in range(1200)))

    assert [len(msgspec.json.decode(body)) for body in play.scripted.bodies] == [500, 500, 200]


async def test_our_credentials_are_in_no_body_and_no_error() -> None:
    async with ScriptedReceiver(lambda asked: Reply(status=401, body=str(asked.headers).encode())) as scripted:
        play = Play(scripted, auth=Auth(token="token-of-ours"))
        await play.sink.start()
        with pytest.raises(Temporary) as error:
            await play.sink.send([verdict()])
        await play.sink.stop()

    assert scripted.requests[0].headers["authorization"] == "Bearer token-of-ours"
    assert "of-ours" not in f"{scripted.bodies} {error.value}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"resolve_after": "soon"}, "resolve_after: "),
        ({"resend": 0.0}, "resend: "),
        ({"url": []}, "url: at least one"),
        ({"url": ["http://h", "http://h"]}, "url: at least one"),
        ({"url": "am:9093"}, "url: an address"),
        ({"source": "am"}, "source: an address"),
        ({"labels": {"a-b": "c"}}, "labels: 'a-b'"),
        ({"labels": {"pipeline": "c"}}, "labels.pipeline: "),
    ],
)
def test_wrong_settings_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="^" + said):
        alertmanager.make(
            "test",
            Settings(**{"type": "alertmanager", "url": "http://h"} | given),
            Tools(now=real_now, memory=Forgetful()),
        )


# --- The page


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S))
def test_the_configurations_on_the_page_have_no_mistakes(block: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(block, encoding="utf-8")

    assert load(str(tmp_path / "config.yaml"), sinks=True).sinks


async def test_each_label_and_annotation_is_on_the_page(play: Play) -> None:
    await play.send(verdict())

    found = {*play.one()["labels"], *play.one()["annotations"]}
    assert {name for name in found if f"`{name}`" not in PAGE} == set()


async def test_the_rule_on_the_page_leaves_out_a_blame_and_lets_good_runs_through() -> None:
    rule = yaml.safe_load(re.findall(r"^    drop:\n(.*?)^```$", PAGE, re.M | re.S)[0])
    kept = Filter([], rule)

    assert [kept.keeps(one) for one in (verdict(), turn("Succeeded", START))] == [False, True]


# --- Whatever comes, in whatever order

STATES = st.sampled_from(("Failed", "Stuck", "Preempted", "Zombie", "Succeeded", "Running", "Cancelled"))
STEPS = st.tuples(
    st.booleans(), STATES, st.integers(0, 2), st.integers(0, 2), st.integers(0, 40), st.integers(0, 40), st.booleans()
)


def step(told_: bool, state: str, run: int, pipeline: int, at: int, seen: int, recovered: bool) -> Delivery:
    when = START + at * MINUTE
    if told_:
        return turn(state, when, run=f"r{run}", pipeline=f"p{pipeline}")
    later = when + seen * MINUTE
    return verdict(state, when, run=f"r{run}", pipeline=f"p{pipeline}", recovered=recovered, seen=later)


@given(st.lists(STEPS, max_size=12), st.integers(1, 4))
def test_in_whatever_parts_the_same_comes_the_same_is_known_and_each_alert_is_told_once(
    steps: list[tuple[Any, ...]], parts: int
) -> None:
    batch, now = [step(*each) for each in steps], START + 100 * MINUTE
    whole = alerts.changed({}, batch, now, DAY)
    known: dict[str, alerts.Record] = {}
    firing: dict[str, alerts.Alert] = {}
    for start in range(0, len(batch), parts):
        change = alerts.changed(known, batch[start : start + parts], now, DAY)
        for key, record in change.records.items():
            assert record is not None
            known[key] = record
        labels = [str(alert.labels) for alert in change.alerts]
        assert len(set(labels)) == len(labels)
        for alert in change.alerts:
            assert alert.starts <= now
            firing[str(alert.labels)] = alert
            if alert.ends is not None:
                assert alert.ends >= alert.starts
                del firing[str(alert.labels)]

    assert known == {key: record for key, record in whole.records.items() if record is not None}
    assert len(firing) == sum(bool(record.urgency) for record in known.values())
    assert msgspec.json.decode(msgspec.json.encode(known), type=dict[str, alerts.Record]) == known


def test_what_is_remembered_has_a_bound() -> None:
    known: dict[str, alerts.Record] = {
        str(number): alerts.Record(labels={}, told=START + number) for number in range(alerts.MOST + 10)
    }
    change = alerts.expired(known, START + alerts.MOST, DAY)

    assert change.records == {str(number): None for number in range(10)}
    assert alerts.expired({"a": known["0"]}, START + alerts.KEPT, DAY).records == {"a": None}


async def test_two_receivers_are_asked_at_the_same_time() -> None:
    async with ScriptedReceiver(Reply(delay=0.5)) as first, ScriptedReceiver(Reply(delay=0.5)) as second:
        play = Play(first, url=[first.url, second.url])
        await play.sink.start()
        began = asyncio.get_running_loop().time()
        await play.send(verdict())
        took = asyncio.get_running_loop().time() - began
        await play.sink.stop()

    assert took < 0.95


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
