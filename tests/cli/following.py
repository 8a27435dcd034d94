"""A command with ``--follow`` in a process of its own."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PROGRAM = str(Path(sys.executable).with_name("pipetrail"))


class Following:
    """A command with ``--follow -o json``, and the lines that it has printed."""

    def __init__(self, *args: str) -> None:
        command = [PROGRAM, *args, "--follow", "-o", "json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.seen: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen.append(json.loads(line))

    def first(self, count: int) -> list[dict[str, Any]]:
        """So many lines, as soon as they are there."""
        until = time.monotonic() + 20
        while len(self.seen) < count and time.monotonic() < until:
            time.sleep(0.02)
        return self.seen[:]

    def interrupt(self) -> int:
        """Send Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(10)
        self._reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code
