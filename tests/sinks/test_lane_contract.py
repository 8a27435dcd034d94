"""The contract suite, on a sink in memory that can show every fault: it checks the suite and the engine."""

from collections.abc import Sequence

import pytest

from pipetrail.model import Answer, Delivery, Permanent, Temporary
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import POISON
from pipetrail.testing.sink_contract import RETRY_AFTER, Fault, Make, Receiver, SinkContract
from pipetrail.testing.sink_world import named
from tests.sinks.scripted import ScriptedSink, taken

ERRORS: dict[Fault, Temporary] = {
    "server": Temporary("503", failure="server"),
    "limited": Temporary("429", after=RETRY_AFTER, failure="limited"),
    "auth": Temporary("401", failure="auth"),
    "silent": Temporary("no answer", failure="timeout"),
    "refused": Temporary("no connection", failure="refused"),
}


class Direct:
    """A receiver in the same process."""

    def __init__(self) -> None:
        self.took: list[Delivery] = []
        self.word: Fault | None = None
        self.asked = 0

    def received(self) -> list[tuple[str, int]]:
        return named(self.took)

    async def fault(self, word: Fault | None) -> None:
        self.word = word

    def answer(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        self.asked += 1
        if self.word in ERRORS:
            raise ERRORS[self.word]
        if self.word == "intermittent" and self.asked % 2:
            raise ERRORS["server"]
        if self.word == "poison" and any(POISON in each.event.message for each in batch):
            raise Permanent("400")
        self.took += batch
        return taken(batch)


class DirectSink(ScriptedSink):
    def __init__(self, receiver: Direct) -> None:
        super().__init__()
        self.receiver = receiver
        self.outcome = receiver.answer

    async def probe(self) -> str:
        if self.receiver.word in ERRORS:
            raise ERRORS[self.receiver.word]
        return "well"


class TestDirect(SinkContract):
    @pytest.fixture
    def receiver(self) -> Receiver:
        return Direct()

    @pytest.fixture
    def make(self, receiver: Direct) -> Make:
        def made(tools: Tools) -> DirectSink:
            return DirectSink(receiver)

        return made
