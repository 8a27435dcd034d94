"""A real Alertmanager: what it lists, what it tells others, and how often."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from cluster.alertmanager import Alertmanager, installed
from pipetrail.config import load
from pipetrail.model import Delivery, Micros, Permanent, Sink
from pipetrail.sinks import alertmanager
from pipetrail.sinks.alertmanager import Settings
from pipetrail.sinks.delivery import Deliverer
from pipetrail.sinks.http import Http
from pipetrail.sinks.settings import Batching, HttpSettings
from pipetrail.sinks.state import State
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import Forgetful, MemoryFeed
from pipetrail.testing.receivers import ScriptedReceiver
from pipetrail.testing.sink_world import now
from tests.sinks.trouble import turn, verdict

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "alertmanager"
SECONDS = 60  # ten times as long as it takes on a busy machine

pytestmark = pytest.mark.skipif(installed() is None, reason="Alertmanager not installed (apt: prometheus-alertmanager)")


class World:
    """A hook that is notified, an Alertmanager that notifies it, and a delivery that can be restarted."""

    def __init__(self, server: Alertmanager, hook: ScriptedReceiver, folder: Path) -> None:
        self.server, self.hook = server, hook
        self.feed = MemoryFeed()
        self._folder = folder
        self._seq = 0

    def add(self, *items: Delivery) -> None:
        """Events come into the journal."""
        for item in items:
            self._seq += 1
            event = msgspec.structs.replace(item.event, seq=self._seq)
            self.feed.add(msgspec.structs.replace(item, seq=self._seq, event=event))

    async def deliver(self, until: Callable[[], bool], *, urls: list[str] | None = None, least: float = 0.0) -> None:
        """Start a delivery, let it run until this holds and at least so many seconds, and end it."""
        settings = Settings(
            type="alertmanager",
            url=urls or self.server.url,
            start="oldest",
            resend=1.0,
            batch=Batching(seconds=0.0),
        )
        state = State(str(self._folder / "journal.sinks"))
        made: Sink = alertmanager.make("alerts", settings, Tools(now=now, memory=state.memory("alerts")))
        deliverer = Deliverer(lambda: self.feed, state, now)
        await deliverer.set_sinks([(made, settings)])
        running = asyncio.create_task(deliverer.run())
        try:
            await asyncio.sleep(least)
            async with asyncio.timeout(SECONDS):
                while not until():  # noqa: ASYNC110 - what it asks has no events
                    await asyncio.sleep(0.05)
        finally:
            deliverer.stop()
            await running
            state.close()

    async def listed(self) -> list[dict[str, Any]]:
        """What Alertmanager lists as active."""
        return await asyncio.to_thread(self.server.alerts)

    def told(self, status: str) -> list[dict[str, Any]]:
        """The notifications of this status."""
        found = [cast("dict[str, Any]", asked.json()) for asked in self.hook.requests]
        return [one for one in found if one["status"] == status]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with ScriptedReceiver() as hook:
        server = Alertmanager(tmp_path / "alertmanager", f"{hook.url}/notified")
        await asyncio.to_thread(server.start)
        try:
            yield World(server, hook, tmp_path)
        finally:
            await asyncio.to_thread(server.stop)


def ago(seconds: float) -> Micros:
    return now() - int(seconds * 1e6)


async def test_five_crashes_are_one_notification_over_a_restart_and_resolve_once(world: World) -> None:
    """T-67, T-65."""
    pods = tuple(f"serve-{number}" for number in range(5))
    world.add(*(verdict(run=f"serve-{number}", at=ago(60 - number), pods=pods) for number in range(5)))
    await world.deliver(lambda: bool(world.told("firing")))

    [listed] = await world.listed()
    assert (listed["labels"]["alertname"], listed["labels"]["pipeline"]) == ("PipetrailRunFailing", "nightly")
    notes = listed["annotations"]
    assert (notes["blame"], notes["cause"], notes["remedy"]) == ("user_code", "out of memory", "raise the memory limit")
    assert notes["runs"].startswith("5: serve-0, ")
    assert notes["objects"].startswith("5: ml/Pod/serve-0, ")

    # A restart of delivery, several tellings, a better verdict: the same alert.
    first = verdict(run="serve-4", at=ago(56), pods=pods)
    world.add(verdict(run="serve-4", at=ago(55), better=first, summary="the ConfigMap has no key MODEL", seen=now()))
    await world.deliver(lambda: True, least=3.5)
    [again] = await world.listed()
    assert (again["startsAt"], again["fingerprint"]) == (listed["startsAt"], listed["fingerprint"])
    assert again["annotations"]["summary"] == "the ConfigMap has no key MODEL"

    world.add(turn("Succeeded", now(), run="serve-9"))
    await world.deliver(lambda: bool(world.told("resolved")), least=2.5)
    assert await world.listed() == []
    assert (len(world.told("firing")), len(world.told("resolved"))) == (1, 1)
    [resolved] = world.told("resolved")[0]["alerts"]
    assert resolved["endsAt"] > resolved["startsAt"]


async def test_three_preemptions_are_counted_in_what_is_listed(world: World) -> None:
    """T-66: days apart, each over before the next."""
    day = 86_400
    for number, days in enumerate((6, 3)):
        world.add(verdict("Preempted", at=ago(days * day), attempt=number))
    world.add(verdict("Preempted", at=ago(30), attempt=3), turn("Running", ago(20)))
    await world.deliver(lambda: bool(world.told("firing")))

    [listed] = await world.listed()
    assert (listed["labels"]["severity"], listed["annotations"]["times"]) == ("warning", "3")
    assert listed["annotations"]["state"] == "Preempted"


async def test_worse_trouble_takes_the_place_of_the_first_alert(world: World) -> None:
    world.add(verdict("Preempted", at=ago(60)))
    await world.deliver(lambda: bool(world.told("firing")))
    world.add(verdict("Failed", at=ago(30)))
    await world.deliver(lambda: len(world.told("firing")) == 2 and bool(world.told("resolved")))

    [listed] = await world.listed()
    assert listed["labels"]["severity"] == "critical"


async def test_an_alertmanager_that_was_restarted_knows_the_alert_again_and_notifies_nobody_twice(world: World) -> None:
    world.add(verdict(at=ago(60)))
    await world.deliver(lambda: bool(world.told("firing")))
    before = await world.listed()
    await asyncio.to_thread(world.server.stop, 10)
    await asyncio.to_thread(world.server.start)
    await world.deliver(lambda: True, least=3.0)

    [listed] = await world.listed()
    assert listed["fingerprint"] == before[0]["fingerprint"]
    assert len(world.told("firing")) == 1


async def test_an_alertmanager_that_was_away_gets_what_it_missed_from_the_next_telling(
    world: World, tmp_path: Path
) -> None:
    other = Alertmanager(tmp_path / "other", f"{world.hook.url}/other")
    world.add(verdict(at=ago(60)))
    urls = [world.server.url, other.url]
    await world.deliver(lambda: bool(world.told("firing")), urls=urls)
    await asyncio.to_thread(other.start)
    try:
        await world.deliver(lambda: len(world.told("firing")) == 2, urls=urls)
        assert len(await asyncio.to_thread(other.alerts)) == 1
    finally:
        await asyncio.to_thread(other.stop)


async def test_a_pipeline_with_a_strange_name_is_an_alert_with_that_name(world: World) -> None:
    world.add(verdict(at=ago(60), pipeline='über "all"\n{x}\x00=~.* 列'))
    await world.deliver(lambda: bool(world.told("firing")))

    [listed] = await world.listed()
    assert listed["labels"]["pipeline"] == 'über "all" {x} =~.* 列'


async def test_what_it_refuses_for_its_content_is_permanent(world: World) -> None:
    http = Http(HttpSettings(type="test", url=world.server.url), now)
    await http.start()
    try:
        with pytest.raises(Permanent, match=r"HTTP 400: .*invalid label"):
            await http.request(
                "POST", "/api/v2/alerts", b'[{"labels": {"a-b": "c"}}]', {"Content-Type": "application/json"}
            )
    finally:
        await http.stop()


async def test_a_probe_says_its_version_and_leaves_nothing_there(world: World) -> None:
    made = alertmanager.make(
        "alerts", Settings(type="alertmanager", url=world.server.url), Tools(now=now, memory=Forgetful())
    )
    await made.start()
    said = await made.probe()
    await made.stop()

    assert said.startswith(f"{world.server.url}/: Alertmanager 0.")
    assert await world.listed() == []


async def test_the_example_is_a_configuration_that_alertmanager_takes(tmp_path: Path) -> None:
    program = shutil.which("amtool")
    assert program is not None
    file = EXAMPLES / "alertmanager.yml"
    done = await asyncio.to_thread(subprocess.run, [program, "check-config", str(file)], capture_output=True, text=True)
    assert (done.returncode, "SUCCESS" in done.stdout) == (0, True), done.stderr

    server = Alertmanager(tmp_path, "", config=file.read_text(encoding="utf-8"))
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.stop)


def test_the_example_of_our_own_configuration_has_no_mistake() -> None:
    assert list(load(str(EXAMPLES / "pipetrail.yaml"), sinks=True).sinks) == ["alerts"]
