"""A real Alertmanager on loopback, Debian's package, for tests."""

from __future__ import annotations

import json
import shutil
import urllib.request
from typing import TYPE_CHECKING, Any

from cluster.programs import Program, Spawner, free_ports

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PACKAGE = "prometheus-alertmanager"
READY_SECONDS = 30  # 0.1 s on an idle machine

# Groups are told at once, and again only after a day: a second notification is a mistake.
CONFIG = """\
route:
  receiver: hook
  group_by: ["..."]
  group_wait: 0s
  group_interval: {interval}
  repeat_interval: 24h
receivers:
- name: hook
  webhook_configs:
  - url: {hook}
    send_resolved: true
"""


def installed() -> str | None:
    """The path of the program, or None where the package is not installed."""
    return shutil.which(PACKAGE)


class Alertmanager:
    """One Alertmanager that tells `hook` what it is told. Use it as a context manager, or call `start` and `stop`.

    Configuration, log and what it stores are in `directory`; `config` replaces the configuration.
    """

    def __init__(self, directory: Path, hook: str, *, config: str | None = None, interval: str = "1s") -> None:
        self._program = installed()
        if self._program is None:
            raise FileNotFoundError(f"no {PACKAGE} here: apt-get install {PACKAGE}")
        self.directory = directory
        self.config = CONFIG.format(hook=hook, interval=interval) if config is None else config
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._running: Program | None = None
        self._spawner: Spawner | None = None

    def __enter__(self) -> Alertmanager:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; returns when it is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "alertmanager.yml"
        file.write_text(self.config)
        self._spawner = Spawner()
        flags = [
            f"--config.file={file}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",  # it gossips with nobody
        ]
        self._running = self._spawner.spawn([str(self._program), *flags], self.directory / "alertmanager.log")
        try:
            self._running.wait_ready(f"{self.url}/-/ready", READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self, graceful_seconds: float = 0) -> None:
        """Kill it, after having asked for `graceful_seconds`: then it stores whom it told what. Safe to repeat."""
        if self._running is not None:
            self._running.stop(graceful_seconds)
            self._running = None
        if self._spawner is not None:
            self._spawner.close()
            self._spawner = None

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are active, as its API lists them."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found
