"""Verdicts and runs as delivery brings them, for tests of what makes alerts."""

from typing import Any

import msgspec

from pipetrail.analysis.diagnosis import Verdict
from pipetrail.analysis.diagnosis.verdict import Step
from pipetrail.model import Delivery, Event, Link, Micros, ObjectRef, Standing, fingerprint
from pipetrail.model.times import SECOND, parse_time

START = parse_time("2026-11-24T03:00:00Z")
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

SEVERITIES: dict[str, Any] = {"Failed": "error", "Stuck": "error", "Zombie": "error"}


def ref(name: str, kind: str = "Pod") -> ObjectRef:
    return ObjectRef(kind=kind, namespace="ml", name=name, uid=f"uid-{name}")


def standing(state: str, at: Micros, *, run: str = "train-1", pipeline: str = "nightly", **more: Any) -> Standing:
    known = {"cluster": "prod", "system": "job", "run": f"id-{run}", "name": run, "namespace": "ml"}
    return Standing(**known | more, state=state, at=at, pipeline=pipeline)


def verdict(
    state: str = "Failed",
    at: Micros = START,
    *,
    run: str = "train-1",
    pipeline: str = "nightly",
    attempt: int = 1,
    better: Delivery | None = None,
    recovered: bool = False,
    pods: tuple[str, ...] = ("train-1-0",),
    seen: Micros | None = None,
    summary: str = "the kernel killed the container for memory",
    known: bool = True,
    **more: Any,
) -> Delivery:
    """A verdict on a run; ``better``: the one that it supersedes. ``seen``: when it was made."""
    body = Verdict(
        run=f"id-{run}",
        system="job",
        cluster="prod",
        namespace="ml",
        name=run,
        state=state,
        cause="oom-killed",
        title="out of memory",
        reason="OOMKilled",
        category="oom",
        blame="user_code",
        confidence="high",
        since=at,
        about=ref(pods[0]),
        summary=summary,
        consequences=tuple(Step(at=at, text="ended", about=ref(pod), reason="OOMKilled") for pod in pods),
        remedy="raise the memory limit",
        evidence=("e1", "e2"),
        recovered=recovered,
    )
    event = Event(
        number=fingerprint("verdict", run, state, str(attempt), str(at), str(better is not None), str(recovered)),
        cluster="prod",
        at=at,
        observed_at=at if seen is None else seen,
        origin="verdict",
        about=ref(run, "Job"),
        reason="oom-killed",
        message=summary,
        action=state,
        severity="info" if recovered else SEVERITIES.get(state, "warning"),
        links=(Link(rel="subject", system="job", run=f"id-{run}", run_name=run, via="verdict"),),
        verdict=_stored(body) | {"pipeline": pipeline, "gist": [state, str(attempt)]},
        supersedes=None if better is None else better.event.id,
    )
    run_then = standing(state, at, run=run, pipeline=pipeline) if known else None
    return Delivery(seq=1, event=msgspec.structs.replace(event, **more), run=run_then)


def _stored(body: Verdict) -> dict[str, Any]:
    """As the journal gives it back."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body))
    return found


def turn(state: str, at: Micros, *, run: str = "train-1", pipeline: str = "nightly") -> Delivery:
    """A run came into a state."""
    event = Event(
        number=fingerprint("run", run, state, str(at)),
        cluster="prod",
        at=at,
        observed_at=at,
        origin="run",
        about=ref(run, "Job"),
        reason=state,
        links=(Link(rel="subject", system="job", run=f"id-{run}", run_name=run, via="run"),),
    )
    return Delivery(seq=1, event=event, run=standing(state, at, run=run, pipeline=pipeline))
