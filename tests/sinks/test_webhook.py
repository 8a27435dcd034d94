"""Webhooks: what every sink must hold, what is sent, how it is signed, and what wrong receivers and templates do."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipetrail.config import load
from pipetrail.model import Again, Delivery, Permanent, Rejected, Sink, Standing, Temporary
from pipetrail.sinks import webhook
from pipetrail.sinks.settings import Auth
from pipetrail.sinks.tools import Tools
from pipetrail.sinks.webhook import Settings, Signature, signature
from pipetrail.testing.deliveries import Forgetful, deliveries, delivery, raised
from pipetrail.testing.receivers import CUT, HALF_JSON, HTML, HUGE, REDIRECT, Asked, Reply, ScriptedReceiver, json_reply
from pipetrail.testing.sink_contract import Make, SinkContract
from tests.sinks.http_receiver import HttpReceiver

NOW = 1_795_000_000_000_000
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "webhook.md"


def named(documents: Iterable[Any]) -> list[tuple[str, int]]:
    return [(found["id"], found["revision"]) for found in documents]


class TestJson(SinkContract):
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[HttpReceiver]:
        async with ScriptedReceiver() as scripted:
            yield HttpReceiver(scripted, lambda asked: named(msgspec.json.decode(asked.body)))

    @pytest.fixture
    def make(self, receiver: HttpReceiver) -> Make:
        settings = Settings(type="webhook", url=receiver.url, timeout=0.6)
        return lambda tools: webhook.make("test", settings, tools)


class TestCloudEvents(SinkContract):
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[HttpReceiver]:
        async with ScriptedReceiver() as scripted:
            yield HttpReceiver(
                scripted, lambda asked: named(found["data"] for found in msgspec.json.decode(asked.body)), "PUT"
            )

    @pytest.fixture
    def make(self, receiver: HttpReceiver) -> Make:
        settings = Settings(type="webhook", url=receiver.url, timeout=0.6, format="cloudevents", method="PUT")
        return lambda tools: webhook.make("test", settings, tools)


class TestOneRequestForEach(SinkContract):
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[HttpReceiver]:
        async with ScriptedReceiver() as scripted:
            yield HttpReceiver(scripted, lambda asked: named([msgspec.json.decode(asked.body)]))

    @pytest.fixture
    def make(self, receiver: HttpReceiver) -> Make:
        settings = Settings(type="webhook", url=receiver.url, timeout=0.6, each=True)
        return lambda tools: webhook.make("test", settings, tools)


# --- What is sent


@pytest.fixture
async def receiver() -> AsyncIterator[ScriptedReceiver]:
    async with ScriptedReceiver() as running:
        yield running


async def sent(receiver: ScriptedReceiver, batch: list[Delivery], **given: Any) -> list[Any]:
    """What the sink answers."""
    made = sink(receiver, **given)
    await made.start()
    try:
        return list(await made.send(batch))
    finally:
        await made.stop()


def sink(receiver: ScriptedReceiver, **given: Any) -> Sink:
    settings = Settings(type="webhook", url=f"{receiver.url}/in", **{"timeout": 5.0} | given)
    return webhook.make("test", settings, Tools(now=lambda: NOW, memory=Forgetful()))


def only(receiver: ScriptedReceiver) -> Asked:
    [asked] = receiver.requests
    return asked


async def test_a_batch_is_a_list_of_the_documents_with_their_runs(receiver: ScriptedReceiver) -> None:
    run = Standing(
        cluster="prod", system="batch", run="run-1", name="train", state="Failed", at=NOW, pipeline="nightly"
    )
    await sent(receiver, [msgspec.structs.replace(delivery(1), run=run), delivery(2)])

    first, second = msgspec.json.decode(only(receiver).body)
    assert only(receiver).headers["content-type"] == "application/json"
    assert (first["reason"], first["about"]["name"], first["seq"]) == ("BackOff", "worker-1", 1)
    assert (first["run"]["pipeline"], first["run"]["state"]) == ("nightly", "Failed")
    assert second["run"] is None


async def test_a_batch_of_cloudevents_has_their_batched_form(receiver: ScriptedReceiver) -> None:
    found = delivery(1)
    await sent(receiver, [found], format="cloudevents")

    [event] = msgspec.json.decode(only(receiver).body)
    data = event.pop("data")
    assert only(receiver).headers["content-type"] == "application/cloudevents-batch+json"
    assert event == {
        "specversion": "1.0",
        "id": f"{found.event.id}.1",
        "source": "urn:pipetrail:cluster:prod",
        "type": "io.pipetrail.event.kubernetes",
        "subject": "ml/Pod/worker-1",
        "time": "2026-11-24T03:00:01.000000Z",
        "datacontenttype": "application/json",
    }
    assert data["id"] == found.event.id


async def test_a_single_cloudevent_has_the_structured_form(receiver: ScriptedReceiver) -> None:
    await sent(receiver, [delivery(1)], format="cloudevents", each=True)

    assert only(receiver).headers["content-type"] == "application/cloudevents+json"
    assert msgspec.json.decode(only(receiver).body)["specversion"] == "1.0"


async def test_an_event_that_was_given_better_links_is_another_cloudevent(receiver: ScriptedReceiver) -> None:
    first = delivery(1)
    await sent(receiver, [first, raised(first, 2)], format="cloudevents")

    found = msgspec.json.decode(only(receiver).body)
    assert [event["id"] for event in found] == [f"{first.event.id}.1", f"{first.event.id}.2"]
    assert len({event["data"]["id"] for event in found}) == 1


async def test_foreign_names_make_valid_cloudevents(receiver: ScriptedReceiver) -> None:
    found = delivery(1)
    about = msgspec.structs.replace(found.event.about, name="a\n\x00b\x9f" * 400)
    event = msgspec.structs.replace(found.event, cluster="über all/x", about=about)
    await sent(receiver, [msgspec.structs.replace(found, event=event)], format="cloudevents")

    [made] = msgspec.json.decode(only(receiver).body)
    assert made["source"] == "urn:pipetrail:cluster:%C3%BCber%20all%2Fx"
    assert made["subject"].isprintable()
    assert len(made["subject"]) <= 500


async def test_put_and_another_content_type_are_used(receiver: ScriptedReceiver) -> None:
    await sent(receiver, [delivery(1)], method="PUT", content_type="application/x-json")

    assert (only(receiver).method, only(receiver).headers["content-type"]) == ("PUT", "application/x-json")


async def test_a_failure_in_the_middle_of_single_requests_keeps_what_arrived(receiver: ScriptedReceiver) -> None:
    receiver.then(Reply(), Reply(status=429, headers={"Retry-After": "7"}))
    answers = await sent(receiver, deliveries(3), each=True)

    assert answers[0] is None
    assert [(type(answer), answer.after) for answer in answers[1:]] == [(Again, 7.0)] * 2
    assert len(receiver.requests) == 2


# --- Signatures


def published(language: str) -> str:
    """The way to verify that the page shows."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(next(block for block in blocks if "v1=" in block))


async def test_the_python_of_the_page_verifies_what_is_sent_and_nothing_else(receiver: ScriptedReceiver) -> None:
    secret = "a secret of 24 characters"
    await sent(receiver, deliveries(2), signature=Signature(secret=secret))
    asked = only(receiver)
    page: dict[str, Any] = {}
    exec(published("python"), page)  # noqa: S102 - our own page
    header, body, now = asked.headers["x-pipetrail-signature"], asked.body, NOW / 1_000_000

    assert page["verified"](secret, header, body, now)
    assert page["verified"](secret, header, body, now + 299)
    assert not page["verified"](secret, header, body + b" ", now)
    assert not page["verified"]("another secret", header, body, now)
    assert not page["verified"](secret, header, body, now + 301)
    assert not page["verified"](secret, header.replace("t=1", "t=2"), body, now + 1e9)
    assert not page["verified"](secret, "", body, now)
    assert not page["verified"](secret, "t=x,v1=y", body, now)


@pytest.mark.parametrize(("body", "exit_code"), [(b'[{"a":1}]', 0), (b'[{"a":2}]', 1)])
def test_the_shell_of_the_page_verifies_it_too(tmp_path: Path, body: bytes, exit_code: int) -> None:
    secret = "a secret of 24 characters"
    header = signature(secret, int(time.time()), b'[{"a":1}]')
    (tmp_path / "body").write_bytes(body)
    done = subprocess.run(
        ["bash", "-c", published("bash")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "SECRET": secret, "SIGNATURE": header},
        capture_output=True,
        check=False,
    )

    assert done.returncode == exit_code, done.stderr


async def test_a_request_that_is_sent_again_is_signed_anew(receiver: ScriptedReceiver) -> None:
    clock = [NOW]
    settings = Settings(type="webhook", url=receiver.url, signature=Signature(secret="x" * 16, header="X-Sign"))
    made = webhook.make("test", settings, Tools(now=lambda: clock[0], memory=Forgetful()))
    await made.start()
    await made.send([delivery(1)])
    clock[0] += 60_000_000
    await made.send([delivery(1)])
    await made.stop()

    first, second = (asked.headers["x-sign"] for asked in receiver.requests)
    assert (first[:12], second[:12]) == ("t=1795000000", "t=1795000060")


# --- Receivers that say something else


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (HTML, "a web page instead of an acknowledgement"),
        (HALF_JSON, "should be JSON and is not"),
        (CUT, "ends too early"),
        (json_reply({"ok": False, "error": "queue full"}), "queue full"),
        (REDIRECT, "it redirects to http://127.0.0.1:1/elsewhere"),
    ],
    ids=["html", "half json", "cut", "200 with an error", "redirect"],
)
async def test_a_strange_answer_is_a_clear_error_and_nothing_is_lost(
    receiver: ScriptedReceiver, reply: Reply, told: str
) -> None:
    receiver.answer = reply
    with pytest.raises(Temporary, match=told) as error:
        await sent(receiver, [delivery(1)])

    assert str(error.value).startswith(f"{receiver.url}/in: ")


async def test_a_huge_acknowledgement_is_one(receiver: ScriptedReceiver) -> None:
    receiver.answer = HUGE

    assert await sent(receiver, [delivery(1)]) == [None]


async def test_a_probe_asks_for_options_and_says_when_that_tells_nothing(receiver: ScriptedReceiver) -> None:
    receiver.answer = Reply(status=405)
    made = sink(receiver)
    await made.start()
    said = await made.probe()
    await made.stop()

    assert only(receiver).method == "OPTIONS"
    assert said == "HTTP 405 to OPTIONS: it is there, but can't be asked like this"


async def test_our_credentials_are_in_no_body_and_no_error(receiver: ScriptedReceiver) -> None:
    receiver.answer = lambda asked: Reply(status=403, body=str(dict(asked.headers)).encode())
    secrets = {"auth": Auth(token="token-of-ours"), "signature": Signature(secret="signing-key-of-ours")}
    with pytest.raises(Temporary) as error:
        await sent(receiver, [delivery(1)], **secrets)

    asked = only(receiver)
    rest = f"{asked.body!r} { ({**asked.headers} | {'authorization': ''}) } {error.value}"
    assert asked.headers["authorization"] == "Bearer token-of-ours"
    assert "of-ours" not in rest


# --- Templates


async def test_a_template_makes_the_body_of_a_batch(receiver: ScriptedReceiver) -> None:
    text = '{"lines": [{% for event in events %}{{ event.about.name|json }}{{ "," if not loop.last }}{% endfor %}]}'
    await sent(receiver, deliveries(2), template=text)

    assert msgspec.json.decode(only(receiver).body) == {"lines": ["worker-1", "worker-2"]}
    assert only(receiver).headers["content-type"] == "application/json"


async def test_a_template_makes_the_body_of_each_event(receiver: ScriptedReceiver) -> None:
    text = "{{ event.reason }} on {{ event.about.name }} at {{ event.at|time('%H:%M') }} ü"
    await sent(receiver, deliveries(2), template=text, each=True, content_type="text/plain; charset=utf-8")

    assert [body.decode() for body in receiver.bodies] == [f"BackOff on worker-{n} at 03:00 ü" for n in (1, 2)]
    assert receiver.requests[0].headers["content-type"] == "text/plain; charset=utf-8"


async def test_an_event_that_a_template_fails_for_is_rejected_and_the_others_arrive(receiver: ScriptedReceiver) -> None:
    batch = [delivery(1), delivery(2, message="poison"), delivery(3)]
    text = "{% if event.message == 'poison' %}{{ event.nothing }}{% endif %}{{ event.seq }}"
    answers = await sent(receiver, batch, template=text, each=True)

    assert [type(answer) for answer in answers] == [type(None), Rejected, type(None)]
    assert answers[1].reason == "template: line 1: 'dict object' has no attribute 'nothing'"
    assert receiver.bodies == [b"1", b"3"]


async def test_a_batch_that_a_template_fails_for_is_permanent_so_that_it_is_halved(receiver: ScriptedReceiver) -> None:
    with pytest.raises(Permanent, match=r"^template: line 1: "):
        await sent(receiver, deliveries(2), template="{{ events.0.nothing }}")


async def test_others_go_on_while_a_template_takes_its_time(receiver: ScriptedReceiver) -> None:
    text = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    beside = asyncio.create_task(other())
    answers = await sent(receiver, [delivery(1)], template=text, each=True)
    beside.cancel()

    assert isinstance(answers[0], Rejected)
    assert "it takes longer than 1 s" in answers[0].reason
    assert turns >= 10


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"template": "{% if %}"}, "template: line 1: "),
        ({"signature": Signature(secret="short")}, "signature.secret: at least 16 characters"),
        ({"signature": Signature(secret="x" * 16, header="X Y")}, "signature.header: "),
        ({"content_type": "a\nb"}, "content_type: "),
        ({"url": "nowhere"}, "url: "),
    ],
)
def test_wrong_settings_are_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="^" + told):
        webhook.make(
            "test",
            Settings(**{"type": "webhook", "url": "http://h"} | given),
            Tools(now=lambda: NOW, memory=Forgetful()),
        )


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S))
def test_the_configurations_on_the_page_have_no_mistakes(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "x")
    monkeypatch.setenv("CHAT_URL", "https://chat.example/hooks/x")
    (tmp_path / "hook-signing-key").write_text("a key of 20 characters\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text(block.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    for name, settings in load(str(tmp_path / "config.yaml"), sinks=True).sinks.items():
        assert webhook.make(name, settings, Tools(now=lambda: NOW, memory=Forgetful())).name == name


async def test_the_chat_template_of_the_page_makes_json(receiver: ScriptedReceiver) -> None:
    text = re.findall(r"template: \|\n      (.*)\n", PAGE.read_text(encoding="utf-8"))[0]
    await sent(receiver, [delivery(1, message='it said "no"\n')], template=text, each=True)

    assert msgspec.json.decode(only(receiver).body) == {"text": '** it said "no"\n'}


def test_the_python_of_the_page_needs_only_what_python_brings() -> None:
    modules = set(re.findall(r"^import (\w+)", published("python"), re.MULTILINE))

    assert modules
    assert modules <= set(sys.stdlib_module_names)
