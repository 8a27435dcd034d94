"""The timed phases of a run: how long it was queued, waited for a node, pulled images, started, ran, was interrupted.

queued        in a queue (Kueue, Volcano), or its pods were refused by a quota
admitted      let in, until its first pod has a node
waiting       there is no queue, or it has run before: nothing of it runs, and what is next has no node yet
scheduled     on a node, until the first image is pulled or a container starts
pulling       its images
initialising  images are there: init containers, until the first main container starts
running
interrupted   from the loss of what ran to the next time that it runs

A run is as far as its foremost pod. Members of a gang get on only together, so they are as far as the last of them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from pipetrail.analysis.members import Member, Members, grouped
from pipetrail.analysis.milestones import Stage, Ways, Word, Words, stages, ways
from pipetrail.analysis.runs import Run
from pipetrail.analysis.states import FINAL
from pipetrail.analysis.world import Thing
from pipetrail.model import Event, Micros
from pipetrail.model.times import SECOND

Name = Literal["queued", "admitted", "waiting", "scheduled", "pulling", "initialising", "running", "interrupted"]

_FAR: tuple[Stage, ...] = ("queued", "waiting", "scheduled", "pulling", "initialising", "running")
_SYMPTOMS = ("Error: ErrImagePull", "Error: ImagePullBackOff", "Back-off", "ErrImagePull", "ImagePullBackOff")
_NEAR = 2 * SECOND  # the words of a loss may come before the second in which it counts
_SAYS: dict[Name, tuple[Word, ...]] = {
    "queued": ("queue",),
    "admitted": ("scheduler",),
    "waiting": ("scheduler",),
    "scheduled": ("start",),
    "pulling": ("image",),
    "initialising": ("start",),
    "running": (),
    "interrupted": ("queue", "scheduler", "image", "start"),
}


class Phase(msgspec.Struct, frozen=True, gc=False):
    """One phase, in microseconds. ``until`` is None while it goes on; ``why`` is in the words of queue or scheduler."""

    name: Name
    since: Micros
    until: Micros | None
    why: str = ""


def phases(run: Run, things: Members, events: Iterable[Event]) -> tuple[Phase, ...]:
    """The phases of a run as a whole, in order, without overlap; what can't be known is left out.

    :param things: its objects, of :func:`~pipetrail.analysis.members.members_of`.
    :param events: those with a link to it; only those about its objects count.
    """
    return run_phases(run, grouped(things), ways((thing for thing, _ in things), events))


def run_phases(run: Run, members: list[Member], told: Ways) -> tuple[Phase, ...]:
    """The same, of what was read before."""
    over = run.state in FINAL
    return _phased(_Sweep(run, members, told).phases(), run.finished if over else None, over, told.words)


def pod_phases(pod: Thing, told: Ways) -> tuple[Phase, ...]:
    """The phases of one pod."""
    seen = told.pods.get(pod.uid)
    points: list[tuple[Micros, Name | None]] = []
    found = stages(pod, seen)
    for number, (at, stage) in enumerate(found):
        last = number == len(found) - 1
        points.append((at, _name(stage) if stage != "lost" or not last or _alive(pod) else None))
    return _phased(points, None, False, seen.words if seen is not None else {})


def _alive(pod: Thing) -> bool:
    return pod.deleted is None and (pod.shell is None or pod.shell.phase not in ("Succeeded", "Failed"))


def _name(stage: Stage) -> Name | None:
    if stage == "over":
        return None
    return "interrupted" if stage == "lost" else stage


class _Sweep:
    """Goes through the moments at which something changed, and says how far the run was after each."""

    def __init__(self, run: Run, members: list[Member], told: Ways) -> None:
        self._run = run
        self._units = [member.gang or f"#{number}" for number, member in enumerate(members)]
        self._gangs = [member.gang for member in members]
        self._stage: list[Stage] = ["over"] * len(members)
        self._counts: dict[str, Counter[Stage]] = {gang: Counter() for gang in ("", *self._gangs)}
        """How many members are at a stage: of each gang, and of those that are in none."""
        self._inside: dict[str, bool] = {}
        self._broken: set[str] = set()
        """The units that lost somebody and did not run as a whole since."""
        self._ran = False
        self._born = [pod.created for member in members for pod, _ in member.pods]
        self._changes: dict[Micros, list[tuple[int | str, Stage | bool]]] = {}
        newest: dict[str, Micros] = {}
        for unit, member in zip(self._units, members, strict=True):
            newest[unit] = max(newest.get(unit, 0), member.pods[-1][0].created)
        last = max(self._born, default=0)
        for number, member in enumerate(members):
            unit = self._units[number]
            # What was lost and never came again is over for a run that went on without it.
            for at, stage in _chain(member, told):
                given_up = at > newest[unit] and (at < last or (run.state in FINAL and not member.gang))
                self._change(at, number, "over" if stage == "lost" and given_up else stage)
        for uid, points in told.queues.items():
            for at, _, inside in points:
                self._change(at, uid, inside)

    def _change(self, at: Micros, key: int | str, what: Stage | bool) -> None:
        self._changes.setdefault(at, []).append((key, what))

    def phases(self) -> list[tuple[Micros, Name | None]]:
        """When which phase began; None where there is none."""
        found: list[tuple[Micros, Name | None]] = []
        if self._run.created is not None:
            self._changes.setdefault(self._run.created, [])
        for at in sorted(self._changes):
            for key, what in self._changes[at]:
                if isinstance(key, str):
                    self._inside[key] = bool(what)
                    continue
                self._move(key, what)  # type: ignore[arg-type]
            name = self._now()
            if not found or found[-1][1] != name:
                found.append((at, name))
        if found and self._run.state in FINAL and self._left_over(*found[-1]):
            found[-1] = (found[-1][0], None)
        return found

    def _left_over(self, since: Micros, name: Name | None) -> bool:
        """Whether the last phase of a run that is over is only its end, after which nothing was to run."""
        waits = name in ("admitted", "waiting", "interrupted")
        return waits and self._ran and all(self._inside.values()) and not any(at >= since for at in self._born)

    def _move(self, number: int, stage: Stage) -> None:
        gang = self._gangs[number]
        counts = self._counts[gang]
        counts[self._stage[number]] -= 1
        counts[stage] += 1
        self._stage[number] = stage
        if stage == "lost":
            self._broken.add(self._units[number])
        elif stage == "running" and not gang:
            self._broken.discard(self._units[number])

    def _now(self) -> Name:
        whole: Stage | None = next((stage for stage in reversed(_FAR) if self._counts[""][stage] > 0), None)
        gangs: list[Stage] = []
        for gang, counts in self._counts.items():
            least = next((stage for stage in _FAR if counts[stage] > 0), None)
            if gang and least is not None and counts["lost"] <= 0:
                gangs.append(least)
                if least == "running":
                    self._broken.discard(gang)
        if gangs:
            whole = max(gangs, key=_FAR.index)
        if whole == "running" and self._broken.isdisjoint(self._counts):
            self._ran = True
            return "running"
        if self._broken:
            return "interrupted"
        if whole is None or whole in ("queued", "waiting"):
            if whole == "queued" or not all(self._inside.values()):
                return "queued"
            return "admitted" if self._inside and not self._ran else "waiting"
        return whole  # type: ignore[return-value]


def _chain(member: Member, told: Ways) -> Iterable[tuple[Micros, Stage]]:
    """The stages of a member. A pod that is still going when the next comes counts as gone."""
    # Controllers that race with a deletion make pods that never run; they replace nobody.
    pods = [pod for pod, _ in member.pods if pod.node or pod.deleted is None] or [pod for pod, _ in member.pods]
    for number, pod in enumerate(pods):
        found = stages(pod, told.pods.get(pod.uid))
        if number + 1 == len(pods):
            yield from found
            return
        until = pods[number + 1].created
        before = [(at, stage) for at, stage in found if at < until]
        yield from before
        if before and before[-1][1] not in ("lost", "over"):
            yield until, ("lost" if _has_run(before) and found[-1][1] != "over" else "over")


def _has_run(found: list[tuple[Micros, Stage]]) -> bool:
    return any(stage == "running" for _, stage in found)


def _phased(
    points: list[tuple[Micros, Name | None]], end: Micros | None, over: bool, words: Words
) -> tuple[Phase, ...]:
    """Phases from the moments at which they began; those without a length are left out."""
    kept: list[tuple[Micros, Name | None]] = []
    for at, name in points:
        at = min(at, end) if end is not None else at
        if kept and kept[-1][0] >= at:
            kept.pop()
        if not kept or kept[-1][1] != name:
            kept.append((at, name))
    found: list[Phase] = []
    for number, (since, name) in enumerate(kept):
        last = number == len(kept) - 1
        until = end if last else kept[number + 1][0]
        if name is None or until == since or (last and over and until is None):
            continue
        found.append(Phase(name, since, until, _why(name, since, until, words)))
    return tuple(found)


def _why(name: Name, since: Micros, until: Micros | None, words: Words) -> str:
    """The last words about what it waits for; of an interruption the first about the loss, and then those."""
    lost = ""
    if name == "interrupted":
        lost = next(iter(_said(words, "loss", since - _NEAR, until)), "")
    waits = ""
    for kind in _SAYS[name]:
        said = [text for text in _said(words, kind, since, until) if text != lost]
        # That the kubelet backs off says less than what it backed off from.
        plain = [text for text in said if not text.startswith(_SYMPTOMS)]
        waits = next(iter(reversed(plain or said)), waits)
    return "; then ".join(text for text in (lost, waits) if text)


def _said(words: Words, kind: Word, since: Micros, until: Micros | None) -> list[str]:
    found = words.get(kind, [])
    end = bisect_left(found, (until, "")) if until is not None else len(found)
    return [text for _, text in found[bisect_left(found, (since, "")) : end]]
