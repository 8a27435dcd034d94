"""What a watch sees as a recording: JSON lines with the time of arrival, cleaned as for the journal."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from pipetrail.kube import keep, wire
from pipetrail.kube.kinds import Resource
from pipetrail.kube.redaction import redact_json
from pipetrail.kube.watch import Changed, Listed, Signal
from pipetrail.model import Micros
from pipetrail.model.times import format_time

_FILES = {"events": "events", "pods": "pods", "jobs.batch": "jobs", "nodes": "nodes"}
_encode = msgspec.json.Encoder().encode
_Watched = tuple[str, str]  # a resource's key, and the namespace or "" for all


def file_name(resource: Resource) -> str:
    """The file of a recording in which the frames of a resource stand."""
    return _FILES.get(resource.key, "workloads") + ".jsonl"


class Capture:
    """Writes the signals of watches into a folder. Times of arrival only rise within a file.

    :raises OSError: when the folder can't be written.
    """

    def __init__(self, folder: Path, now: Callable[[], Micros]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._now = now
        self._files: dict[str, IO[bytes]] = {}
        self._versions: dict[_Watched, dict[str, tuple[str, Any]]] = {}
        self._present: dict[_Watched, set[str]] = {}
        self.frames = 0

    def take(self, resource: Resource, signal: Signal, namespace: str = "") -> None:
        """Write the frames of a signal. A list that follows a break writes only what is new, and what is gone.

        :param namespace: the one that is watched; all if empty.
        """
        watched = (resource.key, namespace)
        match signal:
            case Changed():
                lines = [(frame.type, frame.object, False) for frame in signal.frames]
            case Listed():
                lines = self._from_list(watched, signal)
            case _:
                return
        self._write(resource, watched, lines)

    def _from_list(self, watched: _Watched, page: Listed) -> list[tuple[str, Any, bool]]:
        known = self._versions.setdefault(watched, {})
        if page.first:
            self._present[watched] = set()
        seen = self._present.setdefault(watched, set())
        lines: list[tuple[str, Any, bool]] = []
        for item in page.items:
            uid = item.metadata.uid
            seen.add(uid)
            if uid not in known:
                lines.append(("ADDED", item, page.since is None))
            elif known[uid][0] != item.metadata.resource_version:
                lines.append(("MODIFIED", item, False))
        if page.last and page.whole:
            lines += [("DELETED", known[uid][1], False) for uid in known.keys() - seen]
        return lines

    def _write(self, resource: Resource, watched: _Watched, lines: Sequence[tuple[str, Any, bool]]) -> None:
        if not lines:
            return
        name = file_name(resource)
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = (self.folder / name).open("ab")
        known = self._versions.setdefault(watched, {})
        for type_, item, initial in lines:
            uid = item.metadata.uid
            if type_ == "DELETED":
                known.pop(uid, None)
            else:
                known[uid] = (item.metadata.resource_version, item)
            data = b'{"arrived":"%s","type":"%s",%s"object":%s}\n' % (
                format_time(self._now()).encode(),
                type_.encode(),
                b'"initial":true,' if initial else b"",
                captured(resource, item),
            )
            file.write(data)
            self.frames += 1
        file.flush()

    def close(self) -> None:
        """Bring all to the disk. Safe to call twice."""
        for file in self._files.values():
            if not file.closed:
                file.flush()
                os.fsync(file.fileno())
                file.close()


def captured(resource: Resource, item: Any) -> bytes:
    """The JSON of an object in a recording: what is read of it, cleaned, with its kind and resourceVersion."""
    if isinstance(item, wire.KubeEvent):
        item.metadata.annotations = keep.annotations(item.metadata.annotations)
        # An Event that comes from events.k8s.io has a note instead of a message.
        item.message = keep.redact(item.message) if item.message else item.message
        item.note = keep.redact(item.note) if item.note else item.note
        body: bytes = _encode(item)
        head = b'{"apiVersion":"v1","kind":"Event"'
        return redact_json(head + (b"," + body[1:] if body != b"{}" else b"}"))
    if item.kind in ("", "PartialObjectMetadata"):
        item.kind, item.api_version = resource.kind, resource.api_version
    version = item.metadata.resource_version
    kept = keep.body(keep.clean(item))
    begin, head, rest = kept.partition(b'"metadata":{')
    if not version or not head:
        return kept
    return b'%s%s"resourceVersion":%s%s%s' % (begin, head, _encode(version), b"" if rest[:1] == b"}" else b",", rest)
