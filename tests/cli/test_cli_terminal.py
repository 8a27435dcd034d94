"""On a real terminal: width, colours, progress."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.test_cli_events import many

PROGRAM = str(Path(sys.executable).with_name("pipetrail"))


def on_terminal(*args: str, width: int = 80, **environment: str) -> str:
    """What a command shows on a terminal of some width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "TZ": "UTC", **environment}
    process = subprocess.Popen([PROGRAM, *args], stdout=theirs, stderr=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(20) == 0, shown
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("width", [80, 140])
def test_a_table_fills_the_terminal_and_no_more(width: int, night_journal: str) -> None:
    shown = on_terminal("events", "--journal", night_journal, width=width, NO_COLOR="1")

    assert max(cell_len(line) for line in shown.splitlines()) == width


def test_colours_are_shown_and_no_color_takes_them_away(night_journal: str) -> None:
    assert "\x1b[31m" in on_terminal("events", "--journal", night_journal)
    assert "\x1b" not in on_terminal("events", "--journal", night_journal, NO_COLOR="1")
    assert "\x1b" not in on_terminal("status", "--journal", night_journal, TERM="dumb")


def test_columns_sets_the_width_where_there_is_no_terminal(night_journal: str) -> None:
    command = [PROGRAM, "events", "--journal", night_journal, "--reason", "FailedScheduling"]

    def shown(**environment: str) -> str:
        # The environment is given in whole: pytest's readline puts COLUMNS into the one that children inherit.
        env = {**os.environ, **environment}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout

    assert "…" not in shown()
    assert max(len(line) for line in shown(COLUMNS="70").splitlines()) == 70


def test_long_work_shows_how_far_it_is(tmp_path: Path) -> None:
    journal = many(tmp_path / "j.db", 30_000)

    copied = on_terminal("backup", "--journal", journal, str(tmp_path / "copy.db"))
    exported = on_terminal("export", "--journal", journal, "--output", str(tmp_path / "all.jsonl"))

    assert "copying…" in copied
    assert copied.splitlines()[-1].endswith("checked")
    assert " events…" in exported
    assert exported.splitlines()[-1].endswith("all.jsonl: 30,000 events")
