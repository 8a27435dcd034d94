"""Deadlines: whether nothing but the limit itself ended work that ran."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.diagnosis.verdict import Case
from pipetrail.model import Micros
from pipetrail.model.times import SECOND

_SLACK = 60 * SECOND
_LENGTH = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})(?:\.\d{1,9})?s)?")
_TIMEOUTS = ("pipeline", "tasks", "finally")  # of a Tekton PipelineRun
_ERRORS = (msgspec.DecodeError, ValueError, RecursionError)


def used_up(primary: Signal, case: Case, pods: Mapping[str, Life]) -> bool:
    """Whether the work ran for most of the time that it was given, and was ended when that was over.

    The limit must stand in the spec of what says that it has passed, and fit the times; so a deadline that hides a wait
    or a clock that is wrong does not count.
    """
    limit = _limit(case.bodies.get(primary.about.uid))
    lives = [pods[primary.pod]] if primary.pod in pods else list(pods.values())
    started = [time for life in lives for time in life.started if time <= primary.at]
    if not limit or not started or primary.at - min(started) < limit / 2:
        return False
    begins: list[Micros] = [thing.created for thing in case.objects if thing.uid == primary.about.uid]
    begins += [time for time in (case.run.started, min(started)) if time is not None]
    return any(abs(primary.at - begin - limit) <= max(_SLACK, limit // 10) for begin in begins)


def _limit(body: bytes | None) -> Micros:
    """The time that a spec gives; 0 where it gives none."""
    try:
        found: Any = msgspec.json.decode(body) if body else None
    except _ERRORS:
        return 0
    spec = found.get("spec") if isinstance(found, dict) else None
    if not isinstance(spec, dict):
        return 0
    seconds = spec.get("activeDeadlineSeconds")
    if isinstance(seconds, int):
        return seconds * SECOND
    timeouts = spec.get("timeouts")
    texts = [spec.get("timeout"), *(timeouts.get(name) for name in _TIMEOUTS if isinstance(timeouts, dict))]
    return next((length for text in texts if isinstance(text, str) and (length := _length(text))), 0)


def _length(text: str) -> Micros:
    """A duration such as ``1h0m0s``; 0 for what is none."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        return 0
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return (hours * 3600 + minutes * 60 + seconds) * SECOND
