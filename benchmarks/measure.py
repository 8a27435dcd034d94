"""Runs a subject as a whole process and measures it from outside: what it says of itself may leave out its children."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
SAMPLE: Final = 0.1
PATIENCE: Final = 900.0


class Failed(Exception):
    """A subject that did not do its work."""


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    cpu: float
    """Seconds of all threads and of all children that the subject waited for."""
    rss: float
    """Highest MiB of the process, or of all its processes together where it has children."""
    outcome: dict[str, Any]
    """What the subject printed."""


class Standins:
    """Stand-in servers, each started when first wanted; idle ones cost nothing."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, ...], tuple[subprocess.Popen[str], str]] = {}

    def url(self, *arguments: str) -> str:
        """The address of a server that was started with these arguments."""
        if arguments not in self._running:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.standin", "--end-with-input", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            assert process.stdout
            address = process.stdout.readline().strip()
            if not address:
                raise Failed("the stand-in did not start")
            self._running[arguments] = process, address
        return self._running[arguments][1]

    def stop(self, *arguments: str) -> None:
        """End this server: one with a clock serves once."""
        if found := self._running.pop(arguments, None):
            found[0].kill()
            found[0].communicate()

    def __enter__(self) -> "Standins":
        return self

    def __exit__(self, *_: object) -> None:
        for arguments in list(self._running):
            self.stop(*arguments)


def run(command: list[str], *, whole_tree: bool = False) -> Cost:
    """Run a command to its end. `whole_tree` also samples the memory of its children, which costs a little CPU here."""
    with tempfile.TemporaryDirectory(prefix="pipetrail-bench-") as scratch:
        output, errors = Path(scratch, "output"), Path(scratch, "errors")
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=ROOT,
                env={**os.environ, "TMPDIR": scratch},  # journals of a subject go when it goes
                start_new_session=True,
            )
        late = threading.Timer(PATIENCE, _kill, [process.pid])
        late.start()
        try:
            with _tree(process.pid) if whole_tree else contextlib.nullcontext([0.0]) as sampled:
                # Not Popen.wait: only wait4 tells what this one child, with its threads and children, has used.
                _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _kill(process.pid)
            raise
        finally:
            late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            last = errors.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise Failed(f"ended with {process.returncode}: {last[0][:256]}")
        outcome = _last_line(output.read_text(errors="replace"))
        # The kernel counts from before exec too, so the figure is never below this program's own 30 MiB.
        return Cost(usage.ru_utime + usage.ru_stime, max(usage.ru_maxrss / 1024, *sampled), outcome)


def _last_line(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError, IndexError):
        found = json.loads(text.strip().splitlines()[-1])
        if isinstance(found, dict):
            return found
    return {}


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@contextlib.contextmanager
def _tree(pid: int) -> Iterator[list[float]]:
    """Keep the highest sum of memory over a process and its children."""
    highest = [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE):
            family = _family(pid)
            if len(family) > 1:  # a process alone is measured exactly by wait4
                highest[0] = max(highest[0], sum(map(_proportional, family)) / 1024)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield highest
    finally:
        over.set()
        thread.join()


def _family(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _family(int(child))
    return found


def _proportional(pid: int) -> int:
    """KiB of a process, shared pages divided among those that share them."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
