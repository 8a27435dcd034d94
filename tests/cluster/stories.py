"""What programs with declared Events do to a cluster that forgets them, and to a recorder that does not."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.client import ApiError
from cluster.engine import Engine, Result, Stack

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane
    from pipetrail.model import Event
    from tests.cluster.recording import Recording

NAMESPACE = "machine-learning"
FORGOTTEN_SECONDS = 150.0  # ten times what it takes the cluster


@dataclass
class Story:
    """What each command said, by a word of its own, what the timeline then held, and what else was seen."""

    results: dict[str, Result] = field(default_factory=dict)
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)
    facts: dict[str, list[Event]] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)


class Scene:
    """A cluster that forgets Events after 15 s, and a recorder of it that forgets nothing."""

    def __init__(self, engine: Engine, cluster: ControlPlane, recording: Recording, directory: Path) -> None:
        self.engine = engine
        self.cluster = cluster
        self.recording = recording
        self._directory = directory
        self._marks = 0

    def stack(self, name: str, program: str | Path, *, project: str = "facts") -> Stack:
        made = Stack(self.engine, self._directory / name, program, self.cluster.kubeconfig(), project=project)
        if isinstance(program, Path):  # the example with its own settings, exactly as it is
            shutil.copy(program.with_name("Pulumi.yaml"), made.project)
        return made

    def up(self, story: Story, word: str, stack: Stack, *, refresh: bool = False) -> None:
        before = time.time_ns() // 1000
        story.results[word] = stack.up(refresh=refresh)
        story.windows[word] = (before, time.time_ns() // 1000)

    def facts(self, *names: str) -> list[Event]:
        """The recorded Events whose names begin so."""
        found = self.recording.kubernetes_events(NAMESPACE)
        return [event for event in found if event.source is not None and event.source.name.startswith(names)]

    def all_facts(self, *names: str) -> list[Event]:
        """The same when all that the cluster was told until now is recorded."""
        self._marks += 1
        mark = f"mark-{self._marks}-of-{names[0]}"
        about = {"apiVersion": "v1", "kind": "Pod", "namespace": NAMESPACE, "name": "mark"}
        body = {"metadata": {"name": mark}, "involvedObject": about, "reason": "Mark"}
        self.cluster.request("POST", f"/api/v1/namespaces/{NAMESPACE}/events", body)
        self.recording.wait(lambda: self.facts(mark))
        return self.facts(*names)

    def wait_forgotten(self, name: str) -> None:
        """Return when the cluster says 404."""

        def forgotten() -> bool:
            try:
                self.cluster.request("GET", f"/api/v1/namespaces/{NAMESPACE}/events/{name}")
            except ApiError as error:
                if error.status == 404:
                    return True
                raise
            return False

        self.cluster.wait(forgotten, FORGOTTEN_SECONDS)

    def uid(self, name: str) -> str:
        """The uid of the Event that the cluster has now."""
        found = self.cluster.request("GET", f"/api/v1/namespaces/{NAMESPACE}/events/{name}")
        return str(found["metadata"]["uid"])
