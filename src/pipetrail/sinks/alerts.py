"""Which alerts there are: one for each pipeline that is in trouble, from what delivery tells.

An alert is known by its labels, so these are what stays the same over its life: cluster, namespace, system, pipeline
and how bad it is. What changes (the run, its state, cause, blame and remedy) are annotations.

A verdict brings an alert, or news to the one that is there. It ends with the next good run of the pipeline; when each
of its runs got over it; or when nothing was heard for as long as the settings say. Events of Kubernetes change nothing,
however often they are updated and whenever they expire. No input, no output, no clock.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from pipetrail.documents.events import event_shape
from pipetrail.model import Delivery, Event, Link, Micros, Standing, format_time
from pipetrail.model.times import SECOND
from pipetrail.sinks.http import clean

NAME = "PipetrailRunFailing"
"""The label ``alertname`` of all of them: with one for each state, a run that is stuck and then fails would be two."""

TROUBLE = frozenset({"Failed", "Stuck", "Zombie", "Preempted"})
"""The states of a run that make an alert."""

KEPT: Micros = 30 * 86_400 * SECOND
"""How long an alert that ended is remembered, to say how often."""

MOST = 5_000
"""How many pipelines are remembered."""

_LASTING = frozenset({"Stuck", "Zombie"})  # over as soon as the run is in another state
_SOME = 50  # runs, objects and verdicts that are kept of one alert
_NAMED = 10  # of those are named
_LABEL, _TEXT = 250, 1000  # characters

Urgency = Literal["", "warning", "critical"]


class Trouble(msgspec.Struct, frozen=True, array_like=True):
    """One run in trouble: its name, its state, and since when it surely is."""

    name: str
    state: str
    at: Micros


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one pipeline. ``urgency`` is empty while there is no alert.

    ``told``: when the last verdict was made; ``failed`` and ``good``: when a run last was in trouble, or ended well.
    ``open`` are the runs in trouble by id, ``runs`` and ``objects`` all names in this alert; ``times`` how often there
    was trouble since ``first``, and ``seen`` the verdicts that are in it.
    """

    labels: dict[str, str]
    urgency: Urgency = ""
    starts: Micros = 0
    told: Micros = 0
    failed: Micros = 0
    good: Micros = 0
    open: dict[str, Trouble] = {}
    runs: list[str] = []
    objects: list[str] = []
    times: int = 0
    first: Micros = 0
    seen: list[str] = []
    annotations: dict[str, str] = {}


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it is told. ``ends`` None: it lasts."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts: Micros
    ends: Micros | None = None


class Change(msgspec.Struct, frozen=True):
    """What some deliveries change: these records, None for those to forget, and what is to be told."""

    records: dict[str, Record | None]
    alerts: list[Alert]


def changed(
    known: Mapping[str, Record],
    batch: Iterable[Delivery],
    now: Micros,
    lasts: Micros,
    clusters: Mapping[str, str] | None = None,
) -> Change:
    """What comes of some deliveries; ``known`` stays as it is.

    :param now: the wall clock, in microseconds.
    :param lasts: for how long after its last verdict an alert lasts, in microseconds.
    :param clusters: what people call the clusters, by id. An alert keeps the labels that it began with.
    """
    found: dict[str, Record] = {}
    whose = _whose(known)
    for delivery in batch:
        event = delivery.event
        subject = next((link for link in event.links if link.rel == "subject"), None)
        if subject is None or event.origin not in ("verdict", "run"):
            continue
        labels = _labels(delivery, subject)
        key = msgspec.json.encode(list(labels.values())).decode()
        if clusters is not None and event.cluster in clusters:
            labels["cluster"] = clean(clusters[event.cluster], _LABEL)
        record = found.get(key) or known.get(key)
        run = (event.cluster, subject.system, subject.run)
        other = whose.get(run, key)
        old = found.get(other) or known.get(other)
        if other != key and old is not None and subject.run in old.open:
            if _names_pipeline(delivery):
                found[other] = _without(old, subject.run)
                found[key] = record = _moved(record or Record(labels=labels), old, subject.run)
            else:
                key, record = other, old
        if record is not None and not record.urgency and record.labels != labels:
            record = msgspec.structs.replace(record, labels=labels)
        if event.origin == "verdict" and event.verdict is not None:
            after = _judged(record or Record(labels=labels), delivery, subject.run, now, lasts)
            if after.times:
                found[key] = after
        elif event.origin == "run" and record is not None:
            found[key] = _turned(record, event, subject.run)
        if key in found:
            whose[run] = key
    records: dict[str, Record | None] = {}
    alerts: list[Alert] = []
    for key, record in found.items():
        before = known.get(key)
        if record == before:
            continue
        records[key] = record
        if before is not None and before.urgency not in ("", record.urgency):
            alerts.append(ended(before, now))
        if record.urgency:
            alerts.append(lasting(record))
    return Change(records, alerts)


def expired(known: Mapping[str, Record], now: Micros, lasts: Micros) -> Change:
    """What has lasted long enough, and what need not be remembered any more."""
    records: dict[str, Record | None] = {}
    alerts: list[Alert] = []
    for key, record in known.items():
        if record.urgency and now - record.told >= lasts:
            records[key] = _over(record)
            alerts.append(ended(record, now))
        elif not record.urgency and now - record.told >= KEPT:
            records[key] = None
    if len(known) - len(records) > MOST:
        quiet = sorted((record.told, key) for key, record in known.items() if not record.urgency and key not in records)
        records |= {key: None for _, key in quiet[: len(known) - len(records) - MOST]}
    return Change(records, alerts)


def lasting(record: Record) -> Alert:
    """The alert of a record, that lasts."""
    labels = {"alertname": NAME, **record.labels, "severity": record.urgency}
    listed = {"runs": _listed(record.runs), "objects": _listed(record.objects), "times": str(record.times)}
    listed["times_since"] = format_time(record.first)
    annotations = {name: text for name, text in (record.annotations | listed).items() if text}
    return Alert(
        labels={name: text for name, text in labels.items() if text}, annotations=annotations, starts=record.starts
    )


def ended(record: Record, now: Micros) -> Alert:
    """The same, ending now."""
    return msgspec.structs.replace(lasting(record), ends=max(now, record.starts))


# --- A run whose pipeline becomes known while its alert lasts: until then its own name stands for it


def _whose(known: Mapping[str, Record]) -> dict[tuple[str, str, str], str]:
    """The key of the record in which each run in trouble is, by its cluster, system and id."""
    found: dict[tuple[str, str, str], str] = {}
    for key, record in known.items():
        if record.open:
            cluster, _, system, _ = msgspec.json.decode(key, type=tuple[str, str, str, str])
            found |= {(cluster, system, run): key for run in record.open}
    return found


def _names_pipeline(delivery: Delivery) -> bool:
    named = delivery.run.pipeline if delivery.run is not None else ""
    return bool(named or _word(delivery.event.verdict or {}, "pipeline"))


def _moved(record: Record, old: Record, run: str) -> Record:
    """The record of a pipeline with a run that was told elsewhere: its trouble is counted once."""
    trouble = old.open[run]
    record = msgspec.structs.replace(
        record,
        times=record.times + 1,
        first=min(record.first or trouble.at, trouble.at),
        told=max(record.told, old.told),
        seen=list(dict.fromkeys([*record.seen, *old.seen]))[-_SOME:],
    )
    if trouble.at <= record.good:
        return record
    return msgspec.structs.replace(
        record,
        urgency="critical" if "critical" in (record.urgency, old.urgency) else "warning",
        starts=record.starts if record.urgency else old.starts,
        failed=max(record.failed, trouble.at),
        open=dict(list({**record.open, run: trouble}.items())[-_SOME:]),
        runs=_joined(record.runs, [trouble.name]),
        objects=_joined(record.objects, old.objects),
        annotations=record.annotations if record.urgency else old.annotations,
    )


# --- A verdict


def _judged(record: Record, delivery: Delivery, run: str, now: Micros, lasts: Micros) -> Record:
    event = delivery.event
    state = event.action
    recovered = event.severity == "info"
    if recovered or state not in TROUBLE:
        return _recovered(record, run, event.at) if recovered else record
    # A failure is what it is when it was; of the others it is sure when it was looked at.
    at = min(event.at if state == "Failed" else event.observed_at, now)
    record = _counted(record, event, at)
    fresh = now - event.observed_at < lasts and at > record.good
    if not fresh or _is_past(delivery.run, state, at):
        return record
    urgency: Urgency = "critical" if event.severity == "error" or record.urgency == "critical" else "warning"
    document = _document(event)
    name = clean(event.links[0].run_name or run, _LABEL)
    open_ = dict(list({**record.open, run: Trouble(name, state, at)}.items())[-_SOME:])
    return msgspec.structs.replace(
        record,
        urgency=urgency,
        starts=record.starts if record.urgency else min(event.at, now),
        told=max(record.told, min(event.observed_at, now)),
        failed=max(record.failed, at),
        open=open_,
        runs=_joined(record.runs, [name]),
        objects=_joined(record.objects, _objects(document)),
        annotations=_annotations(event, name, document),
    )


def _counted(record: Record, event: Event, at: Micros) -> Record:
    """With this verdict counted, unless it is a better word on one that is."""
    if event.id in record.seen:
        return record
    known = event.supersedes is not None and event.supersedes in record.seen
    return msgspec.structs.replace(
        record,
        times=record.times if known else record.times + 1,
        first=min(record.first or at, at),
        told=max(record.told, event.observed_at),
        seen=[*record.seen, event.id][-_SOME:],
    )


def _is_past(run: Standing | None, state: str, at: Micros) -> bool:
    """Whether the run is known to be in another state by now: the verdict was read late."""
    return run is not None and state in _LASTING and run.state not in TROUBLE and run.at > at


def _document(event: Event) -> dict[str, Any]:
    try:
        return event_shape(event).verdict or {}
    except (msgspec.ValidationError, TypeError, ValueError, KeyError):
        return {}  # another version wrote it; what the event itself says is enough for an alert


def _annotations(event: Event, name: str, document: Mapping[str, Any]) -> dict[str, str]:
    cause = document.get("cause")
    cause = cause if isinstance(cause, Mapping) else {}
    evidence = document.get("evidence")
    found = {
        "summary": event.message or f"{name}: {event.action}",
        "run": name,
        "state": event.action,
        "cause": _word(cause, "title") or event.reason,
        "reason": _word(cause, "reason") or event.reason,
        "category": _word(cause, "category"),
        "blame": _word(cause, "blame"),
        "object": _word(cause, "object"),
        "confidence": _word(document, "confidence"),
        "remedy": _word(document, "remedy"),
        "evidence": _number(evidence, "event"),
        "at": format_time(event.at),
        "verdict": event.id,
    }
    return {key: clean(text, _TEXT) for key, text in found.items()}


def _objects(document: Mapping[str, Any]) -> list[str]:
    """The pods that it hit; where it names none, the object of the cause."""
    cause = document.get("cause")
    named = [_word(cause, "object")] if isinstance(cause, Mapping) else []
    for part in ("chain", "consequences"):
        steps = document.get(part)
        named += [_word(step, "object") for step in steps or () if isinstance(step, Mapping)]
    pods = [name for name in named if "/Pod/" in name]
    return [clean(name, _LABEL) for name in pods or named[:1] if name]


def _word(thing: Mapping[str, Any], key: str) -> str:
    found = thing.get(key)
    return found if isinstance(found, str) else ""


def _number(things: object, what: str) -> str:
    if not isinstance(things, list | tuple) or not things:
        return ""
    return f"{len(things)} {what}" + ("" if len(things) == 1 else "s")


def _joined(known: list[str], more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*known, *more]))[:_SOME]


def _listed(names: list[str]) -> str:
    """``3: a, b, c``."""
    if not names:
        return ""
    rest = len(names) - _NAMED
    more = f" and {rest}{' or more' if len(names) == _SOME else ''} others" if rest > 0 else ""
    return f"{len(names)}: {', '.join(names[:_NAMED])}{more}"


# --- What became of a run


def _turned(record: Record, event: Event, run: str) -> Record:
    state = event.reason
    if state != "Succeeded":
        return record if state in TROUBLE else _recovered(record, run, event.at, dropped=state == "Cancelled")
    good = msgspec.structs.replace(record, good=max(record.good, event.at))
    if event.at >= record.failed:
        return _over(good)
    trouble = record.open.get(run)
    return good if trouble is None or event.at < trouble.at else _without(good, run)


def _recovered(record: Record, run: str, at: Micros, *, dropped: bool = False) -> Record:
    """Without this run, if it was in a state that it can get over: after a failure only a good run counts."""
    trouble = record.open.get(run)
    if trouble is None or at < trouble.at or trouble.state == "Failed":
        return record
    # A preemption is no state to get over but something that happened, and may happen again at once.
    return _without(record, run) if dropped or trouble.state in _LASTING else record


def _without(record: Record, run: str) -> Record:
    left = {key: trouble for key, trouble in record.open.items() if key != run}
    return msgspec.structs.replace(record, open=left) if left else _over(record)


def _over(record: Record) -> Record:
    return msgspec.structs.replace(record, urgency="", open={}, runs=[], objects=[], annotations={})


def _labels(delivery: Delivery, subject: Link) -> dict[str, str]:
    event, run = delivery.event, delivery.run
    body = event.verdict or {}
    known = (run.namespace, run.pipeline, run.name) if run is not None else ("", "", "")
    found = {
        "cluster": event.cluster,
        "namespace": known[0] or _word(body, "namespace") or event.about.namespace,
        "system": subject.system,
        "pipeline": known[1] or _word(body, "pipeline") or known[2] or subject.run_name or event.about.name,
    }
    return {name: clean(text, _LABEL) for name, text in found.items()}
