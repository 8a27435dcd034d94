"""Draws docs/images/events.svg: what `pipetrail events` prints of the demonstration, in its colours."""

import asyncio
import html
import os
import re
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path

from click.testing import CliRunner
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from pipetrail.app.playing import PlayOptions, play
from pipetrail.cli.main import cli
from pipetrail.cli.screen import Screen
from pipetrail.model.times import parse_time

PICTURE = Path(__file__).resolve().parent / "images" / "events.svg"
WIDTH = 110
RECORDING = "pytorchjob-node-failure"
COMMAND = ("events", "--cluster", RECORDING, "--severity", "warning,error", "--since", "12:17:50")
NOW = "2026-11-24T13:00:00Z"  # the day of the recording: so its times are short
# No fonts from elsewhere: what the reader has.
FORM = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", "ui-monospace, 'DejaVu Sans Mono', 'Cascadia Mono', Menlo, Consolas, monospace"
)

_SPACE, _CHARACTER = "&#160;", 12.2  # rich's own measure of a character
_SPACED = re.compile(
    r'<text class="(?P<kind>[\w-]+-r\d+)" x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)" textLength="[\d.]+" '
    r'clip-path="(?P<clip>[^"]*)">(?P<text>[^<]*)</text>'
)


def output() -> str:
    """What the command prints on a terminal of that width."""
    with tempfile.TemporaryDirectory() as folder, as_file(files("pipetrail") / "demo") as demo:
        journal = str(Path(folder) / "journal.db")
        asyncio.run(play([demo / RECORDING], PlayOptions(journal=journal)))
        screen = Screen(width=WIDTH, colour=True, now=lambda: parse_time(NOW))
        done = CliRunner().invoke(cli, [*COMMAND, "--journal", journal], obj=screen, color=True, catch_exceptions=False)
    if done.exit_code:
        raise SystemExit(done.output)
    return done.stdout


def drawn(text: str) -> str:
    """The picture of some lines of a terminal."""
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        console = Console(record=True, width=WIDTH, file=nothing, force_terminal=True, color_system="truecolor")
        console.print(Text("$ " + " ".join(["pipetrail", *COMMAND]), style="bold"))
        console.print(Text.from_ansi(text.rstrip("\n")), no_wrap=True, crop=True)
    svg = console.export_svg(title="pipetrail", code_format=FORM, unique_id="events")
    return _SPACED.sub(_moved, svg)


def _moved(found: re.Match[str]) -> str:
    """A piece of text without the spaces before and after it, at its place: some programs drop spaces at the edges."""
    x, y, clip, inner = found["x"], found["y"], found["clip"], found["text"]
    text = inner.removesuffix("\n")
    bare = text
    while bare.startswith(_SPACE):
        bare = bare.removeprefix(_SPACE)
    before = (len(text) - len(bare)) // len(_SPACE)
    while bare.endswith(_SPACE):
        bare = bare.removesuffix(_SPACE)
    if not bare.strip():
        return ""
    place, length = float(x) + before * _CHARACTER, len(html.unescape(bare)) * _CHARACTER
    kind = found["kind"]
    return f'<text class="{kind}" x="{place:.1f}" y="{y}" textLength="{length:.1f}" clip-path="{clip}">{bare}</text>'


def main() -> int:
    """Draw it."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn(output()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
