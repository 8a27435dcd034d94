"""The sink of one's own that docs/how-to/sinks.md shows, as it stands there: it passes what every sink must pass."""

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
from pipetrail.testing.receivers import Asked, ScriptedReceiver
from pipetrail.testing.sink_contract import Make, SinkContract
from tests.sinks.http_receiver import HttpReceiver

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


def read(asked: Asked) -> list[tuple[str, int]]:
    events = [msgspec.json.decode(line) for line in asked.body.splitlines()]
    return [(event["id"], event["revision"]) for event in events]


class TestLines(SinkContract):
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[HttpReceiver]:
        async with ScriptedReceiver() as scripted:
            yield HttpReceiver(scripted, read)

    @pytest.fixture
    def make(self, receiver: HttpReceiver, lines: Any) -> Make:
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
