"""Each row and each reason of the catalogue, alone in a run: its cause is found, or it is said that none can be."""

import pytest

from pipetrail.analysis.diagnosis import Case, Verdict, diagnose
from pipetrail.catalogue import Catalogue, Entry, load
from pipetrail.model import Event, Link, ObjectRef
from tests.analysis.diagnosis.story import START, case, changed

KNOWN = load()
ROWS = [
    (reason, row.cause, row.example, tuple(row.also))
    for group in KNOWN.messages
    for row in group.rows
    if row.example
    for reason in group.reasons
]
ENDS = ("exit:*", "Error", "OOMKilled")
_PLACES = {"terminated": "terminated", "exitcode": "exitcode", "waiting": "waiting", "condition": "condition"}


def alone(reason: str, message: str, entry: Entry | None, *, state: str = "Failed") -> Case:
    """A run of one pod with one thing that was said, of the pod or of what stands beside it."""
    kind = entry.kind if entry is not None and entry.kind != "any" else "Pod"
    name = {"Pod": "p", "Node": "n1", "PersistentVolumeClaim": "data"}.get(kind, "r")
    type_ = entry.types[0] if entry is not None else "Warning"
    action = _PLACES.get(type_, "status" if type_ in ("status", "taint") else "")
    text = message
    if reason in ENDS or reason.startswith("exit:"):
        reason = "exit:1" if reason in ("exit:*", "Error") else reason
        code = 137 if reason == "OOMKilled" else int(reason.partition(":")[2])
        action = "terminated" if reason == "OOMKilled" else "exitcode"
        text = f"exit code {code}: {message}"
    elif action == "condition":
        text = f"Failed=True: {message}"
    link = Link(rel="subject", system="job", run="r", step="train", attempt=1, pod_uid="p" if kind == "Pod" else None)
    event = Event(
        number=1,
        cluster="here",
        at=START + 60_000_000,
        observed_at=START + 60_000_000,
        origin="status" if action else "kubernetes",
        about=ObjectRef(kind=kind, namespace="ml", name=name, uid="" if kind == "Node" else name),
        reason=reason,
        message=text,
        action=action,
        severity="warning",
        type=None if action else type_ if type_ in ("Normal", "Warning") else "Warning",
        reporter=entry.component if entry is not None and not action else "",
        links=(link,),
        node="n1" if kind == "Node" else "",
    )
    pods = {"p": {"node": "n1", "phase": "Failed" if state == "Failed" else "Pending", "claims": ["data"]}}
    return changed(case({"state": state, "pods": pods}), events=(event,))


def honest(verdict: Verdict | None) -> bool:
    """Whether a verdict says that it can't say."""
    return verdict is None or (not verdict.cause and verdict.blame == "unknown" and verdict.confidence == "low")


@pytest.mark.parametrize("state", ["Failed", "Stuck"])
@pytest.mark.parametrize(("reason", "cause", "message", "also"), ROWS)
def test_a_row_alone_is_found_or_is_said_to_say_nothing(
    reason: str, cause: str, message: str, also: tuple[str, ...], state: str, known: Catalogue
) -> None:
    found = known.cause(cause)
    entry = known.reason(reason)
    verdict = diagnose(alone(reason, message, entry, state=state), known)

    if reason == "OOMKilled":
        assert verdict is not None
        assert verdict.cause == "oom_killed"
    elif reason == "Unhealthy" and state == "Failed":
        assert honest(verdict) or (verdict is not None and verdict.cause == cause)  # a probe may have ended nothing
    elif found.role != "cause" or found.specificity <= 1:
        # The reason may name a cause where its message names none.
        by_reason = verdict is not None and entry is not None and verdict.cause == entry.cause
        assert honest(verdict) or by_reason or (verdict is not None and verdict.confidence != "high")
    else:
        assert verdict is not None, message
        assert verdict.cause in (cause, *also), (verdict.cause, verdict.summary)
        assert verdict.blame in (found.blame, "configuration", known.cause(verdict.cause).blame)


@pytest.mark.parametrize("entry", KNOWN.entries, ids=lambda one: f"{one.reason}-{one.component}-{one.kind}")
@pytest.mark.parametrize("state", ["Failed", "Running", "Pending", "Succeeded", "Stuck"])
def test_a_reason_alone_gets_its_own_cause_or_none(state: str, entry: Entry, known: Catalogue) -> None:
    reason = entry.reason.replace("*", "9")
    verdict = diagnose(alone(reason, "", entry, state=state), known)

    if verdict is not None and verdict.cause:
        made = {maker.cause for maker in known.makers(reason)} | {"program_error", "cancelled"}
        made |= {"pull_failed"} if "Pull" in reason else set()
        assert verdict.cause in {entry.cause, *made}
    if entry.role in ("symptom", "consequence") and verdict is not None and verdict.category not in ("app", "deadline"):
        assert verdict.confidence == "low"
    if state == "Succeeded" and entry.role != "cause":
        assert verdict is None
