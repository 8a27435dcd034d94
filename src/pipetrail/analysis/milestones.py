"""What the objects and events of a run tell of its way: when its queues let it in, when its pods got where; why not.

Times of states are whole seconds, those of some Events are not. So what an object says of a moment wins over an Event.
"""

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from pipetrail.analysis.bodies import Shell
from pipetrail.analysis.states import pod_state
from pipetrail.analysis.world import Thing
from pipetrail.model import Event, Micros
from pipetrail.model.times import parse_time

Stage = Literal["queued", "waiting", "scheduled", "pulling", "initialising", "running", "lost", "over"]
Word = Literal["queue", "scheduler", "image", "start", "loss"]
Words = dict[Word, list[tuple[Micros, str]]]

_MAIN = "spec.containers{"
_SCHEDULER = frozenset({"FailedScheduling", "Unschedulable", "SchedulingGated"})
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"})
_START = re.compile(r"Failed(Mount|Attach|Map|CreatePod|Sync|PostStart)|Create(Container|Pod)\w*Error|RunContainer")
_LOSS = frozenset({"Evicted", "Preempted", "TaintManagerEviction", "Preempting", "NodeLost", "OutOfMemory"})
_PULLING = re.compile(r"(Failed to pull|Back-off pulling|Error: (ErrImagePull|ImagePullBackOff))")
_OPEN = frozenset({"Inqueue", "Running", "Completed"})  # phases of a Volcano PodGroup that its queue let in
_LIST = re.compile(r": \[\{.*", re.DOTALL)  # Tekton leaves its results where others leave a message
_CONDITION = re.compile(r"(\w+)=(True|False|Unknown)(?:: (.*))?", re.DOTALL)


class Ways(msgspec.Struct):
    """What was told: by uid of the pod or of what waits in a queue."""

    pods: dict[str, "_Told"] = {}
    queues: dict[str, list[tuple[Micros, Micros, bool]]] = {}
    """When what waits there was let in, or put back: the time, when that was received, and whether it is in."""
    words: Words = {}


class _Told(msgspec.Struct):
    """What the events say of one pod."""

    bound: Micros | None = None
    gated: Micros | None = None
    ungated: Micros | None = None
    here: Micros | None = None
    lost: Micros | None = None
    pulls: list[tuple[Micros, int, str]] = []
    runs: dict[str, list[tuple[Micros, int]]] = {}
    words: Words = {}


def ways(things: Iterable[Thing], events: Iterable[Event]) -> Ways:
    """Read the objects of a run, and the events that are about them; the order of neither matters."""
    found = Ways()
    refused: dict[str, list[Micros]] = {}
    known = {thing.uid: thing for thing in things}
    for event in events:
        uid = event.about.uid
        if uid not in known:
            continue
        if event.about.kind == "Pod":
            _pod(event, found.pods.setdefault(uid, _Told()), found.words)
        elif event.about.kind in ("Workload", "PodGroup"):
            _queue(event, found)
        elif event.reason == "FailedCreate" and "exceeded quota" in event.message:
            refused.setdefault(uid, []).append(event.at)
            _say(found.words, "queue", event.at, event.message)
    for uid, times in refused.items():
        points = found.queues.setdefault(uid, [])
        points += [(at, at, False) for at in times]
        created = (pod.created for pod in known.values() if any(owner.uid == uid for owner in pod.owners))
        points += [(at, at, True) for at in created if at >= min(times)]
    for thing in known.values():
        if thing.kind in ("Workload", "PodGroup"):
            _queued(thing, found)
    for told in found.queues.values():
        told.sort()
    for words in (found.words, *(pod.words for pod in found.pods.values())):
        for said in words.values():
            said.sort()
    return found


def _say(words: Words, kind: Word, at: Micros, text: str) -> None:
    if text:
        words.setdefault(kind, []).append((at, text))


def _pod(event: Event, told: _Told, all_words: Words) -> None:
    kind, text = _word(event)
    if kind is not None:
        _say(told.words, kind, event.at, text)
        _say(all_words, kind, event.at, text)
    at, reason, path = event.at, event.reason, event.about.field_path
    condition = _CONDITION.match(event.message) if event.action == "condition" else None
    if reason == "Scheduled" and event.origin == "kubernetes":
        told.bound = _least(told.bound, at)
    elif condition is not None and condition[1] == "PodScheduled":
        if condition[2] == "True":
            told.bound = _least(told.bound, at)
        elif reason == "SchedulingGated":
            told.gated = _least(told.gated, at)
        else:
            told.ungated = _least(told.ungated, at)
    elif reason == "Pulling":
        told.pulls.append((at, 0, path))
    elif reason == "Pulled":
        told.pulls.append((at, 1, path))
        told.here = _least(told.here, at)
    elif reason == "Started" or event.action == "running":
        told.here = _least(told.here, at)
        if path.startswith(_MAIN):
            told.runs.setdefault(path, []).append((at, 1))
    elif _failed(event):
        told.runs.setdefault(path, []).append((at, 0))
    elif _disrupted(event, condition):
        told.lost = _least(told.lost, at)


def _failed(event: Event) -> bool:
    """Whether it tells that a main container ended badly."""
    ended = event.action in ("terminated", "exitcode") and event.reason != "Completed"
    return ended and event.about.field_path.startswith(_MAIN)


def _disrupted(event: Event, condition: re.Match[str] | None) -> bool:
    if condition is not None:
        return condition[1] == "DisruptionTarget" and condition[2] == "True"
    return event.reason in _LOSS and not event.message.startswith("Cancelling")


def _word(event: Event) -> tuple[Word | None, str]:
    """What an event of a pod says of why it does not get on."""
    reason, text = event.reason, event.message
    if reason in _SCHEDULER:
        return "scheduler", text.partition("PodScheduled=False: ")[2] or text
    if reason in _IMAGE or _PULLING.match(text):
        return "image", text or reason
    if _START.match(reason):
        return "start", f"{reason}: {text}" if text else reason
    if _failed(event):
        said = _LIST.sub("", text)
        return "loss", said if event.action == "exitcode" else f"{reason}: {said}"
    if _disrupted(event, _CONDITION.match(text) if event.action == "condition" else None):
        return "loss", f"{reason}: {text}" if text else reason
    return None, ""


def _queue(event: Event, found: Ways) -> None:
    """What an event says of a Kueue Workload or a Volcano PodGroup."""
    at, uid = event.at, event.about.uid
    inside: bool | None = None
    if event.origin == "status":
        condition = _CONDITION.match(event.message)
        if condition is not None and event.action == "condition":
            kind, truth, text = condition[1], condition[2] == "True", condition[3] or ""
            if kind == "Admitted":
                inside = truth
            elif kind == "Evicted" and truth:
                inside = False
                _say(found.words, "loss", at, text)
            elif (kind == "QuotaReserved" and not truth) or (kind == "Unschedulable" and truth):
                _say(found.words, "queue", at, text)
        elif event.about.kind == "PodGroup" and event.about.field_path == "status.phase":
            inside = event.message.removeprefix("phase ").partition(":")[0] in _OPEN
    elif event.about.kind == "Workload":
        if event.reason == "Admitted":
            inside = True
        elif event.reason.startswith("EvictedDueTo"):
            inside = False
            _say(found.words, "loss", at, event.message)
        elif event.reason == "Pending":
            _say(found.words, "queue", at, event.message)
    elif event.reason == "Unschedulable":
        _say(found.words, "queue", at, event.message)
    if inside is not None:
        found.queues.setdefault(uid, []).append((at, event.observed_at, inside))


def _queued(thing: Thing, found: Ways) -> None:
    """What the last state of a Workload or PodGroup says, where the events of it are gone."""
    status = thing.status or {}
    volcano = thing.group == "scheduling.volcano.sh"
    if thing.kind == "PodGroup" and not volcano:
        return
    points = found.queues.setdefault(thing.uid, [])
    points.append((thing.created, thing.created, False))
    if thing.deleted is not None:
        points.append((thing.deleted, thing.deleted, True))  # it keeps nothing waiting any more
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        at = _time(condition)
        kind, truth = condition.get("type"), condition.get("status") == "True"
        if at is None:
            continue
        if kind == "Admitted" or (volcano and kind == "Scheduled" and truth):
            points.append((at, at, truth))
        elif kind == "QuotaReserved" and not truth:
            _say(found.words, "queue", at, str(condition.get("message") or ""))


def _time(condition: dict[str, Any]) -> Micros | None:
    text = condition.get("lastTransitionTime")
    try:
        return parse_time(text) if isinstance(text, str) and text else None
    except ValueError:
        return None


def stages(pod: Thing, told: "_Told | None") -> list[tuple[Micros, Stage]]:
    """What a pod came to and when, in order; nothing of it overlaps. The last stage is where it still is."""
    told = told or _Told()
    shell = pod.shell or Shell()
    runs = _runs(told)
    starts = [at for at, running in runs if running]
    started = min([*starts, *([shell.started_at] if shell.started_at is not None else [])], default=None)
    bound = shell.bound_at if shell.bound_at is not None else told.bound
    end = _ended(pod, shell, told)
    last = end[0] if end is not None else None
    found: list[tuple[Micros, Stage]] = [(pod.created, "queued" if told.gated is not None else "waiting")]
    if told.gated is not None and told.ungated is not None:
        found.append((told.ungated, "waiting"))
    bound = bound if bound is not None else started
    if bound is not None:
        before: list[tuple[Micros, Stage]] = [(bound, "scheduled"), *_pulls(told)]
        found += before if started is None else [(min(at, started), stage) for at, stage in before]
    if started is not None:
        found.append((started, "running"))
        found += [(at, "running" if running else "lost") for at, running in runs if at > started]
    ordered: list[tuple[Micros, Stage]] = []
    for at, stage in found:
        at = max(at, ordered[-1][0]) if ordered else at
        if last is None or at < last:
            ordered.append((at, stage))
    if end is not None:
        gone = end[1] if started is not None or end[1] == "over" else "over"
        ordered.append((max(end[0], pod.created), gone))
    return ordered


def _ended(pod: Thing, shell: Shell, told: _Told) -> tuple[Micros, Stage] | None:
    """When a pod ended, and whether it was lost; the time when its disruption was told is the earliest."""
    state = pod_state(pod)
    if state == "Succeeded":
        at = shell.finished_at if shell.finished_at is not None else pod.deleted
        return None if at is None else (at, "over")
    if state not in ("Failed", "Cancelled"):
        return None
    times = (shell.finished_at, pod.deleted, told.lost)
    return min(((time, "lost") for time in times if time is not None), default=None)


def _runs(told: _Told) -> list[tuple[Micros, bool]]:
    """When containers of a pod started and failed: it runs while none of them is down."""
    steps: dict[Micros, dict[str, set[int]]] = {}
    for path, points in told.runs.items():
        for at, running in points:
            # Of one second only the whole of it is known: what failed and started in it is as it was before.
            steps.setdefault(at - at % 1_000_000, {}).setdefault(path, set()).add(running)
    found: list[tuple[Micros, bool]] = []
    down: set[str] = set()
    for at in sorted(steps):
        for path, seen in steps[at].items():
            if seen == {0} or (seen == {0, 1} and path in down):
                down.add(path)
            else:
                down.discard(path)
        if not found or found[-1][1] is bool(down):
            found.append((at, not down))
    return found


def _pulls(told: _Told) -> list[tuple[Micros, Stage]]:
    """From the first image that is pulled to the last that is there."""
    found: list[tuple[Micros, Stage]] = []
    pulling: set[str] = set()
    for at, done, path in sorted(told.pulls):
        if done:
            pulling.discard(path)
            if not pulling:
                found.append((at, "initialising"))
        else:
            pulling.add(path)
            found.append((at, "pulling"))
    if not found and told.here is not None:
        found.append((told.here, "initialising"))
    return found


def _least(one: Micros | None, other: Micros) -> Micros:
    return other if one is None or other < one else one
