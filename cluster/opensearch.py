"""OpenSearch and Elasticsearch nodes on loopback, for tests: the real servers, each in a JVM of its own.

`cluster.build` fetches them: `plain` is OpenSearch, `secure` is one with the security plug-in (TLS and users), and
the part `elasticsearch` is the last Elasticsearch under a free licence. They keep their data in a folder of the
caller's, and leave nothing behind.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import shutil
import ssl
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cluster import build
from cluster.programs import Program, Spawner, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

READY_SECONDS = 180  # 3 to 25 s on an idle machine
STOP_SECONDS = 600  # half a minute on an idle machine; how long a JVM may take to write down what it learnt
AOT_CACHE = "node.aot"
OPTIONS = Path(__file__).resolve().parent / "opensearch" / "jvm.options"
_QUICK = "-XX:TieredStopAtLevel=1"  # the second compiler makes a start longer, and a server faster after minutes

Found = TypeVar("Found")


class ApiError(Exception):
    """The server said no: its status, and what it said."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status


class SearchCluster:
    """Some nodes in `directory`, which is made by `start` and removed by `stop`.

    `server` is the folder of the server (the plain OpenSearch that `cluster.build` made, when None). `heap` is that of
    each node. `settings` are added to those of every node. `warm` leaves the JVM free to optimise as long as it likes:
    for measurements, since a start is then slower. `login` (name and password), `ca` (a file) and `config` (a folder
    that becomes the nodes' own) are for a server with TLS and users. `newest_java` is
    for one that no later Java runs.

    Use it as a context manager, or call `start` and `stop`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        nodes: int = 1,
        server: Path | None = None,
        heap: str = "512m",
        settings: Mapping[str, str] | None = None,
        warm: bool = False,
        login: tuple[str, str] | None = None,
        ca: Path | None = None,
        config: Path | None = None,
        newest_java: int | None = None,
    ) -> None:
        if server is None:
            built = build.built(build.OPENSEARCH)
            if built is None:
                raise FileNotFoundError("OpenSearch is not there: run cluster/build.py opensearch")
            server = built / "plain"
        jdk = build.newest_jdk(newest_java)
        if jdk is None:
            raise FileNotFoundError(f"there is no JDK up to Java {newest_java}" if newest_java else "there is no JDK")
        self.directory = directory.resolve()
        self._server, self._jdk, self._heap, self._warm = server, jdk, heap, warm
        self._settings = dict(settings or {})
        self._config = config
        self._login = login
        self.ca = ca
        self._tls = ssl.create_default_context(cafile=str(ca)) if ca is not None else None
        ports = free_ports(2 * nodes)
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self._ports = dict(zip(self.names, zip(ports[::2], ports[1::2], strict=True), strict=True))
        self._running: dict[str, Program] = {}
        self._spawner: Spawner | None = None

    def __enter__(self) -> SearchCluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def urls(self) -> list[str]:
        """The address of each node, running or not."""
        return [self.url(name) for name in self.names]

    def url(self, name: str) -> str:
        """The address of a node."""
        return f"{'https' if self._tls is not None else 'http'}://127.0.0.1:{self._ports[name][0]}"

    def start(self, *jvm: str) -> None:
        """Start all nodes; returns when they are one cluster and answer. `jvm` are further arguments of Java."""
        self.directory.mkdir(parents=True)
        self._spawner = Spawner()
        try:
            for name in self.names:
                self._running[name] = self._spawner.spawn(self._command(name, jvm), self.log(name))
            self.wait(self._is_ready, READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    def kill(self, name: str) -> None:
        """Kill a node at once, as a machine that loses its power does. Its data stay."""
        self._running.pop(name).stop()

    def stop(self, graceful_seconds: float = 0) -> None:
        """Kill all nodes and remove their data. Safe to repeat."""
        for name in list(self._running):
            self._running.pop(name).stop(graceful_seconds)
        if self._spawner is not None:
            self._spawner.close()
            self._spawner = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self, name: str) -> Path:
        """What a node printed."""
        return self.directory / f"{name}.log"

    def pids(self) -> dict[str, int]:
        """The process id of each running node."""
        return {name: program.pid for name, program in self._running.items()}

    def request(self, method: str, path: str, body: Any = None, *, node: str | None = None) -> Any:
        """Ask a node that runs (the first, unless one is named), as `login`; returns what it answers.

        Raises ApiError when it says no, and OSError when it does not answer.
        """
        name = node or next(iter(self._running))
        headers = {"Content-Type": "application/json"}
        if self._login is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self._login).encode()).decode()
        address = urllib.parse.urlsplit(self.url(name))
        connection = (
            http.client.HTTPConnection(address.netloc, timeout=60)
            if self._tls is None
            else http.client.HTTPSConnection(address.netloc, timeout=60, context=self._tls)
        )
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status >= 300:
            raise ApiError(answer.status, text)
        return json.loads(text) if text.startswith(("{", "[")) else text

    def count(self, index: str) -> int:
        """How many documents an index has, all that were taken included."""
        self.request("POST", f"/{index}/_refresh")
        return int(self.request("GET", f"/{index}/_count")["count"])

    def search(self, index: str, query: Mapping[str, Any]) -> Any:
        """The answer of a search."""
        return self.request("POST", f"/{index}/_search", query)

    def primary(self, index: str) -> str:
        """The name of the node that has the first shard's primary."""
        rows = self.request("GET", f"/_cat/shards/{index}?format=json&h=shard,prirep,node")
        return next(str(row["node"]) for row in rows if row["prirep"] == "p" and row["shard"] == "0")

    def wait(self, predicate: Callable[[], Found], timeout: float = READY_SECONDS) -> Found:
        """Return what `predicate` returns as soon as it is true; raises ProgramError when a node ends by itself."""
        until = time.monotonic() + timeout
        while True:
            for program in self._running.values():
                program.check()
            if found := predicate():
                return found
            if time.monotonic() > until:
                raise TimeoutError(f"not within {timeout} s; the nodes' logs are in {self.directory}")
            time.sleep(0.05)

    # --- How a node is started

    def _command(self, name: str, jvm: Sequence[str]) -> list[str]:
        port, transport = self._ports[name]
        settings = {
            "node.name": name,
            "network.host": "127.0.0.1",
            "http.port": str(port),
            "transport.port": str(transport),
            # The tests' data are few; how full the machine's disk is has nothing to do with them.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "cluster.max_shards_per_node": "500",
        }
        if len(self.names) > 1:
            settings |= {
                "discovery.type": "zen",
                "discovery.seed_hosts": ",".join(f"127.0.0.1:{ports[1]}" for ports in self._ports.values()),
                "cluster.initial_cluster_manager_nodes": ",".join(self.names),
            }
        plugins = self._server / "plugins"
        if plugins.exists():
            settings["path.plugins"] = str(plugins)
        settings |= self._settings
        classes = f"{self._server}/node.jar:{self._server}/lib/*"
        command = [str(self._jdk.home / "bin" / "java"), *self._flags(), *jvm, "-cp", classes]
        command += [f"-Dnode.set.{key}={value}" for key, value in settings.items()]
        command += ["SearchNode", "-basePath", str(self.directory / name), "-numOfNode", "1", "-clusterName", "lab"]
        if self._config is not None:
            command += ["-confPath", str(self._config)]
        return command

    def _flags(self) -> list[str]:
        flags = [f"-Xms{self._heap}", f"-Xmx{self._heap}", *(line for line in _options() if line != _QUICK)]
        cache = self._server / AOT_CACHE
        if not self._warm:
            flags.append(_QUICK)
            if cache.exists():
                flags.append(f"-XX:AOTCache={cache}")
        if self._jdk.major >= 23:
            flags.append("--sun-misc-unsafe-memory-access=allow")
        return flags

    def _is_ready(self) -> bool:
        try:
            for name in self.names:
                self.request("GET", f"/_cluster/health?wait_for_nodes={len(self.names)}&timeout=1s", node=name)
        except (ApiError, OSError, http.client.HTTPException):
            return False
        return True


def _options() -> list[str]:
    lines = OPTIONS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def train(cluster: SearchCluster, server: Path) -> None:
    """Start `cluster`, of one node of `server`, once, and keep what its JVM learnt: the next starts are much faster."""
    unfinished = server / f"{AOT_CACHE}.unfinished"
    cluster.start(f"-XX:AOTCacheOutput={unfinished}")
    try:
        cluster.request("PUT", "/_index_template/t", {"index_patterns": ["t-*"], "template": {}})
        cluster.request("POST", "/t-1/_doc?refresh=true", {"word": "one", "time": "2026-01-15T00:00:00Z"})
        cluster.search("t-1", {"aggs": {"words": {"terms": {"field": "word.keyword"}}}})
    finally:
        cluster.stop(STOP_SECONDS)
    if not unfinished.exists() or not unfinished.stat().st_size:
        raise OSError(f"the JVM wrote nothing of what it learnt to {unfinished}")
    unfinished.rename(server / AOT_CACHE)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pipetrail-") as folder:
        train(SearchCluster(Path(folder) / "nodes", server=Path(sys.argv[1])), Path(sys.argv[1]))
