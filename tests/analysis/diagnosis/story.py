"""Stories: what was seen of one run, line by line, as a case.

A line is ``TIME KIND/NAME REASON FLAGS | message``. Flags: ``N`` or ``W`` (type of an Event), ``by:kubelet`` (who says
it), ``x12`` (how often), ``in:main`` (the container), ``init:fetch`` (an init container), ``exit:1`` (a container ended
by itself), ``killed`` (it ended with the reason), ``waiting``, ``phase:Failed``, ``Ready=Unknown`` (a condition),
``other`` (not of this run), ``step:a``, ``try:2``, ``on:n1`` (the node), ``quiet`` (no warning).

Pods are of the run unless ``other`` is said; nodes, claims and what makes nodes are beside it.
"""

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pipetrail.analysis.bodies import Shell
from pipetrail.analysis.diagnosis import Case, Verdict, diagnose
from pipetrail.analysis.resolving import Placement
from pipetrail.analysis.runs import Run
from pipetrail.analysis.world import Thing
from pipetrail.catalogue import Catalogue
from pipetrail.model import Event, Gap, Link, ObjectRef, SourceState

START = 1_790_000_000_000_000
SECOND = 1_000_000
_BESIDE = ("Node", "PersistentVolumeClaim", "ConfigMap", "NodeClaim", "NodePool")


def stories(file: str) -> dict[str, dict[str, Any]]:
    """The stories of a file beside this one, by name."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / file).read_text(encoding="utf-8"))
    return found


def seconds(text: str) -> float:
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


def event(number: int, line: str) -> Event:
    """One line as an event."""
    head, _, message = line.partition(" | ")
    time, ref, reason, *flags = head.split()
    kind, _, name = ref.partition("/")
    at = START + int(seconds(time) * SECOND)
    fields: dict[str, Any] = {"type": None, "origin": "kubernetes", "reporter": "", "count": 1, "severity": "info"}
    step, attempt, path, action, prefix, own = "train", 1, "", "", "", kind not in _BESIDE
    node = ""
    for flag in flags:
        word, _, value = flag.partition(":")
        if flag in ("N", "W"):
            fields["type"] = "Normal" if flag == "N" else "Warning"
            fields["severity"] = "info" if flag == "N" else "warning"
        elif word == "by":
            fields["reporter"] = value
        elif re.fullmatch(r"x\d+", flag):
            fields["count"] = int(flag[1:])
        elif word == "in":
            path = f"spec.containers{{{value}}}"
        elif word == "init":
            path = f"spec.initContainers{{{value}}}"
        elif word == "exit":
            action, prefix, path = "exitcode", f"exit code {value}", path or "spec.containers{main}"
        elif word == "killed":
            action, prefix, path = "terminated", f"exit code {value or 137}", path or "spec.containers{main}"
        elif flag == "waiting":
            action, path = "waiting", path or "spec.containers{main}"
        elif word == "phase":
            action, prefix = "status", f"phase {value}"
        elif "=" in flag:
            action, prefix, path = "condition", flag, f"status.conditions{{{flag.partition('=')[0]}}}"
        elif flag == "status":
            action = "status"
        elif flag == "quiet":
            continue
        elif flag == "other":
            own = False
        elif word == "step":
            step = value
        elif word == "try":
            attempt = int(value)
        elif word == "on":
            node = value
        else:
            raise ValueError(flag)
    if action:
        fields["origin"] = "status"
        fields["severity"] = "info" if "quiet" in flags else "error" if action != "waiting" else "warning"
        message = f"{prefix}: {message}" if prefix and message else prefix or message
    if fields["origin"] == "kubernetes" and fields["type"] is None:
        fields["type"] = "Normal"
    if reason in ("Terminating", "Deleted", "Running", "Ready"):
        fields["severity"] = "info"
        if not action:
            fields["origin"], action = "status", "running" if reason == "Running" else "status"
    uid = "" if kind == "Node" else name
    link = Link(
        rel="subject", system="job", run="r", step=step, attempt=attempt, replica=name if kind == "Pod" else None,
        pod_uid=uid if kind == "Pod" else None,
    )  # fmt: skip
    namespace = "" if kind == "Node" else "ml"
    return Event(
        number=number,
        cluster="here",
        at=at,
        observed_at=at,
        action=action,
        about=ObjectRef(kind=kind, namespace=namespace, name=name, uid=uid, field_path=path),
        reason=reason,
        message=message,
        links=(link,) if own else (),
        node=node,
        **fields,
    )


def _ends(one: Event) -> bool:
    """Whether it tells of the end of a pod: of one of its containers, or of all of it."""
    return one.action in ("exitcode", "terminated") or one.reason == "Evicted"


def pod(name: str, said: dict[str, Any], root: str) -> Thing:
    """A pod of the run; one of several tries has ``try`` and its ``member``."""
    thing = Thing("", "Pod", "ml", name, name, START + int(seconds(str(said.get("created", "0"))) * SECOND))
    thing.node = str(said.get("node", ""))
    thing.claims = tuple(said.get("claims", ()))
    for field in ("deleting", "deleted"):
        if field in said:
            setattr(thing, field, START + int(seconds(str(said[field])) * SECOND))
    started = said.get("started")
    thing.shell = Shell(
        phase=str(said.get("phase", "Pending")),
        reason=str(said.get("reason", "")),
        exit_code=said.get("exit"),
        started_at=START + int(seconds(str(started)) * SECOND) if started is not None else None,
        unready=str(said.get("unready", "")),
        waiting=str(said.get("waiting", "")),
        message=str(said.get("message", "")),
    )
    link = Link(
        rel="subject", system="job", run="r", step=str(said.get("step", "train")), attempt=int(said.get("try", 1)),
        replica=str(said.get("member", name)), pod_uid=name,
    )  # fmt: skip
    thing.placement = Placement(links=(link,), complete=True)
    return thing


def case(story: dict[str, Any]) -> Case:
    """A story as a case."""
    events = [event(number, line) for number, line in enumerate(story.get("events", ()), 1)]
    root = str(story.get("root", "Job/r"))
    kind, _, name = root.partition("/")
    top = Thing("batch" if kind == "Job" else "x.example", kind, "ml", name, name, START)
    top.placement = Placement(links=(Link(rel="subject", system="job", run="r"),), complete=True)
    for field in ("deleting", "deleted"):
        if field in story:
            setattr(top, field, START + int(seconds(str(story[field])) * SECOND))
    pods = [pod(each, said or {}, name) for each, said in (story.get("pods") or {}).items()]
    for each in pods:
        ends = [one.at for one in events if one.about.uid == each.uid and _ends(one)]
        if ends and each.shell is not None and each.shell.phase == "Failed":
            each.shell = msgspec.structs.replace(each.shell, finished_at=max(ends))
    now = START + int(seconds(str(story.get("now", "2:00:00"))) * SECOND)
    run = Run(
        id="r", system="job", cluster="here", namespace="ml", name="r", state=story.get("state", "Failed"),
        created=START, root=name, nodes=tuple(sorted({each.node for each in pods if each.node})),
        why=str(story.get("why", "")),
    )  # fmt: skip
    gaps = [
        Gap(
            cluster="here", resource=resource, since=START + int(seconds(since) * SECOND),
            until=START + int(seconds(until) * SECOND), reason=reason, loss="possible",
        )
        for resource, since, until, reason in story.get("gaps", ())
    ]  # fmt: skip
    sources = [SourceState(cluster="here", **state) for state in story.get("sources", ())]
    bodies = {uid: msgspec.json.encode({"spec": spec}) for uid, spec in (story.get("specs") or {}).items()}
    return Case(
        run=run, now=now, objects=(top, *pods), bodies=bodies, events=tuple(events), gaps=tuple(gaps),
        sources=tuple(sources),
    )  # fmt: skip


def judged(story: dict[str, Any], known: Catalogue) -> Verdict | None:
    return diagnose(case(story), known)


def changed(found: Case, **fields: Any) -> Case:
    """A case with some fields exchanged."""
    return msgspec.structs.replace(found, **fields)
