"""``output.md``: the JSON output, field by field. The fields come from the code, their meaning stands here."""

import types
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from docs._generate import delivering, fleet, why
from docs._generate.markdown import code, first_paragraph, page, table
from pipetrail.cli import shapes, why_shapes
from pipetrail.documents import events, verdicts
from pipetrail.model import Link, SourceObject

SOURCE = "src/pipetrail/cli/shapes.py"

_INTRO = """With `-o json` a command prints one JSON object on each line; `-o yaml` prints the same fields as YAML
documents, and `pipetrail export` writes the same lines to a file. This is an API: fields may be added, and are never
renamed or left out. Times are RFC 3339 in UTC with microseconds. Lists are sorted by `at`, then `seq`; with
`--follow` by `seq`."""

MEANINGS: dict[type[msgspec.Struct], dict[str, str]] = {
    events.EventShape: {
        "seq": "The place in the journal. It only grows, through all clusters and kinds: follow by it",
        "id": "What names this fact everywhere, derived from the source and never random: 30 hexadecimal digits that "
        "sort by time",
        "revision": "1; higher where the same event is shown again with more links",
        "at": "When it happened, as the source says",
        "observed_at": "When the recorder received it",
        "cluster": "The cluster's id: its `--cluster` name, else the uid of namespace `kube-system`",
        "origin": "`kubernetes`: one increment of a Kubernetes Event. `status`: a state change of an object. `gap`: "
        "the recorder was blind. `verdict`: [why](../how-to/why.md) a run ended, got stuck, was preempted or got over "
        "it",
        "reason": "Why, in one word: of an Event its own; of a state change see [status events](status-events.md); of "
        "a gap see [gaps](gaps.md)",
        "action": "Of an Event its own; of a state change its kind; of a gap `loss:none` or `loss:possible`",
        "message": "The text, with secrets redacted",
        "severity": "`info`, `warning` or `error`. A Kubernetes Event is never an `error`: it can't say so",
        "type": "Of a Kubernetes Event `Normal` or `Warning`",
        "count": "How many occurrences this fact adds. Not the total: summing it up is right",
        "about": "The object that it is about",
        "reporter": "The component that reported the Event",
        "node": "The node that the Event came from, or on which the pod was",
        "related": "A second object that the Event names",
        "source": "The Kubernetes object that this was read from",
        "links": "The runs that it belongs to, see [Runs](../how-to/runs.md)",
        "verdict": "Of a verdict its body, as [`why RUN`](#why-run) has it",
        "supersedes": "Of a verdict the id of the one before that it corrects",
        "at_estimated": "True where the source shows no time, and `at` is when it was received",
        "marks": "Labels and allowed annotations of the Event itself",
    },
    events.RefShape: {
        "apiVersion": "As in the object: `v1`, `batch/v1`",
        "kind": "As in the object",
        "namespace": "Empty for cluster-scoped objects",
        "name": "As in the object",
        "uid": "Tells two objects of one name apart. Empty where an Event does not say it",
        "fieldPath": "The part that is meant: `spec.containers{train}`, `status.conditions{Ready}`",
    },
    SourceObject: {
        "kind": "`Event`, or the kind of the object whose state changed",
        "name": "Its name",
        "uid": "Its uid",
        "total": "The count that the Event showed then, over all of its increments",
    },
    Link: {
        "rel": "How it belongs there",
        "system": "The ML system",
        "run": "The run's id",
        "run_name": "The run's name",
        "step": "The step that the user named",
        "attempt": "The try of the step",
        "run_attempt": "The try of the run",
        "replica": "The member (rank)",
        "pod_uid": "The pod",
        "confidence": "How surely",
        "via": "The rule that linked it",
    },
    shapes.ObjectShape: {
        "cluster": "The cluster's id",
        "apiVersion": "As in the object",
        "kind": "As in the object",
        "namespace": "Empty for cluster-scoped objects",
        "name": "As in the object",
        "uid": "Tells two objects of one name apart",
        "created_at": "The object's `creationTimestamp`",
        "deleted_at": "When its deletion was seen; null while it lives",
        "observed_at": "When this version was received",
        "seq": "The place of this version in the journal",
        "body": "The [kept fields](kinds.md) in the object's own JSON. With `--versions` null in a tombstone",
    },
    shapes.SourceShape: {
        "cluster": "The cluster's id",
        "resource": "The source: `pods`, `jobs.batch`; `namespace/pods` where only that one is recorded",
        "state": "`listing`, `watching`, `blind`, `forbidden`, `absent`, `stopped` or `played`, as last stored",
        "position": "Where it goes on: a resourceVersion, which is opaque; of a recording the frame and its time",
        "last_event_at": "When its newest event was received",
        "lag_seconds": "How long ago the source was last known to be complete. A quiet source is heard of at each "
        "bookmark (60 s), `events` at each re-watch (up to 180 s)",
        "events": "How many of its events are stored",
        "gaps": "The recorded gaps that are not pruned yet",
        "missing_rights": "What a role would have to allow",
        "reason": "Why it is not watching",
        "alive_at": "When it was last known to be complete",
    },
    shapes.GapShape: {
        "from": "Since when it was blind; null where nothing was recorded before",
        "to": "Until when",
        "reason": "One of [these](gaps.md)",
        "loss": "`none` or `possible`",
    },
    shapes.RunShape: {
        "id": "What the system itself calls it, else the uid of its root object",
        "system": "The ML system, as in links",
        "cluster": "The cluster's id",
        "namespace": "That of its root object",
        "name": "What people call it",
        "pipeline": "What it is a run of; empty where nothing says so",
        "queue": "The queue that it waits or waited in",
        "state": "`Pending`, `Running`, `Succeeded`, `Failed`, `Cancelled`, `Preempted`, `Stuck` (waits for an hour "
        "without a change), `Zombie` (said to run, without a living pod), `Unknown`",
        "why": "What it waits for, in the words of its queue or scheduler",
        "created_at": "When its first object was created",
        "started_at": "When its first container or root started",
        "finished_at": "When it ended, in one of the final states",
        "attempts": "How often it was started as a whole",
        "restarts": "What its system counts as restarts, else those of its containers",
        "nodes": "The nodes that one of its pods was put on",
        "labels": "Those of the root, else of its eldest object",
        "steps": "Its steps, or its members where its system has no steps",
        "cause": "What it failed of, waits for or got over, as the last verdict on this state says; a run that failed "
        "or waits without one is judged, the first twenty of a list. Null where nothing is known to have gone wrong",
    },
    shapes.RunCauseShape: {
        "category": "As of a [cause](#cause)",
        "blame": "As of a [cause](#cause)",
        "reason": "As of a [cause](#cause)",
        "id": "As of a [cause](#cause)",
        "title": "As of a [cause](#cause)",
        "confidence": "As of a [verdict](#why-run)",
        "recovered": "Whether the run got over it",
    },
    shapes.StepShape: {
        "name": "As the user, or the system, names it",
        "state": "As of a run, and `Skipped` or `Omitted`",
        "attempts": "How often it was tried",
        "replicas": "How many members it has",
    },
    shapes.PhaseShape: {
        "name": "`queued`, `admitted`, `waiting`, `scheduled`, `pulling`, `initialising`, `running` or `interrupted`; "
        "see [one run](../how-to/runs.md#one-run)",
        "since": "When it began",
        "until": "When it ended; null while it goes on",
        "seconds": "How long it took; null while it goes on",
        "why": "What it waited for, in the words of queue, scheduler or kubelet; of an interruption also what was lost",
    },
    shapes.PodShape: {
        "replica": "The member (rank); empty where its system has none",
        "pod": "The pod's name",
        "uid": "Its uid",
        "node": "The node that it got; empty before",
        "state": "As of a run",
        "why": "What it failed of, or waits for",
        "restarts": "Restarts of its containers",
        "created_at": "When it was created",
        "started_at": "When its first main container started",
        "finished_at": "When it ended or was deleted",
        "phases": "Its own phases",
    },
    shapes.TryShape: {
        "number": "From 1",
        "state": "The worst of its members",
        "restarts": "Restarts of their containers",
        "created_at": "When its first pod was created",
        "started_at": "When its first pod started",
        "finished_at": "When the last one ended; null while one goes on",
        "pods": "Its members, by rank",
    },
    shapes.BranchShape: {
        "name": "As in `steps`",
        "state": "As in `steps`",
        "attempts": "As in `steps`. Pods that never got a node are in the tree, and may be no attempts",
        "replicas": "How many members it has",
        "restarts": "Restarts of the containers of all tries",
        "created_at": "When its first pod was created",
        "started_at": "When its first pod started",
        "finished_at": "When the last one ended; null while one goes on",
        "tries": "Its tries, in order; none for a step without pods",
    },
    shapes.RejectShape: {
        "at": "When it was received",
        "cluster": "The cluster's id",
        "resource": "The source",
        "reason": "Why it could not be recorded",
        "body": "The input, as far as it is text, redacted, its first 4 KiB",
    },
}

MEANINGS[shapes.WholeRunShape] = MEANINGS[shapes.RunShape] | {
    "phases": "Its timed phases as a whole",
    "tree": "Its steps with their tries and pods",
    "events": "With `--events` its events in order of time, as [`events`](#events) has them; else null",
}

MEANINGS |= fleet.MEANINGS | why.MEANINGS | delivering.MEANINGS

_SECTIONS: tuple[tuple[str, type[msgspec.Struct], tuple[type[msgspec.Struct], ...]], ...] = (
    ("events", events.EventShape, (events.RefShape, SourceObject, Link)),
    ("runs", shapes.RunShape, (shapes.StepShape, shapes.RunCauseShape)),
    ("run", shapes.WholeRunShape, (shapes.PhaseShape, shapes.BranchShape, shapes.TryShape, shapes.PodShape)),
    (
        "why RUN",
        why_shapes.WhyShape,
        (
            verdicts.CauseShape,
            verdicts.LinkShape,
            verdicts.AsideShape,
            verdicts.AttemptShape,
            why_shapes.PhaseBeforeShape,
        ),
    ),
    ("why", why_shapes.GroupShape, (why_shapes.WrongShape,)),
    ("why NODE", why_shapes.NodeShape, ()),
    *fleet.SECTIONS,
    ("objects", shapes.ObjectShape, ()),
    ("status", shapes.SourceShape, (shapes.GapShape,)),
    *delivering.SECTIONS,
    ("rejects", shapes.RejectShape, ()),
)
_NAMES = fleet.NAMES | {
    events.RefShape: "reference",
    SourceObject: "source",
    Link: "link",
    shapes.GapShape: "gap",
    shapes.StepShape: "step",
    shapes.PhaseShape: "phase",
    shapes.BranchShape: "branch",
    shapes.TryShape: "try",
    shapes.PodShape: "pod",
    events.EventShape: "events",
    shapes.RunCauseShape: "cause in short",
    verdicts.VerdictShape: "why RUN",
    verdicts.CauseShape: "cause",
    verdicts.LinkShape: "happening",
    verdicts.AsideShape: "aside",
    verdicts.AttemptShape: "attempt",
    why_shapes.PhaseBeforeShape: "phase before",
    why_shapes.WrongShape: "wrong",
}


def write() -> str:
    """The page."""
    parts = []
    for command, struct, inner in _SECTIONS:
        parts.append(f"## {command}\n\n{first_paragraph(struct.__doc__)}\n\n{fields(struct)}")
        parts += [
            f"### {_NAMES[each]}\n\n{first_paragraph(each.__doc__).replace('``', '`')}\n\n{fields(each)}"
            for each in inner
        ]
    return page("JSON output", SOURCE, _INTRO, *parts)


def fields(struct: type[msgspec.Struct]) -> str:
    """The table of a struct. Each field must have a meaning, and each meaning a field."""
    meanings = MEANINGS[struct]
    found = msgspec.structs.fields(struct)
    names = [field.encode_name for field in found]
    if set(names) != set(meanings):
        odd = ", ".join(sorted(set(names) ^ set(meanings)))
        raise LookupError(f"docs/_generate/output.py: {struct.__name__} and its meanings differ in: {odd}")
    return table(
        ("Field", "Type", "Meaning"),
        ((code(field.encode_name), type_words(field.type), meanings[field.encode_name]) for field in found),
    )


def type_words(found: Any) -> str:
    """A type as people say it."""
    simple = {str: "text", int: "number", float: "number", bool: "boolean", msgspec.Raw: "object", type(None): "null"}
    if found in simple:
        return simple[found]
    if isinstance(found, type) and issubclass(found, msgspec.Struct):
        return f"[{_NAMES[found]}](#{_NAMES[found].lower().replace(' ', '-')})"
    origin, inner = get_origin(found), get_args(found)
    if origin in (Union, types.UnionType):
        return " or ".join(map(type_words, inner))
    if origin is Literal:
        return " / ".join(code(word) for word in inner)
    if origin in (list, tuple):
        return f"list of {type_words(inner[0])}"
    if origin is dict:
        return "object"
    raise TypeError(f"docs/_generate/output.py: how is {found} written?")
