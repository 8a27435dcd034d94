"""The fields of ``why`` in ``output.md``: what they mean."""

import msgspec

from pipetrail.cli import why_shapes
from pipetrail.documents import verdicts

MEANINGS: dict[type[msgspec.Struct], dict[str, str]] = {}

MEANINGS[verdicts.VerdictShape] = {
    "subject": "What was asked for: a run by its name, a step as `run/step`, an object as `namespace/kind/name`",
    "run": "The run's id",
    "state": "How the run stands, as in [`runs`](#runs)",
    "determinable": "Whether what was recorded tells the cause, or that there is none. Where it is false, `cause` is "
    "null and `missing` says why",
    "recovered": "Whether the run got over it",
    "cause": "What went wrong. Null where nothing did, and where it can't be determined",
    "confidence": "`high`, `medium` or `low`. `high` where a run succeeded, goes on or was cancelled without a cause",
    "since": "When the cause was seen first; without one when the run ended, else started, else was created",
    "chain": "From the cause to how the run ended, in order of time; the first is the cause",
    "consequences": "All that followed from the cause: the rest of the chain, and what it did to other members",
    "also_seen": "What else was seen, and why it is not the cause",
    "remedy": "What to do, with object and field",
    "evidence": "The ids of the events that show it",
    "missing": "Which evidence is not there: gaps, missing rights, expired history. It makes the verdict less sure",
    "superseded": "The id of the newer verdict that corrects this one: of an event that carries it, and of the one "
    "that stood at the time of `--at`",
    "system": "The run's ML system",
    "cluster": "The cluster's id",
    "namespace": "The run's namespace",
    "name": "What people call the run",
    "part": "The step or object that was asked for; empty for the whole run",
    "known_until": "Up to when the cluster was known: what is said counts for this time",
    "turn": "The blame in words: whose turn it is",
    "step": "The step that it hit, where one is known",
    "exit_code": "Of the program, where it ended",
    "about": "The object that the cause, or the most that is known, was seen on",
    "summary": "One paragraph to forward",
    "attempts": "What ended each attempt of a run that was tried several times",
}
MEANINGS[verdicts.CauseShape] = {
    "reason": "The word that was recorded: `OOMKilled`, `FailedScheduling`, `exit:1`",
    "sub_cause": "One of [these](causes.md), where the message of the reason told it: `insufficient_gpu`; else null",
    "category": "`app`, `autoscaling`, `cancelled`, `capacity`, `config`, `control-plane`, `deadline`, `eviction`, "
    "`gpu`, `image`, `network`, `node`, `oom`, `policy`, `preemption`, `probe`, `quota`, `scheduling`, `serving`, "
    "`storage`, `workflow` or `unknown`",
    "blame": "`user_code`, `configuration`, `infrastructure`, `capacity`, `policy`, `none` or `unknown`",
    "object": "The object that it was seen on, as `namespace/kind/name` or `kind/name`",
    "at": "When it was seen first",
    "summary": "One sentence",
    "id": "One of [these](causes.md), with or without a message",
    "title": "The cause in a few words",
}
MEANINGS[verdicts.LinkShape] = {
    "object": "The object, as `namespace/kind/name` or `kind/name`",
    "reason": "The word that was recorded",
    "at": "When it was seen first",
    "text": "The same in words",
    "events": "Ids of events",
}
MEANINGS[verdicts.AsideShape] = {
    "object": "The object; empty where it is about several",
    "reason": "The word that was recorded; empty where it is about several",
    "not_because": "Why it is not the cause",
    "text": "What was seen or thought of, in words",
    "ruled_out": "Whether it passed, or was brought about by something else; else it only counts less",
    "events": "Ids of events",
}
MEANINGS[verdicts.AttemptShape] = {
    "number": "From 1",
    "cause": "The `id` of a [cause](#cause)",
    "reason": "As of a [cause](#cause)",
    "category": "As of a [cause](#cause)",
    "object": "As of a [cause](#cause)",
    "at": "When it ended",
    "events": "Ids of events",
}
MEANINGS[why_shapes.WhyShape] = MEANINGS[verdicts.VerdictShape] | {
    "phases_before": "Of a run that waits: how long each phase took in the last 20 runs of its pipeline that are over, "
    "beside its own; else empty",
}
MEANINGS[why_shapes.PhaseBeforeShape] = {
    "phase": "As in [`run`](#run)",
    "runs": "In how many of these runs there was such a phase",
    "median_seconds": "How long it took in half of them, or less",
    "p90_seconds": "How long it took in nine of ten of them, or less",
    "max_seconds": "How long it took in the slowest",
    "now_seconds": "How long this run has been, or was, in it; null where it was not",
}

MEANINGS[why_shapes.GroupShape] = {
    "cause": "A [cause](#cause), of the surest of these verdicts; null where it can't be determined",
    "turn": "Whose turn it is",
    "confidence": "Of the surest",
    "cluster": "The cluster's id",
    "about": "The object that all of them share; null where each has its own",
    "summary": "Of the surest",
    "remedy": "Of the surest",
    "first": "When the cause was seen first",
    "newest": "When the last of the runs ended, or began to wait",
    "count": "How many runs",
    "runs": "These, the newest first",
}
MEANINGS[why_shapes.WrongShape] = {
    "run": "The run's id",
    "system": "Its ML system",
    "namespace": "Its namespace",
    "name": "What people call it",
    "pipeline": "What it is a run of; empty where nothing says so",
    "state": "How it stands",
    "since": "Since when",
    "confidence": "Of its own verdict",
}
MEANINGS[why_shapes.NodeShape] = {
    "subject": "The node as `Node/name`",
    "node": "The node's name",
    "cluster": "The cluster's id",
    "since": "From when on it was looked at: `--since`",
    "events": "What went wrong with it, as [`events`](#events) has it",
    "verdicts": "On the runs that were on it then, and had trouble of any kind: see [`why RUN`](#why-run)",
    "unhurt": "How many of the runs on it had none",
}
