"""The picture of the README is what the command prints now."""

import html
import re
import time
from collections.abc import Iterator

import pytest

from docs import picture


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _letters(text: str) -> str:
    return re.sub(r"\s", "", text.replace("\xa0", ""))


def test_the_picture_shows_what_the_command_prints() -> None:
    drawn = picture.PICTURE.read_text(encoding="utf-8")
    shown = _letters("".join(html.unescape(part) for part in re.findall(r"<text [^>]*>([^<]*)</text>", drawn)))

    printed = re.sub(r"\x1b\[[\d;]*m", "", picture.output())

    assert "pytorchjob" in printed
    assert _letters(printed) in shown, "run `python docs/picture.py`"


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    drawn = picture.PICTURE.read_text(encoding="utf-8")

    assert re.findall(r"url\((?!#)|<image|<script|@import|@font-face", drawn) == []
