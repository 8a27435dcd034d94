"""What the scripted API server remembers: kinds, objects in all their versions, and one integer revision over all.

Like etcd it is multi-versioned: a list of an older revision, a watch from an older revision and a restored backup all
read the same versions. Nothing is ever thrown away; compaction is only a number below which requests are refused.
"""

import bisect
import copy
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from pipetrail.testing.apiserver_wire import Object, encode

Key = tuple[str, str]
"""Namespace ("" for cluster-wide kinds) and name."""

ChangeKind = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True)
class Resource:
    """One served kind. ``key`` names it for tests: ``pods``, ``jobs.batch``, ``workflows.argoproj.io``."""

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True
    custom: bool = False

    @property
    def key(self) -> str:
        """The name of the kind in tests, and of its CustomResourceDefinition."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def cached(self) -> bool:
        """False for events: they bypass the real server's watch cache, hence no bookmarks and early 410s."""
        return not (self.plural == "events" and self.group in ("", "events.k8s.io"))

    def api_version(self, version: str) -> str:
        """Give ``group/version``, or the version alone for the core group."""
        return f"{self.group}/{version}" if self.group else version


class Change(NamedTuple):
    """One write: what a watch after an older revision would be told."""

    revision: int
    kind: ChangeKind
    resource: str
    namespace: str
    document: Object


class Row(NamedTuple):
    """One object of a list; ``position`` is where a continue token that follows it would start."""

    position: "Position"
    document: Object | bytes


Position = int | tuple[str, str]
"""A place in a list: the number of a generated object, or the key of a stored one (these come after)."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """Many objects that exist in lists only and cost no memory: never watched, changed or deleted.

    In the strings of ``template``, ``{n}`` becomes the number (seven digits) and ``{uid}`` a uid of that number.
    """

    resource: str
    count: int
    template: Object


def _version_rank(version: str) -> tuple[int, int, int]:
    """Order versions as the API server does: v2 before v1 before v1beta1 before v1alpha1 before odd names."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not found:
        return (0, 0, 0)
    stage = {None: 3, "beta": 2, "alpha": 1}[found[2]]
    return (stage, int(found[1]), int(found[3] or 0))


def by_preference(versions: Iterable[str]) -> tuple[str, ...]:
    """Give the versions without repetition, the preferred one first."""
    return tuple(sorted(set(versions), key=_version_rank, reverse=True))


BUILT_IN = (
    *(
        Resource("", ("v1",), kind, plural, namespaced)
        for kind, plural, namespaced in (
            ("Event", "events", True),
            ("Pod", "pods", True),
            ("Node", "nodes", False),
            ("PersistentVolumeClaim", "persistentvolumeclaims", True),
            ("Namespace", "namespaces", False),
        )
    ),
    *(Resource("batch", ("v1",), kind, plural) for kind, plural in (("Job", "jobs"), ("CronJob", "cronjobs"))),
    *(
        Resource("apps", ("v1",), kind, plural)
        for kind, plural in (
            ("ReplicaSet", "replicasets"),
            ("Deployment", "deployments"),
            ("StatefulSet", "statefulsets"),
            ("DaemonSet", "daemonsets"),
        )
    ),
    Resource("apiextensions.k8s.io", ("v1",), "CustomResourceDefinition", "customresourcedefinitions", False),
)


@dataclass
class Store:
    """The cluster's state.

    ``now`` gives the time stamp of a new object; ``version_prefix`` makes versions non-numeric.
    """

    now: Callable[[], str]
    revision: int = 1000
    version_prefix: str = ""
    compacted: int = 0
    cache_floor: int = 0
    log: list[Change] = field(default_factory=list)
    listeners: set[Callable[[], None]] = field(default_factory=set)
    _resources: dict[str, Resource] = field(default_factory=lambda: {kind.key: kind for kind in BUILT_IN})
    _versions: dict[str, dict[Key, list[tuple[int, Object | None]]]] = field(default_factory=dict)
    _generated: dict[str, tuple[int, str, list[bytes]]] = field(default_factory=dict)

    # Kinds

    def resources(self) -> tuple[Resource, ...]:
        """Give all kinds that are served now."""
        return tuple(self._resources.values())

    def find(self, group: str, plural: str) -> Resource | None:
        """Give the kind with this group and plural, or None."""
        return self._resources.get(f"{plural}.{group}" if group else plural)

    def named(self, name: str) -> Resource:
        """Give the kind that a test calls ``name``: its key, or the plural alone if just one kind has it."""
        if name in self._resources:
            return self._resources[name]
        fits = [kind for kind in self._resources.values() if kind.plural == name]
        if len(fits) != 1:
            known = ", ".join(sorted(self._resources))
            raise LookupError(f"{name!r} names {len(fits)} kinds of the scripted server (it has: {known})")
        return fits[0]

    def add_kind(self, kind: Resource) -> None:
        """Serve a custom kind from now on, or one more version of it; its CustomResourceDefinition appears too."""
        known = self._resources.get(kind.key)
        if known is not None:
            kind = replace(known, versions=by_preference(known.versions + kind.versions))
        self._resources[kind.key] = kind
        self.put("customresourcedefinitions", _definition(kind))

    def remove_kind(self, name: str) -> None:
        """Delete all objects of a custom kind, then the kind: open watches are told of the objects, and end."""
        kind = self.named(name)
        for namespace, object_name in [key for key, _ in self._rows_at(kind, self.revision)]:
            self.delete(kind.key, namespace, object_name)
        del self._resources[kind.key]
        self.delete("customresourcedefinitions", "", kind.key)

    # Writing

    def put(self, name: str, document: Object) -> Object:
        """Create or update an object and give it back as stored: with namespace, uid, creation time and version.

        An object of the same name but another uid is deleted first, as a recreated one would be.
        """
        kind = self.named(name)
        metadata = dict(document.get("metadata", {}))
        key = (metadata.setdefault("namespace", "default") if kind.namespaced else "", metadata["name"])
        old = self.get(kind, *key)
        if old is not None and metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            self.delete(kind.key, *key)
            old = None
        self.revision += 1
        if old is not None:
            metadata = {name: old["metadata"][name] for name in ("uid", "creationTimestamp")} | metadata
        metadata.setdefault("uid", str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind.key}/{key[0]}/{key[1]}/{self.revision}")))
        metadata.setdefault("creationTimestamp", self.now())
        stored = copy.deepcopy(document) | {"metadata": metadata | {"resourceVersion": self.version(self.revision)}}
        self._record(kind, key, "ADDED" if old is None else "MODIFIED", stored)
        return copy.deepcopy(stored)

    def delete(self, name: str, namespace: str, object_name: str) -> None:
        """Delete an object; its last state, at the version of the deletion, goes to the watches."""
        kind = self.named(name)
        key = (namespace if kind.namespaced else "", object_name)
        old = self.get(kind, *key)
        if old is None:
            raise LookupError(f"the scripted server has no {kind.key} {namespace}/{object_name} to delete")
        self.revision += 1
        last = old | {"metadata": old["metadata"] | {"resourceVersion": self.version(self.revision)}}
        self._record(kind, key, "DELETED", last)

    def generate(self, many: Generated) -> None:
        """Add generated objects to the lists of a kind."""
        kind = self.named(many.resource)
        metadata = {"name": "generated-{n}", "uid": "{uid}", "creationTimestamp": self.now()}
        metadata |= many.template.get("metadata", {}) | {"resourceVersion": self.version(self.revision)}
        namespace = metadata.setdefault("namespace", "default") if kind.namespaced else ""
        text = encode(many.template | {"metadata": metadata})
        # Cut once at the placeholders, so that a million objects are a million joins.
        self._generated[kind.key] = (many.count, namespace, re.split(rb"(\{n\}|\{uid\})", text))

    def compact(self, *, caches: bool = False) -> None:
        """Refuse older versions from now on; ``caches`` makes cached kinds (all but events) forget theirs as well."""
        self.compacted = self.revision
        if caches:
            self.cache_floor = self.revision

    def restore(self, revision: int) -> None:
        """Go back to an earlier revision, as after a restore from backup: later writes are undone and forgotten."""
        if not 0 < revision <= self.revision:
            raise ValueError(f"cannot restore revision {revision}: the scripted server is at {self.revision}")
        for objects in self._versions.values():
            for key, versions in list(objects.items()):
                kept = [version for version in versions if version[0] <= revision]
                if kept:
                    objects[key] = kept
                else:
                    del objects[key]
        self.log = [change for change in self.log if change.revision <= revision]
        self.revision = revision
        self.compacted, self.cache_floor = min(self.compacted, revision), min(self.cache_floor, revision)

    # Reading

    def version(self, revision: int) -> str:
        """Give a revision as the resourceVersion that clients see."""
        return f"{self.version_prefix}{revision}"

    def parse_version(self, text: str) -> int:
        """Give the revision of a resourceVersion ("" and "0" are 0); ValueError if it is none of this server's."""
        if text in ("", "0"):
            return 0
        digits = text.removeprefix(self.version_prefix)
        if not text.startswith(self.version_prefix) or not (digits.isascii() and digits.isdigit()):
            raise ValueError(text)
        return int(digits)

    def get(self, kind: Resource, namespace: str, name: str) -> Object | None:
        """Give the present state of an object, or None."""
        versions = self._versions.get(kind.key, {}).get((namespace, name))
        return versions[-1][1] if versions else None

    def rows(self, kind: Resource, revision: int, namespace: str, start: Position | None) -> Iterator[Row]:
        """Give the objects as of a revision, in order, from ``start`` on; ``namespace`` "" means all."""
        count, home, parts = self._generated.get(kind.key, (0, "", []))
        if namespace in ("", home) and not isinstance(start, tuple):
            for number in range(start or 0, count):
                yield Row(number, b"".join(_filled(part, number) for part in parts))
        first = start if isinstance(start, tuple) else ("", "")
        for key, document in self._rows_at(kind, revision):
            if key >= first and namespace in ("", key[0]):
                yield Row(key, document)

    def count(self, kind: Resource, revision: int, namespace: str) -> int:
        """Count the objects that ``rows`` would give from the start."""
        generated, home, _ = self._generated.get(kind.key, (0, "", []))
        stored = sum(namespace in ("", key[0]) for key, _ in self._rows_at(kind, revision))
        return stored + (generated if namespace in ("", home) else 0)

    def log_index(self, revision: int) -> int:
        """Give the index in ``log`` of the first change after a revision."""
        return bisect.bisect_right(self.log, revision, key=lambda change: change.revision)

    def _rows_at(self, kind: Resource, revision: int) -> Iterator[tuple[Key, Object]]:
        for key, versions in sorted(self._versions.get(kind.key, {}).items(), key=lambda item: item[0]):
            last = bisect.bisect_right(versions, revision, key=lambda version: version[0])
            document = versions[last - 1][1] if last else None
            if document is not None:
                yield key, document

    def _record(self, kind: Resource, key: Key, change: ChangeKind, document: Object) -> None:
        kept = None if change == "DELETED" else document
        self._versions.setdefault(kind.key, {}).setdefault(key, []).append((self.revision, kept))
        self.log.append(Change(self.revision, change, kind.key, key[0], document))
        for notify in tuple(self.listeners):
            notify()


def _filled(part: bytes, number: int) -> bytes:
    if part == b"{n}":
        return b"%07d" % number
    return b"00000000-0000-4000-8000-%012d" % number if part == b"{uid}" else part


def _definition(kind: Resource) -> Object:
    """Give the CustomResourceDefinition of a custom kind, as far as a reader of kinds looks at it."""
    names = {"plural": kind.plural, "singular": kind.kind.lower(), "kind": kind.kind, "listKind": f"{kind.kind}List"}
    return {
        "metadata": {"name": kind.key},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [
                {"name": version, "served": True, "storage": version == kind.versions[0]} for version in kind.versions
            ],
        },
        "status": {"acceptedNames": names, "conditions": [{"type": "Established", "status": "True"}]},
    }
