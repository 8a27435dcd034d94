"""An Alertmanager that a test plays with, at times of its own."""

from typing import Any

import msgspec

from pipetrail.model import Delivery, Micros, Sink
from pipetrail.model.times import parse_time
from pipetrail.sinks import alertmanager
from pipetrail.sinks.alertmanager import Settings
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import Forgetful
from pipetrail.testing.receivers import (
    ScriptedReceiver,
)
from tests.sinks.trouble import MINUTE, START


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
