"""What differs between two runs: how they were set up, step by step, how long they took, and what was told of them.

A setting that differs in the same way in all steps is told once. Names that are made anew for each run (its own, those
of its objects) are no difference.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from pipetrail.analysis.phases import Phase
from pipetrail.analysis.runs import Run
from pipetrail.analysis.settings import Settings, Topic
from pipetrail.model import Event, Micros, Severity

What = Topic | Literal["steps", "queue", "attempts"]

_ORDER: tuple[What, ...] = (
    "image", "settings", "env", "volumes", "resources", "placement", "priority", "queue", "node", "steps", "attempts",
    "labels",
)  # fmt: skip
_SET_UP = frozenset({"image", "settings", "env", "volumes", "resources", "placement", "priority", "queue", "steps"})
_LONGEST = 80  # characters of a value in words
_SHORTEST = 4  # characters of a name that is looked for inside texts
_MANY = 3  # values that are named of a setting which has several
_WEIGHT: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}
_STEP = re.compile(r"\.|\{|$")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([KMGTPE]i?|k|m|)")
_UNITS = (
    {"": 1.0, "m": 1e-3, "k": 1e3}
    | {word: 10.0 ** (3 * power) for power, word in enumerate("KMGTPE", 1)}
    | {f"{word}i": 1024.0**power for power, word in enumerate("KMGTPE", 1)}
)


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod of a run: the step or member that it is, its node, and how both were set up."""

    role: str
    name: str
    node: str = ""
    settings: Settings = {}


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs. ``names`` are those that were made for it alone; ``now`` ends what still goes on."""

    run: Run
    pods: tuple[Pod, ...] = ()
    root: Settings = {}
    phases: tuple[Phase, ...] = ()
    events: tuple[Event, ...] = ()
    names: frozenset[str] = frozenset()
    now: Micros = 0


class Difference(msgspec.Struct, frozen=True):
    """A setting, as it was and as it is. ``roles`` are the steps or members that it is about; none for all of them."""

    what: What
    name: str
    before: str
    after: str
    roles: tuple[str, ...] = ()


class Took(msgspec.Struct, frozen=True):
    """How long a phase took in all, in microseconds; None where there was none. ``open``: it still goes on."""

    name: str
    before: Micros | None
    after: Micros | None
    open: bool = False


class News(msgspec.Struct, frozen=True, kw_only=True):
    """A reason that was told of this run and not of the other, with the first message."""

    kind: str
    reason: str
    severity: Severity
    count: int
    first: Micros
    message: str


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """An object that both runs used, and that was changed in between; the paths that changed, if its body is kept."""

    kind: str
    namespace: str
    name: str
    at: Micros
    paths: tuple[str, ...] = ()


def differences(good: Side, run: Side) -> list[Difference]:
    """What was set up differently, the most telling first."""
    same = _Same(good, run)
    per_role, known = _of_pods(good, run, same)
    found = [*_of_run(good, run, same), *per_role]
    seen = {(each.before, each.after) for each in found}
    # What the root says of its pods was told already, of the pods themselves.
    told = {key for key in good.root.keys() | run.root.keys() if known and _pair(good, run, key) in seen}
    odd = sorted(key for key in good.root.keys() | run.root.keys() if not same(*_pair(good, run, key)))
    found += _folded([key for key in odd if key not in told], good, run)
    found = _joined(found)
    return sorted(found, key=_place)


def _place(each: Difference) -> tuple[int, bool, tuple[str, ...], bool, str]:
    return _ORDER.index(each.what), each.roles != (), each.roles, each.name.endswith("digest"), each.name


def _pair(good: Side, run: Side, key: tuple[Topic, str]) -> tuple[str, str]:
    return good.root.get(key, ""), run.root.get(key, "")


def _folded(keys: Sequence[tuple[Topic, str]], good: Side, run: Side) -> Iterable[Difference]:
    """Differences of the roots; what only one of them has is told once, however much there is in it."""
    done: set[tuple[Topic, str]] = set()
    known = [{part for _, path in side.root for part in _beginnings(path)} for side in (good, run)]
    for what, path in keys:
        if (what, path) in done:
            continue
        lacking = next((side for side in (good, run) if (what, path) not in side.root), None)
        if lacking is None or what == "labels":
            yield Difference(what, path, *_pair(good, run, (what, path)))
            continue
        has = run if lacking is good else good
        if path in known[lacking is run]:
            continue  # both have it, the other one with more in it, which has paths of its own
        whole = next(part for part in _beginnings(path) if part not in known[lacking is run])
        inner = [key for key in keys if key[0] == what and _is_in(key[1], whole) and key in has.root]
        done.update(inner)
        text = ", ".join(f"{name[len(whole) :].lstrip('.')}={has.root[kind, name]}" for kind, name in inner)
        text = has.root[what, path] if len(inner) == 1 else text
        name = path if len(inner) == 1 else whole
        yield Difference(what, name, *(("", text) if lacking is good else (text, "")))


def _beginnings(path: str) -> list[str]:
    return [path[: found.start()] for found in _STEP.finditer(path)]


def _is_in(name: str, whole: str) -> bool:
    return name == whole or (name.startswith(whole) and name[len(whole)] in ".{")


def _joined(found: list[Difference]) -> list[Difference]:
    """Limit and request of a resource in one where both differ alike."""
    by_pair: dict[tuple[str, ...], Difference] = {}
    for each in found:
        plain = each.name.replace("requests.", "limits.") if each.what == "resources" else each.name
        key = (each.what, plain, each.before, each.after, *each.roles)
        if key in by_pair:
            each = msgspec.structs.replace(each, name=plain.replace("limits.", ""))
        by_pair[key] = each
    return list(by_pair.values())


def _of_run(good: Side, run: Side, same: "_Same") -> Iterable[Difference]:
    one, other = good.run, run.run
    if not same(one.queue, other.queue):
        yield Difference("queue", "queue", one.queue, other.queue)
    for name in ("attempts", "restarts"):
        if getattr(one, name) != getattr(other, name):
            yield Difference("attempts", name, str(getattr(one, name)), str(getattr(other, name)))
    before = {same.role(good, step.name): step for step in one.steps}
    after = {same.role(run, step.name): step for step in other.steps}
    if before.keys() != after.keys():
        lacks = sorted(before[name].name for name in before if name not in after)
        more = sorted(after[name].name for name in after if name not in before)
        yield Difference("steps", "steps", _listed(lacks), _listed(more))
    for name in after:
        if name not in before or (len(before) == len(after) == 1):
            continue
        for field in ("attempts", "restarts", "replicas"):
            was, is_ = getattr(before[name], field), getattr(after[name], field)
            if was != is_:
                what: What = "steps" if field == "replicas" else "attempts"
                yield Difference(what, field, str(was), str(is_), (after[name].name,))


def _of_pods(good: Side, run: Side, same: "_Same") -> tuple[list[Difference], bool]:
    """What differs between the pods of the steps that both runs had; and whether there was anything to compare."""
    before, after = _by_role(good, same), _by_role(run, same)
    both = [role for role in after if role in before]
    if not both:
        return [], False
    grouped: dict[tuple[Topic, str, str, str], list[str]] = {}
    shared: Counter[tuple[Topic, str]] = Counter()
    for role in both:
        keys = dict.fromkeys(key for pod in (*before[role], *after[role]) for key in pod.settings)
        for key in keys:
            was, is_ = _values(before[role], key), _values(after[role], key)
            if not (was and is_) and _is_late(key):
                continue  # a pod without a node is no other pod
            shared[key] += 1
            if not same.all(was, is_):
                grouped.setdefault((*key, _listed(was), _listed(is_)), []).append(after[role][0].role)
    found = [
        Difference(what, name, was, is_, () if len(roles) == shared[what, name] else tuple(sorted(roles)))
        for (what, name, was, is_), roles in grouped.items()
    ]
    was, is_ = (sorted({pod.node for pod in side.pods if pod.node}) for side in (good, run))
    if was and is_ and was != is_:
        found.append(Difference("node", "name", _listed(was), _listed(is_)))
    return found, True


def _by_role(side: Side, same: "_Same") -> dict[str, list[Pod]]:
    found: dict[str, list[Pod]] = {}
    for pod in side.pods:
        found.setdefault(same.role(side, pod.role), []).append(pod)
    return found


def _values(pods: Iterable[Pod], key: tuple[Topic, str]) -> list[str]:
    """The values of a setting; where it comes only with a node, of the pods that got one."""
    found = {pod.settings.get(key, "") for pod in pods}
    return sorted(found - {""} if _is_late(key) else found)


def _is_late(key: tuple[Topic, str]) -> bool:
    return key[0] == "node" or key[1].endswith("digest")


def _listed(values: Sequence[str]) -> str:
    named = [value for value in values if value][:_MANY]
    more = len(values) - len(named) if len(values) > _MANY else 0
    return ", ".join(named) + (f" and {more} more" if more else "")


class _Same:
    """Whether two texts say the same, but for the names that were made for the runs."""

    def __init__(self, good: Side, run: Side) -> None:
        self._patterns = {id(side): _pattern(side) for side in (good, run)}
        self._good, self._run = good, run

    def __call__(self, before: str, after: str) -> bool:
        if before == after:
            return True
        if not before or not after:
            return False
        plain = self._plain(self._good, before) == self._plain(self._run, after)
        return plain or (_amount(before) is not None and _amount(before) == _amount(after))

    def all(self, before: Sequence[str], after: Sequence[str]) -> bool:
        return len(before) == len(after) and all(map(self, before, after))

    def role(self, side: Side, role: str) -> str:
        """A step by a name that both runs have for it."""
        if role == side.run.name or any(pod.name == role for pod in side.pods):
            return "<pod>"
        return self._plain(side, role)

    def _plain(self, side: Side, text: str) -> str:
        pattern = self._patterns[id(side)]
        return pattern.sub("<name>", text) if pattern is not None else text


def _pattern(side: Side) -> re.Pattern[str] | None:
    names = {side.run.name, side.run.id, *side.names}
    known = sorted((name for name in names if len(name) >= _SHORTEST), key=len, reverse=True)[:10_000]
    if not known:
        return None
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, known))})(?![A-Za-z0-9])")


def _amount(text: str) -> float | None:
    """A Kubernetes quantity as a number: ``1Gi`` is ``1024Mi``."""
    found = _QUANTITY.fullmatch(text)
    return float(found[1]) * _UNITS[found[2]] if found else None


def in_words(found: Iterable[Difference], changed: Iterable[Changed] = ()) -> list[str]:
    """What somebody set up otherwise, each as ``image ml/train:1.4 to ml/train:1.5``, in the order given.

    Which node it got, its labels and how often it was tried are left out: these come by themselves. A digest says
    nothing more where the name of the image is another one.
    """
    found = [each for each in found if each.what in _SET_UP]
    images = {(each.name, each.roles) for each in found if each.what == "image"}
    told = [
        _in_words(each)
        for each in found
        if not each.name.endswith("digest") or (f"{each.name.removesuffix('digest')}image", each.roles) not in images
    ]
    return told + [f"{each.kind} {each.name}: {', '.join(each.paths[:_MANY])}" for each in changed]


def _in_words(each: Difference) -> str:
    name = each.name if each.what in each.name or each.what == "resources" else f"{each.what} {each.name}"
    where = f" of {', '.join(each.roles[:_MANY])}" if each.roles else ""
    before, after = _cut(each.before), _cut(each.after)
    if not before or not after:
        return f"{name}{where} {'added' if after else 'removed'}: {after or before}"
    return f"{name}{where} {before} to {after}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def durations(good: Side, run: Side) -> list[Took]:
    """How long each phase took in each of the runs, in the order in which they came first."""
    sums = [_sums(good), _sums(run)]
    names = dict.fromkeys([*(phase.name for phase in run.phases), *(phase.name for phase in good.phases)])
    last = run.phases[-1] if run.phases else None
    open_ = last.name if last is not None and last.until is None else ""
    return [Took(name, sums[0].get(name), sums[1].get(name), name == open_) for name in names]


def _sums(side: Side) -> dict[str, Micros]:
    found: dict[str, Micros] = {}
    for phase in side.phases:
        until = phase.until if phase.until is not None else max(side.now, phase.since)
        found[phase.name] = found.get(phase.name, 0) + until - phase.since
    return found


def news(good: Side, run: Side) -> list[News]:
    """The reasons that were told of this run and never of the other, the worst first, then by time."""
    known = {(event.about.kind, event.reason) for event in good.events}
    found: dict[tuple[str, str], list[Event]] = {}
    for event in run.events:
        key = (event.about.kind, event.reason)
        if event.origin in ("kubernetes", "status") and key not in known:
            found.setdefault(key, []).append(event)
    told = [
        News(
            kind=kind,
            reason=reason,
            severity=min((event.severity for event in events), key=_WEIGHT.__getitem__),
            count=sum(event.count for event in events),
            first=min(event.at for event in events),
            message=next((event.message for event in events if event.message), ""),
        )
        for (kind, reason), events in found.items()
    ]
    return sorted(told, key=lambda each: (_WEIGHT[each.severity], each.first, each.kind, each.reason))
