"""Objects and Events in short, for cases written by hand."""

from itertools import count
from typing import Any

from pipetrail.model.times import format_time

START = 1_768_039_200_000_000  # 2026-01-10T10:00:00Z
_numbers = count(1)


def at(seconds: float) -> str:
    """A time, by the seconds since the case began."""
    return format_time(START + int(seconds * 1_000_000))


def thing(kind: str, name: str, second: float = 0, **more: Any) -> dict[str, Any]:
    """An object: ``kind`` is ``group/Kind`` or a core ``Kind``; ``owner`` is another object, ``owners`` several."""
    group, _, bare = kind.rpartition("/")
    uid = more.pop("uid", f"uid-{name}-{bare.lower()}-{second}")
    meta: dict[str, Any] = {"name": name, "uid": uid, "creationTimestamp": at(second)}
    if namespace := more.pop("namespace", "lab"):
        meta["namespace"] = namespace
    owners = more.pop("owners", ())
    owner = more.pop("owner", None)
    references = [reference(one) for one in ([owner] if owner else owners)]
    if owner:
        references[0]["controller"] = True
    if references:
        meta["ownerReferences"] = references
    for field in ("labels", "annotations"):
        if field in more:
            meta[field] = more.pop(field)
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": bare, "metadata": meta, **more}


def reference(owner: dict[str, Any]) -> dict[str, Any]:
    """The owner reference to an object."""
    meta = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}


def fact(about: dict[str, Any], reason: str, second: float, message: str = "", **more: Any) -> dict[str, Any]:
    """An Event about an object; ``uid`` replaces the object's own, "" leaves it out."""
    meta = about["metadata"]
    uid = more.pop("uid", meta["uid"])
    refers = {key: about[key] for key in ("apiVersion", "kind")}
    refers |= {key: meta[key] for key in ("name", "namespace") if key in meta} | ({"uid": uid} if uid else {})
    own = {"name": f"{meta['name']}.{next(_numbers):x}", "namespace": meta.get("namespace", "default")}
    if marks := more.pop("marks", None):
        own["annotations"] = marks
    return {
        "metadata": own,
        "involvedObject": refers,
        "reason": reason,
        "message": message,
        "lastTimestamp": at(second),
        "type": "Normal",
        **more,
    }
