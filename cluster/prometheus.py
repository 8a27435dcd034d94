"""A Prometheus on loopback: Debian's, or the one that cluster/build.py builds."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.programs import Spawner, free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster.programs import Program

START_SECONDS = 30.0  # a hundred times what it takes
ASK_SECONDS = 10.0

CONFIGURATION = """\
global:
  scrape_interval: {interval}
  evaluation_interval: {interval}
rule_files: {rules}
scrape_configs:
- job_name: pipetrail
  static_configs:
  - targets: {targets}
{more}"""


class Prometheus:
    """A running server that scrapes some targets; `interval` is how often, and how often rules are looked at.

    `targets` are `host:port`, `rules` the paths of rule files, `program` another binary than the one on PATH. `more` is
    added to its configuration, for an Alertmanager for example; `config` replaces all of it. Use it in a `with`
    statement.
    """

    def __init__(
        self,
        directory: Path,
        targets: Sequence[str],
        *,
        rules: Sequence[Path] = (),
        program: Path | None = None,
        interval: str = "1s",
        more: str = "",
        config: str | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._program = program or installed()
        if self._program is None:
            raise FileNotFoundError("prometheus is not on PATH")
        configuration = CONFIGURATION.format(
            interval=interval,
            rules=json.dumps([str(path) for path in rules]),
            targets=json.dumps(list(targets)),
            more=more,
        )
        (directory / "prometheus.yaml").write_text(configuration if config is None else config)
        self._spawner = Spawner()
        self._running: Program | None = None
        self.url = ""

    def __enter__(self) -> Prometheus:
        address = f"127.0.0.1:{free_ports(1)[0]}"
        self.url = f"http://{address}"
        arguments = [
            str(self._program),
            f"--config.file={self.directory / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={address}",
            "--enable-feature=exemplar-storage",
        ]
        try:
            self._running = self._spawner.spawn(arguments, self.directory / "prometheus.log")
            self._running.wait_ready(f"{self.url}/-/ready", START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.stop()
        self._spawner.close()

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API, such as `targets` or `rules`; raises ValueError where it refuses."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=ASK_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode(errors="replace")) from error

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """The values of an instant query, by the labels of the series, without those of the target."""
        found = self.get("query", query=expression)["result"]
        return {_labels(one["metric"]): float(one["value"][1]) for one in found}

    def value(self, expression: str) -> float | None:
        """The value of a query that has one series; None where it has none."""
        found = self.query(expression)
        if len(found) > 1:
            raise ValueError(f"{expression} has {len(found)} series")
        return next(iter(found.values()), None)

    def exemplars(self, expression: str) -> list[dict[str, str]]:
        """The labels of the exemplars of a query's series within the last day, oldest first."""
        now = time.time()
        found = self.get("query_exemplars", query=expression, start=str(now - 86400), end=str(now + 86400))
        return [exemplar["labels"] for series in found for exemplar in series["exemplars"]]

    def target(self) -> dict[str, Any]:
        """How the last scrape of the first target went: `health`, `lastError` …"""
        (found, *_) = self.get("targets")["activeTargets"]
        return dict(found)


def installed() -> Path | None:
    """Where Debian's is, or another on PATH."""
    found = shutil.which("prometheus")
    return Path(found) if found is not None else None


def _labels(metric: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in metric.items() if name not in ("__name__", "job", "instance"))
