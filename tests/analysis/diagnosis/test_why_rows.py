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
def test_a_row_alone_is_found_or_is_said_to_say_nothing(state: str, known: Catalogue) -> None:
    wrong = [
        (reason, cause, message, verdict and verdict.cause)
        for reason, cause, message, also in ROWS
        for verdict in [diagnose(alone(reason, message, known.reason(reason), state=state), known)]
        if not row_is_right(reason, cause, also, verdict, state, known)
    ]

    assert wrong == []


def row_is_right(
    reason: str, cause: str, also: tuple[str, ...], verdict: Verdict | None, state: str, known: Catalogue
) -> bool:
    """Whether the verdict on a run in which only this message was seen may be so."""
    found = known.cause(cause)
    entry = known.reason(reason)
    if reason == "OOMKilled":
        return verdict is not None and verdict.cause == "oom_killed"
    if reason == "Unhealthy" and state == "Failed":
        # A probe may have ended nothing.
        return honest(verdict) or (verdict is not None and verdict.cause == cause)
    if found.role != "cause" or found.specificity <= 1:
        # The reason may name a cause where its message names none.
        by_reason = verdict is not None and entry is not None and verdict.cause == entry.cause
        return honest(verdict) or by_reason or (verdict is not None and verdict.confidence != "high")
    return (
        verdict is not None
        and verdict.cause in (cause, *also)
        and verdict.blame in (found.blame, "configuration", known.cause(verdict.cause).blame)
    )


@pytest.mark.parametrize("state", ["Failed", "Running", "Pending", "Succeeded", "Stuck"])
def test_a_reason_alone_gets_its_own_cause_or_none(state: str, known: Catalogue) -> None:
    wrong = [
        (entry.reason, entry.component, entry.kind, verdict and (verdict.cause, verdict.confidence))
        for entry in known.entries
        for reason in [entry.reason.replace("*", "9")]
        for verdict in [diagnose(alone(reason, "", entry, state=state), known)]
        if not reason_is_right(reason, entry, verdict, state, known)
    ]

    assert wrong == []


def reason_is_right(reason: str, entry: Entry, verdict: Verdict | None, state: str, known: Catalogue) -> bool:
    """Whether the verdict on a run in which only this reason was seen may be so."""
    if state == "Succeeded" and entry.role != "cause":
        return verdict is None
    if verdict is None:
        return True
    if verdict.cause:
        made = {maker.cause for maker in known.makers(reason)} | {"program_error", "cancelled"}
        made |= {"pull_failed"} if "Pull" in reason else set()
        if verdict.cause not in {entry.cause, *made}:
            return False
    vague = entry.role in ("symptom", "consequence") and verdict.category not in ("app", "deadline")
    return verdict.confidence == "low" if vague else True
