"""The recorder as people run it: a process with a journal, which a test starts, kills and asks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cluster.programs import free_ports
from pipetrail.model import Event, ObjectQuery, ObjectVersion, Query, SourceState
from pipetrail.stores.sqlite import JournalError, JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PIPETRAIL = Path(sys.executable).with_name("pipetrail")
ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 5.0  # what SIGTERM may take
START_SECONDS = 30.0  # ten times what it takes

Found = TypeVar("Found")


class Recording:
    """A recorder of the cluster that `kubeconfig` names, and its journal; not started yet.

    `options` go on the command line. `hurried` makes it ask for short watches and look for new kinds each second, so
    that a test need not wait for minutes; everything else is the same.
    """

    def __init__(self, directory: Path, kubeconfig: Path | None, *options: str, hurried: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.journal = directory / "journal.db"
        self.log = directory / "record.log"
        self.environment: dict[str, str] = {}
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        command = [sys.executable, "-m", "tests.cluster.hurried"] if hurried else [str(PIPETRAIL)]
        where = [f"--kubeconfig={kubeconfig}"] if kubeconfig else []
        self.command = [
            *command, "record", *where, f"--journal={self.journal}", f"--listen={self.address}", *options
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Recording:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it; returns at once."""
        assert self._process is None, "it runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def kill(self) -> None:
        """End it with SIGKILL, and what it started. Safe to repeat."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> int:
        """End it with SIGTERM, and return the exit code; it must not take longer than promised."""
        process, self._process = self._process, None
        assert process is not None, "it does not run"
        process.terminate()
        try:
            if code := process.wait(STOP_SECONDS):
                print(self.tail())
            return code
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs still, or has ended by itself."""
        return self._process is not None and self._process.poll() is None

    # --- What it says

    def ready(self) -> tuple[int, str]:
        """The status and the text of /readyz; status 0 where nobody answers."""
        return self.ask("/readyz")

    def ask(self, path: str) -> tuple[int, str]:
        """The status and the text of an answer of its HTTP server; status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait_ready(self, timeout: float = START_SECONDS) -> None:
        """Return when it sees all that it should."""
        self.wait(lambda: self.ready()[0] == 200, timeout)

    def wait(self, predicate: Callable[[], Found], timeout: float = 30) -> Found:
        """Call `predicate` until it returns something true, and return that; raises TimeoutError, or if it ends."""
        deadline = time.monotonic() + timeout
        while True:
            # Asked before: what has ended can still have done all that was wanted.
            running = self.running
            with contextlib.suppress(JournalError):
                if found := predicate():
                    return found
            if not running or time.monotonic() > deadline:
                why = f"nothing after {timeout} s" if running else "it does not run"
                raise TimeoutError(f"{why}; it says: {self.ready()[1]}\n{self.tail()}")
            time.sleep(0.05)

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def tail(self) -> str:
        """The end of what it has printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""

    # --- What its journal holds

    def events(self, **query: Any) -> list[Event]:
        """The matching events, by `seq`."""
        with JournalReader(str(self.journal)) as reader:
            return list(reader.events(Query(order="seq", **query)))

    def kubernetes_events(self, *namespaces: str) -> list[Event]:
        """The Kubernetes Events of some namespaces, by `seq`."""
        return self.events(namespaces=namespaces, origins=("kubernetes",))

    def status_events(self, *namespaces: str, **query: Any) -> list[Event]:
        """The status events of some namespaces, by `seq`."""
        return self.events(namespaces=namespaces, origins=("status",), **query)

    def occurrences(self, namespace: str) -> Mapping[str, int]:
        """How often each Event of a namespace happened, by its uid."""
        return occurrences(self.kubernetes_events(namespace))

    def objects(self, **query: Any) -> list[ObjectVersion]:
        """The matching objects."""
        with JournalReader(str(self.journal)) as reader:
            return list(reader.objects(ObjectQuery(**query)))

    def sources(self) -> dict[str, SourceState]:
        """How each source stands, by its name."""
        with JournalReader(str(self.journal)) as reader:
            return {state.resource: state for state in reader.sources()}

    def state(self, source: str) -> str:
        """How one source stands; empty where it is not known yet."""
        found = self.sources().get(source)
        return found.state if found is not None else ""

    def gaps(self) -> list[tuple[str, str, str]]:
        """The gaps but for those of a first start: source, reason, loss."""
        with JournalReader(str(self.journal)) as reader:
            return [(gap.resource, gap.reason, gap.loss) for gap in reader.gaps() if gap.since is not None]

    def bytes(self) -> bytes:
        """All that its journal consists of, as it stands on the disk."""
        return b"".join(path.read_bytes() for path in sorted(self.journal.parent.glob(self.journal.name + "*")))


def occurrences(events: list[Event]) -> Mapping[str, int]:
    """How often each Kubernetes Event among some events happened, by its uid."""
    found: dict[str, int] = {}
    for event in events:
        assert event.source is not None
        found[event.source.uid] = found.get(event.source.uid, 0) + event.count
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of pipetrail to its end."""
    return subprocess.run(
        [str(PIPETRAIL), *arguments], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
