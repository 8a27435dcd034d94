"""A scripted HTTP receiver with the faults that the contract of sinks names."""

import itertools
from collections.abc import Callable, Iterable

from pipetrail.testing.receivers import (
    BAD_REQUEST,
    LIMITED,
    SILENT,
    UNAUTHORIZED,
    UNAVAILABLE,
    Asked,
    Reply,
    ScriptedReceiver,
)
from pipetrail.testing.sink_contract import POISON, Fault

FAILING = {"server": UNAVAILABLE, "limited": LIMITED, "auth": UNAUTHORIZED, "silent": SILENT}


class HttpReceiver:
    """Takes what is sent with ``method``; ``read`` makes ids and revisions of a request."""

    def __init__(
        self,
        scripted: ScriptedReceiver,
        read: Callable[[Asked], Iterable[tuple[str, int]]],
        method: str = "POST",
        well: Reply = Reply(),  # noqa: B008 - it is frozen
    ) -> None:
        self.scripted = scripted
        self.url = scripted.url
        self._read, self._method, self._well = read, method, well
        self._taken: list[tuple[str, int]] = []
        self._fault: Fault | None = None
        self._numbers = itertools.count()
        scripted.answer = self._answer

    def received(self) -> list[tuple[str, int]]:
        return list(self._taken)

    async def fault(self, word: Fault | None) -> None:
        self._fault = word
        if word == "refused":
            await self.scripted.refuse()
        else:
            await self.scripted.listen()

    def _answer(self, asked: Asked) -> Reply:
        if self._fault == "poison" and POISON.encode() in asked.body:
            return BAD_REQUEST
        if self._fault == "intermittent" and next(self._numbers) % 2 == 0:
            return UNAVAILABLE
        if self._fault in FAILING:
            return FAILING[self._fault]
        if asked.method == self._method:
            self._taken += self._read(asked)
        return self._well if self._fault != "slow" else Reply(delay=0.33)
