"""The sink of one's own that docs/how-to/sinks.md shows, as it stands there: it passes what every sink must pass."""

import itertools
import re
import sys
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipetrail.config import load
from pipetrail.sinks.matching import FIELDS
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
from pipetrail.testing.sink_contract import POISON, Fault, Make, SinkContract

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "sinks.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def lines() -> Iterator[Any]:
    module = types.ModuleType("lines_of_the_docs")
    sys.modules[module.__name__] = module
    exec(compile(blocks("python")[0], str(PAGE), "exec"), module.__dict__)  # noqa: S102 - our own page
    yield module
    del sys.modules[module.__name__]


class LinesReceiver:
    def __init__(self, scripted: ScriptedReceiver) -> None:
        self._scripted = scripted
        self._taken: list[tuple[str, int]] = []
        self._fault: Fault | None = None
        self._numbers = itertools.count()
        scripted.answer = self._answer
        self.url = scripted.url

    def received(self) -> list[tuple[str, int]]:
        return list(self._taken)

    async def fault(self, word: Fault | None) -> None:
        self._fault = word
        if word == "refused":
            await self._scripted.refuse()
        else:
            await self._scripted.listen()

    def _answer(self, asked: Asked) -> Reply:
        if self._fault == "poison" and POISON.encode() in asked.body:
            return BAD_REQUEST
        if self._fault == "intermittent" and next(self._numbers) % 2 == 0:
            return UNAVAILABLE
        failing = {"server": UNAVAILABLE, "limited": LIMITED, "auth": UNAUTHORIZED, "silent": SILENT}
        if self._fault in failing:
            return failing[self._fault]
        for line in asked.body.splitlines():
            event = msgspec.json.decode(line)
            self._taken.append((event["id"], event["revision"]))
        return Reply(delay=0.33 if self._fault == "slow" else 0.0)


class TestLines(SinkContract):
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[LinesReceiver]:
        async with ScriptedReceiver() as scripted:
            yield LinesReceiver(scripted)

    @pytest.fixture
    def make(self, receiver: LinesReceiver, lines: Any) -> Make:
        settings = lines.Settings(type="lines", url=receiver.url, timeout=0.5)
        return lambda tools: lines.make("test", settings, tools)


def test_each_field_of_a_rule_is_on_the_page() -> None:
    assert [name for name in FIELDS if f"`{name}`" not in TEXT] == []
    assert [word for allowed in FIELDS.values() for word in allowed if f"`{word}`" not in TEXT] == []


@pytest.mark.parametrize("block", blocks("yaml"))
def test_the_configurations_on_the_page_have_no_mistakes(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_PASSWORD", "x")
    (tmp_path / "hook-token").write_text("x\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text(block.replace("/run/secrets", str(tmp_path)), encoding="utf-8")

    assert load(str(tmp_path / "config.yaml"), sinks=True).sinks
