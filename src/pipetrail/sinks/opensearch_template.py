"""What of the documents can be searched: one mapping, closed, so that no label or message can ever change it.

A mapping that grows with what it sees ends in conflicts (a label ``app`` and a label ``app.kubernetes.io/name`` want
to be text and object at once) or in thousands of fields. Here a field that is not listed stays in the document,
unchanged, and is just not searched.
"""

from typing import Any, Literal

import msgspec

VERSION = 1
"""Of the templates: a server's older ones are replaced. Raise it with each change of what is below."""

Type = Literal["boolean", "date", "double", "keyword", "long", "text", "flat"]
Flat = Literal["flat_object", "flattened", "object"]
"""How a server keeps labels searchable without a field for each; ``object``: it can't, and only stores them."""

_PRIORITY = 200
_LONGEST = 1024  # characters; a longer word is stored but not searched, as a term has at most 32,766 bytes


class Field(msgspec.Struct, frozen=True):
    """One field that can be searched: its name, its type, and what is in it. ``ecs``: the name is one of ECS."""

    name: str
    type: Type
    meaning: str
    ecs: bool = False


_COMMON = (
    Field("event.kind", "keyword", "`event`; `alert` for a verdict; `state` for a run's change of state", True),
    Field("event.reason", "keyword", "the reason, such as `OOMKilled`; of a run its state", True),
    Field("event.sequence", "long", "the place in the journal; orders what has the same time", True),
    Field("event.module", "keyword", "`pipetrail`", True),
    Field("event.dataset", "keyword", "`pipetrail.` and the origin", True),
    Field("orchestrator.type", "keyword", "`kubernetes`", True),
    Field("orchestrator.cluster.name", "keyword", "the cluster", True),
    Field("orchestrator.namespace", "keyword", "the namespace", True),
    Field("labels", "flat", "the run's labels that name an owner or a team, unchanged", True),
    Field("pipetrail.run.id", "keyword", "the run's id"),
    Field("pipetrail.run.name", "keyword", "the run's name"),
    Field("pipetrail.run.system", "keyword", "what runs it, such as `argo` or `job`"),
    Field("pipetrail.run.pipeline", "keyword", "its pipeline"),
    Field("pipetrail.run.state", "keyword", "its state, of an event when it was read"),
    Field("pipetrail.cause", "keyword", "the cause that its verdict names"),
    Field("pipetrail.category", "keyword", "the cause's category"),
    Field("pipetrail.blame", "keyword", "whose turn it is"),
)

EVENT_FIELDS = (
    Field("@timestamp", "date", "when it happened", True),
    Field("message", "text", "the message", True),
    Field("event.id", "keyword", "the event's id, the same in every sink; the document's `_id`, too", True),
    Field("event.action", "keyword", "the action", True),
    Field("event.severity", "long", "9 for info, 13 for warning, 17 for error, as in OpenTelemetry", True),
    Field("event.created", "date", "when pipetrail saw it", True),
    Field("event.provider", "keyword", "who told it, such as `kubelet`", True),
    Field("log.level", "keyword", "`info`, `warning`, `error`", True),
    Field("orchestrator.api_version", "keyword", "the API version of the object that it is about", True),
    Field("orchestrator.resource.type", "keyword", "its kind", True),
    Field("orchestrator.resource.name", "keyword", "its name", True),
    Field("orchestrator.resource.id", "keyword", "its uid", True),
    Field("kubernetes.namespace", "keyword", "the namespace, as Elastic's agents call it"),
    Field("kubernetes.node.name", "keyword", "the node"),
    Field("kubernetes.pod.name", "keyword", "the pod, where it is about one"),
    Field("kubernetes.pod.uid", "keyword", "its uid"),
    Field("kubernetes.container.name", "keyword", "the container, where it is about one"),
    *_COMMON,
    Field("pipetrail.origin", "keyword", "`kubernetes`, `status`, `gap`, `verdict` or `run`"),
    Field("pipetrail.type", "keyword", "`Normal` or `Warning`, where Kubernetes says it"),
    Field("pipetrail.count", "long", "how many occurrences this one adds"),
    Field("pipetrail.revision", "long", "raised when better links were found; the document's version, too"),
    Field("pipetrail.at_estimated", "boolean", "there was no time in the source"),
    Field("pipetrail.field_path", "keyword", "the part of the object that is meant"),
    Field("pipetrail.run.step", "keyword", "the step of the run"),
    Field("pipetrail.run.attempt", "long", "the attempt of the step"),
    Field("pipetrail.related.kind", "keyword", "the kind of the object that it has to do with, too"),
    Field("pipetrail.related.name", "keyword", "its name"),
    Field("pipetrail.related.namespace", "keyword", "its namespace"),
    Field("pipetrail.related.uid", "keyword", "its uid"),
    Field("pipetrail.source.kind", "keyword", "the kind of the object that it was read from"),
    Field("pipetrail.source.name", "keyword", "its name"),
    Field("pipetrail.source.uid", "keyword", "its uid"),
    Field("pipetrail.links.rel", "keyword", "`subject`, `affected` or `cause`, of each link to a run"),
    Field("pipetrail.links.system", "keyword", "the run's system"),
    Field("pipetrail.links.run", "keyword", "the run's id"),
    Field("pipetrail.links.run_name", "keyword", "the run's name"),
    Field("pipetrail.links.step", "keyword", "the step"),
    Field("pipetrail.links.confidence", "keyword", "`exact`, `strong` or `weak`"),
    Field("pipetrail.links.via", "keyword", "the rule that found it"),
    Field("pipetrail.marks", "flat", "labels and annotations of the Event itself, unchanged"),
    Field("pipetrail.verdict.title", "text", "the verdict in a few words"),
    Field("pipetrail.verdict.summary", "text", "in a sentence"),
    Field("pipetrail.verdict.remedy", "text", "what to do"),
    Field("pipetrail.verdict.confidence", "keyword", "how sure it is"),
    Field("pipetrail.supersedes", "keyword", "the event that this one replaces"),
)

RUN_FIELDS = (
    Field("@timestamp", "date", "since when it is in its state", True),
    *_COMMON,
    Field("pipetrail.queue", "keyword", "its queue"),
    Field("pipetrail.created", "date", "when it was made"),
    Field("pipetrail.started", "date", "when it began to run"),
    Field("pipetrail.finished", "date", "when it was over"),
    Field("pipetrail.seconds", "double", "from its beginning to its end"),
    Field("pipetrail.attempts", "long", "how often it was tried"),
    Field("pipetrail.restarts", "long", "restarts of its containers"),
    Field("pipetrail.preemptions", "long", "how often others took its place"),
    Field("pipetrail.evictions", "long", "how often its pods were evicted"),
    *(
        Field(f"pipetrail.phases.{name}", "double", f"how many seconds it was {words}")
        for name, words in (  # those of pipetrail.analysis.phases
            ("queued", "in its queue"),
            ("admitted", "let in and without a node"),
            ("waiting", "without a node, and in no queue"),
            ("scheduled", "on a node, before anything of it happened"),
            ("pulling", "pulling images"),
            ("initialising", "in init containers"),
            ("running", "running"),
            ("interrupted", "interrupted"),
        )
    ),
)


def template(
    pattern: str, fields: tuple[Field, ...], flat: Flat, shards: int, replicas: int, version: int = VERSION
) -> dict[str, Any]:
    """The body of ``PUT /_index_template/NAME``: for the indices of that pattern, with that many shards and copies."""
    return {
        "index_patterns": [pattern],
        "priority": _PRIORITY,
        "version": version,
        "_meta": {"description": "Written by pipetrail; it is written anew when a newer pipetrail starts."},
        "template": {
            "settings": {"index": {"number_of_shards": str(shards), "number_of_replicas": str(replicas)}},
            "mappings": {"dynamic": False, "properties": _properties(fields, flat)},
        },
    }


def _properties(fields: tuple[Field, ...], flat: Flat) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields:
        place = found
        *parents, name = field.name.split(".")
        for parent in parents:
            place = place.setdefault(parent, {"properties": {}})["properties"]
        place[name] = _mapped(field.type, flat)
    return found


def _mapped(type_: Type, flat: Flat) -> dict[str, Any]:
    if type_ == "keyword":
        return {"type": "keyword", "ignore_above": _LONGEST}
    if type_ != "flat":
        return {"type": type_}
    if flat == "object":
        return {"type": "object", "enabled": False}
    return {"type": flat, "ignore_above": _LONGEST} if flat == "flattened" else {"type": flat}
