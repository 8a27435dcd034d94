"""What is known about a run, one fact after another: its events, and what the states of its objects say.

Many failures emit no Event, and Events are kept for an hour only. So what an object's last state says is a fact as
well, unless an event told the same.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from pipetrail.analysis.diagnosis.verdict import Case
from pipetrail.analysis.states import dicts, instant, true_conditions
from pipetrail.analysis.waiting import nodes_of
from pipetrail.analysis.world import Thing
from pipetrail.model import Event, Link, Micros, ObjectRef

_ENDED = re.compile(r"^exit code (-?\d{1,9})(?: \([^)]{0,40}\))?(?:: )?")
_CONDITION = re.compile(r"^(\w{1,80})=(\w{1,20})(?:: )?")
_PHASE = re.compile(r"^\w{1,40} (\w{1,40})(?:: |$)")
_PLAIN_ENDS = frozenset({"", "Error", "Completed"})
_ERRORS = (msgspec.DecodeError, ValueError, RecursionError)


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was said of an object at a time.

    ``action`` says where it stands: ``Normal`` or ``Warning`` of an Event, else as in the catalogue: ``terminated``,
    ``exitcode``, ``waiting``, ``condition``, ``status``, ``taint``. ``holds`` is the status of a condition.
    ``id`` is the event's; of an object's state the object's name. ``own``: of the run itself, not beside it.
    """

    at: Micros
    about: ObjectRef
    reason: str
    action: str
    message: str = ""
    reporter: str = ""
    severity: str = "info"
    count: int = 1
    id: str = ""
    node: str = ""
    code: int | None = None
    condition: str = ""
    holds: str = ""
    link: Link | None = None
    own: bool = True
    stated: bool = False

    @property
    def key(self) -> str:
        """What tells its object from others."""
        return key_of(self.about)


def key_of(ref: ObjectRef) -> str:
    """What tells an object from others: its uid, or where that is unknown its name. A node is known by its name."""
    if ref.kind == "Node":
        return f"Node/{ref.name}"
    return ref.uid or f"{ref.kind}/{ref.namespace}/{ref.name}"


def facts(case: Case) -> list[Fact]:
    """All facts of a case, the earliest first; those of strangers are left out."""
    scope = Scope(case)
    found = [fact for event in case.events if (fact := scope.fact(event)) is not None]
    told = {(fact.key, fact.reason) for fact in found}
    told |= {(fact.key, f"exit:{fact.code}") for fact in found if fact.code is not None}
    found += [fact for fact in stated(case) if (fact.key, fact.reason) not in told]
    return sorted(found, key=lambda fact: (fact.at, fact.id, fact.reason, fact.message))


class Scope:
    """Whose events count: those of the run, of the nodes and claims of its pods, and of those who make nodes."""

    def __init__(self, case: Case) -> None:
        self.run = case.run.id
        self.own = {thing.uid for thing in case.objects}
        self.beside = {thing.uid for thing in case.around}
        self.nodes = {*case.run.nodes, *(thing.node for thing in case.objects if thing.node)}
        self.claims = {(thing.namespace, claim) for thing in case.objects for claim in thing.claims}
        self.names: dict[tuple[str, str, str], list[Thing]] = {}
        for thing in case.objects:
            self.names.setdefault((thing.kind, thing.namespace, thing.name), []).append(thing)
        if not case.objects:
            # Without objects the events alone tell where the pods were.
            self.nodes |= {
                event.node for event in case.events if event.node and any(link.run == self.run for link in event.links)
            }

    def fact(self, event: Event) -> Fact | None:
        """The fact that an event is; None if it is about something else."""
        if event.origin not in ("kubernetes", "status"):
            return None
        about = event.about
        link = next((link for link in event.links if link.run == self.run), None)
        own = (link is not None and link.rel == "subject") or about.uid in self.own
        if not own and link is None and not self._near(event):
            return None
        found = read(event, link, own=own)
        if about.uid or about.kind == "Node":
            return found
        uid = self._uid(event, link)
        if not uid:
            return found
        return msgspec.structs.replace(found, about=msgspec.structs.replace(about, uid=uid), own=own or uid in self.own)

    def _uid(self, event: Event, link: Link | None) -> str:
        """The uid of an object that an event knows by its name only, in the life that it means."""
        if event.about.kind == "Pod" and link is not None and link.pod_uid:
            return link.pod_uid
        about = event.about
        lives = self.names.get((about.kind, about.namespace, about.name), [])
        found = [thing for thing in lives if thing.bore_its_name_at(event.at)]
        return max(found, key=lambda thing: (thing.created, thing.uid)).uid if found else ""

    def _near(self, event: Event) -> bool:
        about = event.about
        if about.uid in self.beside and about.uid:
            return True
        if about.kind == "Node":
            return about.name in self.nodes
        if about.kind == "PersistentVolumeClaim":
            return (about.namespace, about.name) in self.claims
        if about.kind in ("NodeClaim", "NodePool"):
            return True
        if about.kind == "ConfigMap":
            return "autoscaler" in about.name
        return not about.uid and (about.kind, about.namespace, about.name) in self.names


def read(event: Event, link: Link | None, *, own: bool) -> Fact:
    """An event as a fact."""
    action = event.action if event.origin == "status" else event.type or "Normal"
    message, code, condition, holds = event.message, None, "", ""
    if event.origin == "status":
        if action in ("terminated", "exitcode") and (ended := _ENDED.match(message)) is not None:
            code, message = int(ended[1]), message[ended.end() :]
        elif action == "condition" and (found := _CONDITION.match(message)) is not None:
            condition, holds, message = found[1], found[2], message[found.end() :]
        elif action == "status" and (phase := _PHASE.match(message)) is not None:
            condition, holds, message = "phase", phase[1], message[phase.end() :]
    return Fact(
        at=event.at,
        about=event.about,
        reason=event.reason,
        action=action,
        message=message,
        reporter=event.reporter,
        severity=event.severity,
        count=event.count,
        id=event.id,
        node=event.node or (event.about.name if event.about.kind == "Node" else ""),
        code=code,
        condition=condition,
        holds=holds,
        link=link,
        own=own,
    )


def link_of(thing: Thing, run: str) -> Link | None:
    """The link of an object to a run, as the linker found it."""
    placement = thing.placement
    return next((link for link in placement.links if link.run == run), None) if placement is not None else None


def stated(case: Case) -> Iterator[Fact]:
    """What the last states of the objects say."""
    own = {thing.uid for thing in case.objects}
    for thing in (*case.objects, *case.around):
        make = _Maker(thing, case.now, link_of(thing, case.run.id), thing.uid in own)
        if thing.is_pod:
            yield from _pod(thing, case.bodies.get(thing.uid), make)
        elif thing.kind == "Node":
            yield from _node(case.bodies.get(thing.uid), make)
        elif thing.uid in own:
            yield from _custom(thing, make)
        if thing.deleting is not None:
            yield make("Terminating", "status", thing.deleting)
        if thing.deleted is not None:
            yield make("Deleted", "status", thing.deleted)


class _Maker:
    """Makes facts of one object."""

    def __init__(self, thing: Thing, now: Micros, link: Link | None, own: bool) -> None:
        self.thing, self.link, self.own = thing, link, own
        self.default = min(thing.seen_at if thing.seen_at is not None else thing.created, now)

    def __call__(self, reason: str, action: str, at: Micros | None, **more: Any) -> Fact:
        thing = self.thing
        version = "v1" if thing.is_pod else thing.group
        path = more.pop("path", "")
        about = ObjectRef(
            api_version=version,
            kind=thing.kind,
            namespace=thing.namespace,
            name=thing.name,
            uid=thing.uid,
            field_path=path,
        )
        return Fact(
            at=self.default if at is None else at,
            about=about,
            reason=reason,
            action=action,
            id=f"{thing.kind}/{thing.namespace}/{thing.name}",
            node=thing.node or (thing.name if thing.kind == "Node" else ""),
            link=self.link,
            own=self.own,
            stated=True,
            **more,
        )


def _pod(thing: Thing, body: bytes | None, make: _Maker) -> Iterator[Fact]:
    status = _part(body, "status")
    shell = thing.shell
    if status:
        for path, key in (
            ("spec.initContainers", "initContainerStatuses"),
            ("spec.containers", "containerStatuses"),
        ):
            for container in dicts(status.get(key)):
                yield from _container(container, path, make)
        yield from _conditions(dicts(status.get("conditions")), make)
        phase, reason = str(status.get("phase") or ""), str(status.get("reason") or "")
        text = str(status.get("message") or "")
        if phase == "Failed" and reason:
            yield make(reason, "status", None, message=text, severity="error", condition="phase", holds=phase)
        return
    if shell is None:
        return
    if shell.exit_code:
        yield make(f"exit:{shell.exit_code}", "exitcode", shell.finished_at, severity="error", code=shell.exit_code)
    if shell.phase == "Failed" and shell.reason:
        yield make(shell.reason, "status", shell.finished_at, severity="error", condition="phase", holds="Failed")
    if shell.waiting:
        yield make(shell.waiting, "waiting", None, severity="warning", message=shell.message)
    if shell.unready and not thing.node:
        yield make(
            shell.unready, "condition", None, severity="warning", message=shell.message,
            condition="PodScheduled", holds="False",
        )  # fmt: skip
    if shell.disrupted:
        yield make(shell.disrupted, "condition", None, severity="warning", condition="DisruptionTarget", holds="True")


def _container(status: dict[str, Any], path: str, make: _Maker) -> Iterator[Fact]:
    where = f"{path}{{{status.get('name', '')}}}"
    state, last = status.get("state"), status.get("lastState")
    for part in (last, state):
        ended = part.get("terminated") if isinstance(part, dict) else None
        if isinstance(ended, dict):
            code, reason = ended.get("exitCode"), str(ended.get("reason") or "")
            code = code if isinstance(code, int) else 0
            if reason in _PLAIN_ENDS and code == 0:
                continue
            plain = reason in _PLAIN_ENDS
            yield make(
                f"exit:{code}" if plain else reason, "exitcode" if plain else "terminated",
                instant(ended.get("finishedAt")), message=str(ended.get("message") or ""), severity="error",
                code=code, path=where,
            )  # fmt: skip
    waiting = state.get("waiting") if isinstance(state, dict) else None
    if isinstance(waiting, dict) and waiting.get("reason"):
        text = str(waiting.get("message") or "")
        yield make(str(waiting["reason"]), "waiting", None, message=text, severity="warning", path=where)


def _node(body: bytes | None, make: _Maker) -> Iterator[Fact]:
    found = _part(body, "status").get("conditions")
    yield from _conditions(dicts(found), make)


def _conditions(found: list[dict[str, Any]], make: _Maker) -> Iterator[Fact]:
    for condition in found:
        type_, status = str(condition.get("type", "")), str(condition.get("status", ""))
        bad = (type_, status) in _BAD or (type_ == "Ready" and status != "True" and make.thing.kind == "Node")
        yield make(
            str(condition.get("reason") or type_), "condition", instant(condition.get("lastTransitionTime")),
            message=str(condition.get("message") or ""), severity="warning" if bad else "info",
            condition=type_, holds=status,
        )  # fmt: skip


_BAD = frozenset(
    {
        ("Failed", "True"),
        ("FailureTarget", "True"),
        ("DisruptionTarget", "True"),
        ("Evicted", "True"),
        ("Preempted", "True"),
        ("MemoryPressure", "True"),
        ("DiskPressure", "True"),
        ("PIDPressure", "True"),
        ("Succeeded", "False"),
        ("PodScheduled", "False"),
    }
)


def _custom(thing: Thing, make: _Maker) -> Iterator[Fact]:
    status = thing.status or {}
    yield from _conditions(dicts(status.get("conditions")), make)
    if "Failed" in true_conditions(status):
        return
    for node in nodes_of(thing):
        text = node.get("message")
        if isinstance(text, str) and text and node.get("phase") in ("Pending", "Error", "Failed"):
            reason = f"WorkflowNode{node['phase']}"
            at = instant(node.get("finishedAt")) or instant(node.get("startedAt"))
            yield make(
                reason, "status", at, message=text, severity="warning",
                path=f"status.nodes{{{node.get('displayName') or node.get('name')}}}",
            )  # fmt: skip


def _part(body: bytes | None, name: str) -> dict[str, Any]:
    if not body:
        return {}
    try:
        found = msgspec.json.decode(body)
    except _ERRORS:
        return {}
    part = found.get(name) if isinstance(found, dict) else None
    return part if isinstance(part, dict) else {}
