"""A SIGHUP that comes while a process starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipetrail import hangup

HELD = "import os, signal; from pipetrail import hangup; hangup.hold(); os.kill(os.getpid(), signal.SIGHUP); print(1);"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_it_comes_when_somebody_listens() -> None:
    came: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    hangup.hold()
    os.kill(os.getpid(), signal.SIGHUP)
    signal.signal(signal.SIGHUP, lambda number, _: came.append(number))
    hangup.release()
    hangup.release()

    assert came == [signal.SIGHUP]


def test_it_ends_a_process_in_which_nobody_ever_listens() -> None:
    command = [sys.executable, "-u", "-c", f"{HELD} hangup.release(); print(2)"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (-signal.SIGHUP, "1\n")


def test_where_it_is_ignored_it_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    hangup.hold()
    os.kill(os.getpid(), signal.SIGHUP)
    hangup.release()

    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
