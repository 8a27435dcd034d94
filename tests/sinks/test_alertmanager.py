"""The Alertmanager sink: what every sink must hold, restarts and failures, its settings and its page."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from pipetrail.config import load
from pipetrail.model import Delivery, Permanent, Temporary
from pipetrail.sinks import alertmanager
from pipetrail.sinks.alertmanager import Settings
from pipetrail.sinks.matching import Filter
from pipetrail.sinks.settings import Auth
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import Forgetful
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
from tests.sinks.alert_play import Play
from tests.sinks.http_receiver import HttpReceiver
from tests.sinks.trouble import MINUTE, START, turn, verdict

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
    await play.send(*(verdict(run=f"r-{number}", pipeline=f"p-{number}") for number in range(1200)))

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


async def test_two_receivers_are_asked_at_the_same_time() -> None:
    async with ScriptedReceiver(Reply(delay=0.5)) as first, ScriptedReceiver(Reply(delay=0.5)) as second:
        play = Play(first, url=[first.url, second.url])
        await play.sink.start()
        began = asyncio.get_running_loop().time()
        await play.send(verdict())
        took = asyncio.get_running_loop().time() - began
        await play.sink.stop()

    assert took < 0.95
