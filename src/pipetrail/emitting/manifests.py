"""Drafts into the JSON of the two Event APIs, and Events that users wrote themselves into something checked."""

import re
import time
from collections.abc import Mapping
from typing import Any

from pipetrail.emitting import checks
from pipetrail.emitting.checks import InvalidEvent
from pipetrail.emitting.draft import CORE, EVENTS, HOME_OF_THE_CLUSTER, Api, Draft, Object
from pipetrail.marks import RUN, STEP

_MICRO_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)"


def micro_time(micros: int) -> str:
    """A time as the API server wants a MicroTime: exactly six digits after the point."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:06d}Z"


def manifest(draft: Draft, api: Api, *, name: str, at: int) -> dict[str, Any]:
    """The Event as an API takes it.

    :param name: of the Event object.
    :param at: when it happened, microseconds since 1970.
    """
    about = draft.about
    reference = {
        "apiVersion": about.api_version,
        "kind": about.kind,
        "namespace": about.namespace,
        "name": about.name,
        "uid": about.uid,
        "fieldPath": about.field_path,
    }
    found: dict[str, Any] = {
        "apiVersion": "v1" if api == CORE else EVENTS,
        "kind": "Event",
        "metadata": {"name": name, "namespace": draft.home, **marks(draft)},
        "type": draft.type,
        "reason": draft.reason,
        "action": draft.action or draft.reason,
        "eventTime": micro_time(at),
        "reportingInstance": draft.instance,
    }
    reference = {key: value for key, value in reference.items() if value}
    if api == CORE:
        found |= {
            "involvedObject": reference,
            "message": draft.message,
            "reportingComponent": draft.reporter,
            "source": {"component": draft.reporter},
        }
    else:
        found |= {"regarding": reference, "note": draft.message, "reportingController": draft.reporter}
    return found


def series(count: int, last: int) -> dict[str, Any]:
    """The part of an Event that says that it happened ``count`` times, the last time at ``last`` (microseconds)."""
    return {"series": {"count": count, "lastObservedTime": micro_time(last)}}


def marks(draft: Draft) -> dict[str, dict[str, str]]:
    """Labels and annotations: the user's own, and run and step; a value that fits no label is an annotation only."""
    named = {key: value for key, value in ((RUN, draft.run), (STEP, draft.step)) if value}
    labels = dict(draft.labels) | {key: value for key, value in named.items() if checks.fits_label(value)}
    annotations = dict(draft.annotations) | named
    return {key: value for key, value in (("labels", labels), ("annotations", annotations)) if value}


def checked(found: object) -> tuple[Api, dict[str, Any]]:
    """An Event that a user wrote, of either API, if the API server would take it; and the API.

    :raises InvalidEvent: naming the field that is wrong.
    """
    if not isinstance(found, Mapping):
        raise InvalidEvent("document", "it is no Kubernetes object: it has no apiVersion and kind")
    version, kind = found.get("apiVersion"), found.get("kind")
    if kind != "Event" or version not in ("v1", EVENTS):
        raise InvalidEvent(
            "apiVersion" if kind == "Event" else "kind",
            f"it is {kind or 'nothing'} of {version or 'no API'}; an Event of v1 or {EVENTS} is wanted",
        )
    core = version == "v1"
    metadata = found.get("metadata")
    if not isinstance(metadata, Mapping):
        raise InvalidEvent("metadata", "it is missing; it has the name and the namespace")
    reference = found.get("involvedObject" if core else "regarding")
    if not isinstance(reference, Mapping):
        raise InvalidEvent("involvedObject" if core else "regarding", "it is missing; it says what the Event is about")
    source = found.get("source") if core else None
    reporter = found.get("reportingComponent" if core else "reportingController")
    if core and not reporter:
        reporter = source.get("component") if isinstance(source, Mapping) else None
    renamed = {
        "message": "message" if core else "note",
        "reporter": "reportingComponent" if core else "reportingController",
        "instance": "reportingInstance",
    }
    known = {"apiVersion", "kind", "namespace", "name", "uid", "fieldPath"}
    try:
        if not core or found.get("eventTime"):
            _check_new(found, core=core)
        about = Object.meant({key: value for key, value in reference.items() if key in known})
        Draft(
            about=about,
            reason=_text(found, "reason"),
            message=_text(found, renamed["message"]),
            type=_text(found, "type") or "Normal",
            action=_text(found, "action"),
            reporter=reporter if isinstance(reporter, str) and reporter else "unknown",
            instance=_text(found, "reportingInstance") or "unknown",
            namespace=_text(metadata, "namespace") or about.namespace,
            labels=metadata.get("labels") or {},
            annotations=metadata.get("annotations") or {},
        ).check()
        if metadata.get("name") is not None or metadata.get("generateName") is None:
            checks.subdomain("metadata.name", metadata.get("name") or "")
    except InvalidEvent as error:
        place = error.argument
        if place.startswith("about"):
            place = ("involvedObject" if core else "regarding") + place.removeprefix("about")
        elif place in ("namespace", "labels", "annotations"):
            place = f"metadata.{place}"
        raise InvalidEvent(renamed.get(place, place), error.problem) from None
    complete = dict(found)
    complete["metadata"] = dict(metadata)
    complete["metadata"]["namespace"] = metadata.get("namespace") or about.namespace or HOME_OF_THE_CLUSTER
    return CORE if core else EVENTS, complete


def _check_new(found: Mapping[str, Any], *, core: bool) -> None:
    """What the newer API wants of an Event beside the rest."""
    for key in ("eventTime", "action", "reportingInstance", "reportingComponent" if core else "reportingController"):
        if not found.get(key):
            raise InvalidEvent(key, "it is missing; the API server wants one")
    if not core and not found.get("type"):
        raise InvalidEvent("type", "it is missing; Normal or Warning")
    from datetime import datetime  # which the SDK never needs

    at = found["eventTime"]
    try:
        if not isinstance(at, str) or not re.fullmatch(_MICRO_TIME, at, re.ASCII):
            raise ValueError
        datetime.fromisoformat(at)
    except ValueError:
        raise InvalidEvent(
            "eventTime",
            f"{checks.shown(at)} is no time with six digits after the point, such as 2026-11-24T03:12:00.000000Z",
        ) from None


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidEvent(key, f"{checks.shown(value)} is no text; put it in quotes")
    return value
