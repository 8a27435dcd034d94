"""A recorder beside the controllers of ML systems: what is submitted to them, and the runs that it sees meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.client import ApiError
from pipetrail.app.runs import runs_of
from pipetrail.stores.sqlite import JournalReader
from tests.cluster import submitting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster.controllers import Controllers
    from pipetrail.analysis.runs import Run
    from pipetrail.analysis.steps import Step
    from pipetrail.model import Event, Link
    from tests.cluster.recording import Recording


@dataclass
class Live:
    """A namespace in which the controllers work, and a recorder that looks at it."""

    controllers: Controllers
    recording: Recording
    namespace: str

    # --- What happens

    def submit(self, manifest: Mapping[str, Any]) -> None:
        """Create the object."""
        submitting.submit(self.controllers.control_plane, manifest)

    def end(self, selector: str, count: int, outcome: str = "complete") -> None:
        """Let so many pods with these labels end in this way; returns when they were found running, and told to."""
        ended = 0

        def all_told() -> bool:
            nonlocal ended
            ended += submitting.end_pods(self.controllers.control_plane, self.namespace, selector, outcome)
            return ended >= count

        self.controllers.wait(all_told)

    def pod_uid(self, name: str, but: str = "") -> str:
        """The uid of the pod that has the name now, when it runs and is another one than `but`; empty before."""
        try:
            pod = self.controllers.control_plane.request("GET", self._pod(name))
        except ApiError as error:
            if error.status == 404:
                return ""
            raise
        uid = str(pod["metadata"]["uid"])
        return uid if pod["status"].get("phase") == "Running" and uid != but else ""

    def delete_pod(self, name: str) -> None:
        """Delete the pod that has the name now, as a drain of its node does."""
        self.controllers.control_plane.request("DELETE", self._pod(name))

    def _pod(self, name: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{name}"

    # --- What the journal says of it

    def runs(self) -> dict[str, Run]:
        """The runs of the namespace, by name."""
        with JournalReader(str(self.recording.journal)) as reader:
            found = runs_of(reader, time.time_ns() // 1000)
        mine = [run for run in found if run.namespace == self.namespace]
        by_name = {run.name: run for run in mine}
        assert len(by_name) == len(mine), f"several runs of one name: {mine}"
        return by_name

    def wait(self, *names: str, until: Callable[..., object]) -> tuple[Run, ...]:
        """The runs of these names as soon as all are known and as wanted."""
        last: dict[str, Run] = {}

        def seen() -> tuple[Run, ...]:
            last.update(self.runs())
            found = tuple(last[name] for name in names if name in last)
            return found if len(found) == len(names) and until(*found) else ()

        try:
            return self.recording.wait(seen)
        except TimeoutError as error:
            raise AssertionError(f"the runs are still {last or 'unknown'}") from error

    def events(self, run: Run, **query: Any) -> list[tuple[Event, Link]]:
        """The events that are linked to a run, with that link."""
        return [
            (event, link)
            for event in self.recording.events(runs=(run.id,), **query)
            for link in event.links
            if link.run == run.id
        ]

    def pods_of(self, run: Run) -> dict[str, list[tuple[Event, Link]]]:
        """The events about pods of a run, by the pod's uid; each event about a pod of the namespace must be there."""
        about_pods = self.recording.events(namespaces=(self.namespace,), kinds=("Pod",))
        unlinked = [event for event in about_pods if not event.links]
        assert not unlinked
        found: dict[str, list[tuple[Event, Link]]] = {}
        for event, link in self.events(run, kinds=("Pod",)):
            found.setdefault(event.about.uid, []).append((event, link))
        return found


def step(run: Run, name: str) -> Step | None:
    """The step of that name, if the run has it yet."""
    return next((one for one in run.steps if one.name == name), None)


def is_running(run: Run, name: str, attempts: int = 1, replicas: int = 1) -> bool:
    """Whether a run and a step of it run, with so many members in this attempt."""
    found = step(run, name)
    if found is None or run.state != "Running":
        return False
    return (found.state, found.attempts, found.replicas) == ("Running", attempts, replicas)


def all_succeeded(run: Run) -> bool:
    """Whether a run succeeded, and each member of it."""
    return {run.state, *(one.state for one in run.steps)} == {"Succeeded"}


def failed(events: list[tuple[Event, Link]]) -> bool:
    """Whether a pod failed, by its events."""
    return any(event.reason == "exit:1" for event, _ in events)
