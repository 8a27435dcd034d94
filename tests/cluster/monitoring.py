"""All that users have beside a recorder, started from examples/monitoring: a search node, Prometheus, Alertmanager.

And what they look at: the timeline as it grows, a search, a query, the alerts, and what people were told.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from cluster import opensearch
from cluster.alertmanager import Alertmanager
from cluster.opensearch import SearchCluster
from cluster.programs import Spawner, free_ports
from cluster.prometheus import Prometheus
from tests.cluster.recording import PIPETRAIL, ROOT, Recording, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXAMPLES = ROOT / "examples" / "monitoring"
ADDRESSES = {"recorder": 8380, "search": 9200, "alertmanager": 9093, "notified": 9095}
SCRAPE_SECONDS = 5  # as examples/monitoring/prometheus.yml says

Found = TypeVar("Found")


class Monitoring:
    """Everything of the page, in `directory`, with ports of its own; `server` is the built search server.

    Use it as a context manager. What is started is ended with it, whatever happens.
    """

    def __init__(self, directory: Path, kubeconfig: Path, server: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.config = directory / "pipetrail.yaml"
        self.notified = directory / "notified.log"
        # The kubeconfig comes from the environment, as on the page: an option would replace the clusters of the file.
        self.recording = Recording(directory / "recorder", None, f"--config={self.config}")
        self.recording.environment = {"KUBECONFIG": str(kubeconfig)}
        self.search_node = SearchCluster(directory / "search", server=server)
        port = free_ports(1)[0]
        self.alertmanager = Alertmanager(directory / "alertmanager", "")
        self._addresses = {
            "recorder": self.recording.address,
            "search": self.search_node.urls[0].removeprefix("http://"),
            "alertmanager": self.alertmanager.url.removeprefix("http://"),
            "notified": f"127.0.0.1:{port}",
        }
        self.alertmanager.config = self._example("alertmanager.yml")
        self.config.write_text(self._example("pipetrail.yaml"))
        self.prometheus = Prometheus(directory / "prometheus", [], config=self._example("prometheus.yml"))
        (directory / "prometheus" / "pipetrail.rules.yaml").write_text(self.pipetrail("rules").stdout)
        self._stack = ExitStack()

    def __enter__(self) -> Monitoring:
        with ExitStack() as stack:
            spawner = Spawner()
            stack.callback(spawner.close)
            port = self._addresses["notified"].rpartition(":")[2]
            told = spawner.spawn([sys.executable, str(EXAMPLES / "notified.py"), port], self.notified)
            stack.callback(told.stop)
            for one in (self.search_node, self.alertmanager, self.prometheus, self.recording):
                stack.enter_context(one)
            self.recording.wait_ready()
            self.recording.wait(lambda: [sink["state"] for sink in self.sinks()] == ["closed", "closed"], 60)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _example(self, name: str) -> str:
        """A file of the example with our ports in it."""
        text = (EXAMPLES / name).read_text()
        for part, port in ADDRESSES.items():
            text = text.replace(f"127.0.0.1:{port}", self._addresses[part])
        return text

    # --- What people look at

    def wait(self, predicate: Callable[[], Found], timeout: float) -> Found:
        """What `predicate` returns as soon as it is true, while the recorder runs."""
        return self.recording.wait(predicate, timeout)

    def pipetrail(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, which must be a good one."""
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        return done

    def asked(self, *arguments: str) -> list[dict[str, Any]]:
        """The lines of a command's JSON."""
        done = self.pipetrail(*arguments, "-o", "json", f"--journal={self.recording.journal}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def sinks(self) -> list[dict[str, Any]]:
        """What `pipetrail sinks` says."""
        return self.asked("sinks", f"--config={self.config}")

    def hits(self, index: str, **terms: str) -> list[dict[str, Any]]:
        """The documents that a search finds now; nothing is refreshed for it."""
        query = {"query": {"bool": {"filter": [{"term": {name: value}} for name, value in terms.items()]}}}
        with contextlib.suppress(opensearch.ApiError):
            return [hit["_source"] for hit in self.search_node.search(index, query)["hits"]["hits"]]
        return []  # the index is not there yet

    def is_taken(self, index: str, number: str) -> bool:
        """Whether the node has a document of this id, searchable or not."""
        with contextlib.suppress(opensearch.ApiError):
            return bool(self.search_node.request("GET", f"/{index}/_doc/{number}")["found"])
        return False

    def samples(self, selector: str) -> list[tuple[float, float]]:
        """Each scrape of a series in the last minutes: when it was, and the value."""
        found = self.prometheus.get("query", query=f"{selector}[5m]")["result"]
        assert len(found) < 2, found
        return [(float(at), float(value)) for one in found for at, value in one["values"]]

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts of failing pipelines that are active."""
        return [one for one in self.alertmanager.alerts() if one["labels"]["alertname"] == "PipetrailRunFailing"]

    def told(self) -> str:
        """What people were told."""
        return self.notified.read_text() if self.notified.exists() else ""

    @contextlib.contextmanager
    def follow(self, *options: str) -> Iterator[Followed]:
        """`pipetrail events --follow`, as people have it open beside."""
        command = [str(PIPETRAIL), "events", "--follow", "-o", "json", f"--journal={self.recording.journal}", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            followed = Followed(process)
            try:
                yield followed
            finally:
                process.kill()
                followed.join()


class Followed:
    """The lines of a command that goes on, and when each came (the wall clock, in seconds)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[tuple[float, dict[str, Any]]] = []
        self._process = process
        self._thread = threading.Thread(target=self._read, name="followed")
        self._thread.start()

    def matching(self, fits: Callable[[dict[str, Any]], bool]) -> list[tuple[float, dict[str, Any]]]:
        """The lines that fit, and when each came."""
        return [(at, line) for at, line in list(self.lines) if fits(line)]

    def join(self) -> None:
        """Wait until the command's last line was read."""
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append((time.time(), json.loads(line)))
