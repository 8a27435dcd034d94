"""In-house systems, by the labels, annotations and owners that the configuration names."""

from collections.abc import Mapping
from typing import Any

from pipetrail.analysis.placing import CONFIGURED, TRAINING, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_PARTS = ("run", "step", "pipeline")
_FORM = "`{label: team.example/run-id}`, `{annotation: ...}` or, for the run, `{owner: Kind.group}`"


class Configured:
    """One entry of ``resolvers``.

    A label or annotation value names the run of the object that carries it and of all that it owns; within a namespace
    the same value is the same run. The system stays that of the root. An owner kind is a system of its own.
    """

    system: str
    tier: int
    kinds: frozenset[tuple[str, str]]
    keys: frozenset[str]
    ties: Mapping[str, Tie]

    def __init__(self, entry: Mapping[str, Any]) -> None:
        """:raises ValueError: when the entry does not have the form; the text says what is wrong."""
        unknown = [str(key) for key in entry if key not in ("name", *_PARTS)]
        if unknown:
            raise ValueError(f"{unknown[0]}: unknown; allowed are name, {', '.join(_PARTS)}")
        self.name = entry.get("name", "")
        if not isinstance(self.name, str) or not self.name:
            raise ValueError("name: a name is expected, such as `in-house`")
        if "run" not in entry:
            raise ValueError(f"run: what names a run is expected: {_FORM}")
        self._sources = {part: _source(part, entry[part]) for part in _PARTS if part in entry}
        where, key = self._sources["run"]
        self._is_kind = where == "owner"
        kind, _, group = key.partition(".") if self._is_kind else ("", "", "")
        self.system = self.name if self._is_kind else "pod"
        self.tier = TRAINING if self._is_kind else CONFIGURED
        self.kinds = frozenset({(group, kind)}) if self._is_kind else frozenset()
        self.keys = frozenset(key for where, key in self._sources.values() if where != "owner")
        self.ties = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The run that the value names in its namespace."""
        if self._is_kind:
            return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None
        run = self.part("run", thing)
        where = self._sources["run"][0]
        return Identity(self.system, f"{thing.namespace}/{run}", run, where) if run else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The step, used where the system itself has none."""
        step = self.part("step", thing)
        return Place(step=step) if step else None

    def part(self, part: str, thing: Thing) -> str:
        """The run, step or pipeline that an object names; empty if it does not."""
        where, key = self._sources.get(part, ("", ""))
        if where == "label":
            return thing.labels.get(key, "")
        return thing.annotations.get(key, "") if where == "annotation" else ""


def _source(part: str, found: Any) -> tuple[str, str]:
    allowed = ("label", "annotation", "owner") if part == "run" else ("label", "annotation")
    if not isinstance(found, Mapping) or len(found) != 1:
        raise ValueError(f"{part}: one of {', '.join(allowed)} is expected: {_FORM}")
    where, key = next(iter(found.items()))
    if where not in allowed or not isinstance(key, str) or not key:
        raise ValueError(f"{part}: one of {', '.join(allowed)} is expected: {_FORM}")
    return where, key
