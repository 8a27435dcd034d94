"""A whole recorder beside a scripted API server, in virtual time, and its journal to read back.

async with recorded(Case(...), tmp_path) as trial:
    await trial.after(60)
    assert trial.totals() == {"e1": 3}
"""

import asyncio
import contextlib
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipetrail.app.cluster import ClusterOptions
from pipetrail.app.recorder import Recorder, RecorderOptions
from pipetrail.kube.login import FixedLogin, Login
from pipetrail.kube.watch import Timing
from pipetrail.model import Event, Gap, Micros, ObjectQuery, ObjectVersion, Query, SourceState
from pipetrail.model.times import SECOND, micros, to_datetime
from pipetrail.stores.sqlite import JournalReader
from pipetrail.testing.apiserver import EPOCH, Case, Object, ScriptedServer, serve

START: Micros = micros(EPOCH)
CLUSTER = "c1"
OPTIONS = ClusterOptions(name=CLUSTER)
HOUR = 3600.0
VIRTUAL_TIME = pytest.mark.looptime(noop_cycles=10)  # loopback delivers at once, so few idle turns are enough


def stamp(seconds: float, *, fraction: bool = False) -> str:
    """A time of the API so many seconds after the case began: a Time, or a MicroTime."""
    time = to_datetime(START + round(seconds * SECOND))
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if fraction else "%Y-%m-%dT%H:%M:%SZ")


def event(name: str, count: int = 1, at: float = 0.0, *, first: float | None = None, **more: Any) -> Object:
    """A core/v1 Event about a pod, as the kubelet's recorder writes it."""
    return {
        "metadata": {"name": name, "namespace": "team-a"},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": "team-a", "name": f"of-{name}"},
        "reason": "BackOff",
        "message": f"Back-off of {name}",
        "type": "Warning",
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": stamp(at if first is None else first),
        "lastTimestamp": stamp(at),
        "count": count,
    } | more


def pod(name: str, phase: str = "Running", **more: Any) -> Object:
    """A Pod in some phase."""
    metadata = {"name": name, "namespace": "team-a"} | more.pop("metadata", {})
    return {"metadata": metadata, "spec": {"nodeName": "n1"}, "status": {"phase": phase}} | more


class Trial:
    """Recorders of one scripted server, one after the other, and what their journal holds."""

    def __init__(
        self,
        server: ScriptedServer,
        folder: Path,
        clusters: Sequence[tuple[Login, ClusterOptions]] | None = None,
        options: ClusterOptions = OPTIONS,
    ) -> None:
        self.server = server
        self.folder = folder
        self.journal = folder / "journal.db"
        self.clusters = clusters or [(FixedLogin(server.url), options)]
        self.recorder: Recorder | None = None
        self._task: asyncio.Task[bool] | None = None
        self._images = 0

    # ---- running

    def now(self) -> Micros:
        """The wall clock of the recorder: the scripted cluster's."""
        return micros(self.server.now())

    async def start(self) -> None:
        """Start a recorder on the journal as it is."""
        self.recorder = Recorder(RecorderOptions(journal=str(self.journal)), self.clusters, now=self.now)
        self._task = asyncio.create_task(self.recorder.run(), name="recorder")

    async def stop(self) -> None:
        """End it as SIGTERM does. An error of the recorder is raised here."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def crash(self) -> None:
        """Go on with the journal as a SIGKILL at this moment would leave it: what is committed, and nothing else."""
        self._images += 1
        image = self.folder / f"crashed-{self._images}.db"
        await self.running.writer.ask(lambda _: copy_journal(self.journal, image))
        await self.stop()
        self.journal = image

    async def restart(self, *, after: float = 0.0) -> None:
        """Stop, wait, and start anew."""
        await self.stop()
        await asyncio.sleep(after)
        await self.start()

    async def after(self, seconds: float) -> None:
        """Let some time pass, and what was seen by then be stored."""
        await asyncio.sleep(seconds)
        assert self._task is not None
        if self._task.done():
            await self._task
        await self.running.writer.flush()

    @property
    def running(self) -> Recorder:
        """The recorder that runs now."""
        assert self.recorder is not None
        return self.recorder

    # ---- what it shows

    def blind(self) -> list[str]:
        """Why the recorder is not ready."""
        return self.running.blind()

    def lists(self, resource: str) -> int:
        """How often a resource was listed from the start; the probes for a version do not count."""
        asked = [ask.query for ask in self.server.asked("list", resource)]
        return sum("continue" not in query and "resourceVersionMatch" not in query for query in asked)

    def reader(self) -> JournalReader:
        """A reader of the journal."""
        return JournalReader(str(self.journal))

    def events(self, origin: str = "kubernetes", **query: Any) -> list[Event]:
        """The stored events of an origin, in the order in which they came."""
        with self.reader() as reader:
            return list(reader.events(Query(origins=(origin,), order="seq", **query)))  # type: ignore[arg-type]

    def totals(self) -> dict[str, int]:
        """How many occurrences of each Kubernetes Event are stored, by its name."""
        found: Counter[str] = Counter()
        for stored in self.events():
            assert stored.source is not None
            found[stored.source.name] += stored.count
        return dict(found)

    def objects(self, **query: Any) -> list[ObjectVersion]:
        """The stored objects."""
        with self.reader() as reader:
            return list(reader.objects(ObjectQuery(**query)))

    def gaps(self, resource: str | None = None, *, first_start: bool = False) -> list[Gap]:
        """The stored gaps, those of the first start only if asked for."""
        with self.reader() as reader:
            found = reader.gaps()
        return [
            gap for gap in found if resource in (None, gap.resource) and (first_start or gap.reason != "FirstStart")
        ]

    def state(self, resource: str) -> SourceState:
        """What the journal says of a source."""
        with self.reader() as reader:
            return next(state for state in reader.sources() if state.resource == resource)

    def rejects(self) -> list[tuple[str, str, str]]:
        """The input that was kept for inspection: resource, reason, body."""
        with self.reader() as reader:
            rows = reader.db.execute(
                "SELECT s.text, r.reason, r.body FROM rejects r JOIN strings s ON s.id = r.resource ORDER BY r.id"
            )
            return [(str(resource), str(reason), str(body)) for resource, reason, body in rows]


def copy_journal(journal: Path, image: Path) -> None:
    """Copy what a crash would leave of a journal. Call it between two transactions."""
    for suffix in ("", "-wal"):
        source = journal.with_name(journal.name + suffix)
        if source.exists():
            shutil.copy(source, image.with_name(image.name + suffix))


@contextlib.asynccontextmanager
async def recorded(
    case: Case,
    folder: Path,
    *,
    login: Login | None = None,
    options: ClusterOptions = OPTIONS,
) -> AsyncIterator[Trial]:
    """Record a scripted server for the time of the block. The journal can be read after it, too."""
    async with serve(case) as server:
        trial = Trial(server, folder, [(login or FixedLogin(server.url), options)])
        await trial.start()
        try:
            yield trial
        finally:
            await trial.stop()


def timing(**wanted: Any) -> ClusterOptions:
    """Options of the usual cluster with other durations."""
    return ClusterOptions(name=CLUSTER, timing=Timing(**wanted))
