"""Facts into signals: which cause of the catalogue a fact points to, and how much it can say."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.catalogue import Catalogue, Cause, Entry
from pipetrail.model import Micros, ObjectRef

DELETING = "Deleting"
"""What the ranking calls the request to delete an object."""

_STAGE = {"Deleted", "Terminating"}
_QUIET_PHASES = frozenset({"Pending", "Running", "Succeeded", "Failed", "Unknown"})
_SHARED = frozenset({"selector_mismatch", "untolerated_taint", "cordoned", "taint_scale_down"})
# What the API server answers to a creation, and a kubelet to a start, under whatever reason a controller repeats it.
_GENERIC = (
    ("FailedCreate", ("creat", "forbidden", "denied", "webhook", "quota")),
    ("Failed", ("image", "container")),
    ("FailedMount", ("volume",)),
    ("FailedScheduling", ("nodes are available",)),
)
_KINDS = {"PersistentVolumeClaim": "storage", "PersistentVolume": "storage"}
_NEVER_RAN = 128  # the runtime's exit code for a container that it could not start
_IDS = 12  # ids of events that are kept of one signal
_LAYERS = {"Node": 0, "NodeClaim": 0, "PersistentVolumeClaim": 1, "PersistentVolume": 1, "Pod": 2, "Job": 3}


class Signal(msgspec.Struct, eq=False, kw_only=True):
    """One or more facts of the same kind about the same object.

    ``role`` is one of cause, unknown, symptom, consequence and outcome; ``specificity`` is as in the catalogue.
    ``gone`` says why it can't be the cause, once that is known; ``passed``, why it did not last.
    """

    at: Micros
    last: Micros
    count: int
    about: ObjectRef
    key: str
    reason: str
    action: str
    cause: Cause | None
    category: str
    blame: str
    role: str
    specificity: int
    message: str
    fields: dict[str, str]
    names: set[str]
    ids: list[str]
    pod: str = ""
    node: str = ""
    container: str = ""
    step: str = ""
    attempt: int = 0
    code: int | None = None
    own: bool = True
    stated: bool = False
    worded: bool = False
    """Whether its message names the cause."""
    everywhere: bool = False
    """Whether its message names this and nothing else, for each node that there is."""
    spread: bool = False
    """Whether its blame is another than usual as runs of others met the same."""
    gone: str = ""
    passed: str = ""
    others: tuple[tuple[Cause, dict[str, str]], ...] = ()
    """What else the message names."""

    @property
    def layer(self) -> int:
        """How near to the machine its object is."""
        return _LAYERS.get(self.about.kind, 4)

    @property
    def ended(self) -> bool:
        """Whether it is the end of a container."""
        return self.code is not None and self.action in ("terminated", "exitcode")

    @property
    def held_off(self) -> bool:
        """Whether a container is kept waiting, as starting or pulling it failed again and again."""
        return self.action == "waiting" and self.reason.endswith("BackOff")


def signals(facts: Iterable[Fact], catalogue: Catalogue) -> list[Signal]:
    """The signals among facts in the order of time; facts that say nothing of a failure give none."""
    reading = _Reading(catalogue)
    found: dict[tuple[str, ...], Signal] = {}
    for fact in facts:
        made = reading.signal(fact)
        if made is None:
            continue
        key: tuple[str, ...] = (
            made.key,
            made.reason,
            made.action,
            made.container,
            made.cause.id if made.cause else "",
            made.step,
        )
        known = found.get(key)
        if known is None:
            found[key] = made
        else:
            _merge(known, made)
    ordered = sorted(found.values(), key=lambda one: (one.at, one.layer, one.key, one.reason, one.container))
    return _without_echoes(ordered)


def _without_echoes(ordered: list[Signal]) -> list[Signal]:
    """An Event and the state of the same object that name the same cause in the same words are one; the Event tells."""
    heads: dict[tuple[str, str, str], Signal] = {}
    for signal in ordered:
        if signal.worded and not signal.ended and signal.cause is not None and signal.action in ("Normal", "Warning"):
            heads.setdefault((signal.key, signal.container, signal.cause.id), signal)
    kept: list[Signal] = []
    for signal in ordered:
        cause = signal.cause.id if signal.cause is not None else ""
        head = heads.get((signal.key, signal.container, cause)) if signal.worded and not signal.ended else None
        if head is None or head is signal:
            kept.append(signal)
        else:
            head.names |= signal.names
            count = head.count
            _merge(head, signal)
            head.count = count
    return sorted(kept, key=lambda one: (one.at, one.layer, one.key, one.reason, one.container))


def _merge(known: Signal, more: Signal) -> None:
    if more.last >= known.last:
        known.message, known.fields, known.others = more.message, more.fields, more.others
        known.everywhere = more.everywhere
        known.blame = more.blame
    known.at, known.last = min(known.at, more.at), max(known.last, more.last)
    known.count += more.count
    if len(known.ids) < _IDS:
        known.ids += [id_ for id_ in more.ids if id_ not in known.ids]


class _Reading:
    """Reads facts with a catalogue; the same reason or message is looked up once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.entry = lru_cache(maxsize=None)(self._entry)
        self.named = lru_cache(maxsize=None)(self._named)

    def signal(self, fact: Fact) -> Signal | None:
        """The signal that a fact is."""
        if fact.reason == "Terminating" and fact.action == "status":
            return _made(fact, None, role="symptom", specificity=1, names={DELETING, fact.reason})
        if not _bad(fact):
            return None
        entry = self.entry(fact.reason, fact.reporter, fact.about.kind, fact.action, fact.condition, fact.holds)
        if entry is not None and entry.role == "info" and not (fact.action == "status" and fact.message):
            return None
        generic = entry is None or entry.role != "cause" or not entry.cause or self._vague(entry.cause)
        found = self.named(fact.reason, fact.message, generic and fact.severity != "info" and not fact.code)
        if fact.reason == "OOMKilled" and entry is not None:
            found = ()  # the last words of a program don't tell better than the kernel who ended it
        if found and not self._says_more(entry, found[0][0]):
            return self._refined(fact, entry, found)
        if entry is None or entry.role == "info":
            return _unknown(fact)
        cause = self.catalogue.causes.get(entry.cause)
        if cause is None or fact.reason.startswith("WorkflowNode"):
            outcome = cause is None and entry.category == "symptom"
            return _made(fact, cause, role=entry.role, specificity=cause.specificity if cause else int(not outcome))
        made = _made(fact, cause, role=entry.role if entry.role != "cause" else cause.role)
        made.blame = entry.blame
        if entry.category != "symptom":
            made.category = entry.category
        if cause.by_message:
            made.blame, made.specificity = "unknown", min(made.specificity, 2)
        return made

    def _refined(self, fact: Fact, entry: Entry | None, found: tuple[tuple[Cause, dict[str, str]], ...]) -> Signal:
        cause, fields = found[0]
        made = _made(fact, cause, role=cause.role)
        made.fields, made.others, made.worded = fields, found[1:], True
        made.category = _KINDS.get(fact.about.kind, made.category)
        if fact.code is not None:
            made.names.discard(fact.reason)
            if cause.specificity <= 3 or cause.role == "consequence":
                made.names.add(fact.reason)
            ran = fact.code != _NEVER_RAN and made.category != "image"
            if ran and cause.blame not in ("infrastructure", "unknown") and made.category != "oom":
                # Its last words say more exactly what went wrong in the program; it was the program all the same.
                made.category = "app"
        modifiers = {one.id: said for one, said in found if one.role == "modifier"}
        whole = _nodes_in(fact.message)
        named = [said for one, said in found if one.role != "modifier"]
        alone = all(one is cause for one, _ in found if one.role != "modifier")
        made.everywhere = alone and 0 < whole == sum(_number(said.get("nodes", "")) for said in named)
        shut = _number(modifiers.get("preemption_not_helpful", {}).get("nodes", ""))
        if made.category == "capacity" and whole and whole == shut == _number(fields.get("nodes", "")):
            # No node would have the room if all others left it.
            made.blame = "configuration"
        return made

    def _says_more(self, entry: Entry | None, named: Cause) -> bool:
        """Whether the reason tells a cause, and its message only that something is wrong."""
        own = self.catalogue.causes.get(entry.cause) if entry is not None and entry.role == "cause" else None
        return own is not None and own.role == "cause" and own.specificity >= 3 and named.role == "symptom"

    def _vague(self, cause: str) -> bool:
        return self.catalogue.causes[cause].specificity <= 2

    def _entry(self, reason: str, reporter: str, kind: str, action: str, condition: str, holds: str) -> Entry | None:
        catalogue = self.catalogue
        if action in ("Normal", "Warning"):
            return catalogue.reason(reason, reporter, kind)
        for word in (reason, condition if holds == "True" else ""):
            same = [entry for entry in catalogue.said_by(word) if action in entry.types] if word else []
            same = [entry for entry in same if entry.kind in (kind, "any")] or (same if word == condition else [])
            if same:
                return same[0]
        if action == "status" and reason in _QUIET_PHASES:
            return None
        found = catalogue.reason(reason, "", kind)
        # The catalogue has the word from an Event, and the object's state repeats it.
        return found if found is not None and (found.kind == kind or reason.startswith("WorkflowNode")) else None

    def _named(self, reason: str, message: str, generic: bool) -> tuple[tuple[Cause, dict[str, str]], ...]:
        """What a message names, what to act on first."""
        found = self.catalogue.sub_causes(reason, message)
        if not found and generic and message:
            lower = message[:2000].lower()
            for other, signs in _GENERIC:
                if any(sign in lower for sign in signs):
                    found = self.catalogue.sub_causes(other, message)
                if found:
                    break
        return tuple(ranked(found))


def ranked(found: list[tuple[Cause, dict[str, str]]]) -> list[tuple[Cause, dict[str, str]]]:
    """The clauses of a message: what was never meant for the pod, and what only comments on others, come last."""
    return [
        pair
        for _, pair in sorted(
            enumerate(found),
            key=lambda entry: (
                entry[1][0].role == "modifier",
                entry[1][0].id in _SHARED,
                -entry[1][0].specificity,
                entry[0],
            ),
        )
    ]


def _nodes_in(message: str) -> int:
    head = message.partition(" nodes are available")[0]
    return _number(head.rpartition("/")[2])


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _bad(fact: Fact) -> bool:
    """Whether a fact may say that something is wrong: a condition says so only where it does not hold as it should."""
    if fact.action in ("Normal", "Warning", "terminated", "exitcode", "waiting", "taint"):
        return fact.reason not in _STAGE and fact.reason != "Completed"
    if fact.severity != "info":
        return True
    if fact.action != "condition":
        return False
    if fact.about.kind == "Node":
        return fact.holds == "True" and fact.condition != "Ready"
    if fact.about.kind in ("Pod", "Job"):
        return False
    if fact.about.kind == "Workload":
        return (fact.condition, fact.holds) == ("QuotaReserved", "False") and fact.reason != "Preempted"
    return fact.holds != "False" and fact.condition not in ("Requeued",)


def _unknown(fact: Fact) -> Signal | None:
    if fact.severity == "info" and fact.action != "Warning":
        return None
    if fact.action == "taint":
        return None
    if fact.action in ("status", "condition") and fact.reason not in _QUIET_PHASES and fact.about.kind != "Pod":
        return _made(fact, None, role="outcome" if fact.severity == "error" else "unknown", specificity=0)
    if fact.action in ("status", "restart"):
        return _made(fact, None, role="outcome", specificity=0)
    return _made(fact, None, role="unknown", specificity=1)


def _made(
    fact: Fact,
    cause: Cause | None,
    *,
    role: str,
    specificity: int | None = None,
    names: set[str] | None = None,
) -> Signal:
    names = {fact.reason} if names is None else names
    if cause is not None:
        names |= {cause.id, f"category:{cause.category}"}
    if fact.condition == "DisruptionTarget":
        names.add("DisruptionTarget")
    link, about = fact.link, fact.about
    is_pod = about.kind == "Pod"
    return Signal(
        at=fact.at,
        last=fact.at,
        count=fact.count,
        about=about,
        key=fact.key,
        reason=fact.reason,
        action=fact.action,
        cause=cause,
        category=cause.category if cause else "unknown",
        blame=cause.blame if cause else "unknown",
        role=role,
        specificity=specificity if specificity is not None else cause.specificity if cause else 1,
        message=fact.message,
        fields={},
        names=names,
        ids=[fact.id] if fact.id else [],
        pod=fact.key if is_pod else (link.pod_uid or "" if link is not None and fact.own else ""),
        node=fact.node,
        container=_container(about.field_path) if is_pod else "",
        step=_step(fact),
        attempt=(link.run_attempt or link.attempt or 0) if link is not None else 0,
        code=fact.code,
        own=fact.own,
        stated=fact.stated,
    )


def _container(path: str) -> str:
    return path.partition("{")[2].rstrip("}") if path.startswith("spec.") else ""


def _step(fact: Fact) -> str:
    link = fact.link
    if link is not None and (link.step or link.replica):
        return link.step or link.replica or ""
    path = fact.about.field_path
    return path.removeprefix("status.nodes{").rstrip("}") if path.startswith("status.nodes{") else ""
