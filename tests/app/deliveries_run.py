"""Real processes of ``pipetrail`` that deliver, and what they wrote."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pipetrail.model import Batch, Event, ObjectRef, fingerprint
from pipetrail.model.times import SECOND, parse_time
from pipetrail.stores.sqlite import Journal

T = TypeVar("T")
START = parse_time("2026-11-24T03:00:00Z")
DEADLINE = 60.0
"""Seconds; what is waited for takes a few at most."""


def happened(number: int, **more: Any) -> Event:
    """An event about a Pod of its own."""
    at = START + number * SECOND
    about = ObjectRef(api_version="v1", kind="Pod", namespace="ml", name=f"worker-{number}", uid=f"uid-{number}")
    fields: dict[str, Any] = {"reason": "BackOff", "message": f"message {number}", "severity": "warning"} | more
    return Event(
        number=fingerprint("delivered", str(number)),
        cluster="prod",
        at=at,
        observed_at=at,
        origin="kubernetes",
        about=about,
        **fields,
    )


def append(journal: Journal, *numbers: int) -> None:
    """Record some events."""
    events = [happened(number) for number in numbers]
    journal.append([Batch(cluster="prod", resource="events", events=events)])


def configuration(path: Path, **sinks: dict[str, Any]) -> str:
    """Write a configuration with these sinks: files that begin with the oldest, unless they say otherwise."""
    whole = {name: {"type": "file", "start": "oldest", "hold": 0, **settings} for name, settings in sinks.items()}
    path.write_text(json.dumps({"sinks": whole}), encoding="utf-8")
    return str(path)


def told(path: Path) -> list[str]:
    """The messages in a file of JSON lines, in order."""
    with contextlib.suppress(FileNotFoundError):
        whole = path.read_bytes()
        return [json.loads(line)["message"] for line in whole[: whole.rfind(b"\n") + 1].splitlines()]
    return []


def messages(*numbers: int) -> list[str]:
    """The messages of some events."""
    return [f"message {number}" for number in numbers]


def until(found: Callable[[], T], wanted: Callable[[T], bool] = bool) -> T:
    """What is found, once it is what is wanted; an error that shows it after the deadline."""
    end = time.monotonic() + DEADLINE
    while not wanted(value := found()):
        assert time.monotonic() < end, f"not within {DEADLINE} s; it is {value!r}"
        time.sleep(0.05)
    return value


class Process:
    """A process of ``pipetrail`` with its log in a file."""

    def __init__(self, log: Path, *arguments: str, **environment: str) -> None:
        self._log = log
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipetrail", *arguments],
                stdin=subprocess.PIPE,
                stdout=stderr,
                stderr=stderr,
                env=os.environ | environment,
            )

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(encoding="utf-8")

    def logs(self, words: str) -> None:
        """Wait until it says this."""
        until(lambda: self.log, lambda log: words in log)

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextlib.contextmanager
def running(log: Path, *arguments: str, **environment: str) -> Iterator[Process]:
    """A process that is not left behind."""
    found = Process(log, *arguments, **environment)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
        found.process.wait(DEADLINE)
        if found.process.stdin is not None:
            found.process.stdin.close()
