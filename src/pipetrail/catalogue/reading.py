"""Reads the files of the catalogue, those of a team over those that come with pipetrail."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pipetrail.catalogue.search import Catalogue
from pipetrail.catalogue.types import Cause, Edge, Entry, Maker, Messages, Recovery

_OURS = Path(__file__).parent / "data"
_FACTS = {
    # What a reason is that has no cause and says no more; with a cause it takes these facts from there.
    "info": {"blame": "none", "retry": "no", "severity": "info"},
    "symptom": {"category": "symptom", "blame": "unknown", "retry": "maybe", "severity": "error"},
}
_PARTS = ("category", "causes", "reasons", "messages", "aliases", "edges", "recoveries", "makers", "victims", "sides")
_EMPTY = "a pattern that matches nothing at all matches every message: write what must be there"

Key = tuple[str, str, str]


class CatalogueError(Exception):
    """Files of a catalogue can't be used; one line for each mistake, with file, entry and remedy."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def load(extra: Path | None = None) -> Catalogue:
    """The catalogue that comes with pipetrail, with the files of a folder over it.

    :raises CatalogueError: with all that is wrong.
    """
    files = sorted(_OURS.glob("*.yaml"))
    if extra is not None:
        if not extra.is_dir():
            raise CatalogueError([f"{extra}: is no folder: name one that holds files such as team.yaml"])
        found = sorted([*extra.glob("*.yaml"), *extra.glob("*.yml")])
        if not found:
            raise CatalogueError([f"{extra}: holds no file: the names of catalogue files end in .yaml"])
        files += found
    reading = _Reading()
    for path in files:
        reading.read(path)
    return reading.done()


class _Reading:
    """What was read so far, file over file."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.causes: dict[str, dict[str, Any]] = {}
        self.entries: dict[Key, dict[str, Any]] = {}
        self.places: dict[str, str] = {}  # the file in which a cause or reason was found last
        self.messages: list[tuple[str, Messages]] = []
        self.theirs: list[tuple[str, Messages]] = []
        self.aliases: dict[str, str] = {}
        self.edges: list[tuple[str, Edge]] = []
        self.recoveries: list[Recovery] = []
        self.makers: dict[str, list[Maker]] = {}
        self.victims: list[str] = []
        self.sides: list[str] = []

    def read(self, path: Path) -> None:
        """Take in one file."""
        where = path.name if path.parent == _OURS else str(path)
        try:
            found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        except (OSError, UnicodeDecodeError) as error:
            self.errors.append(f"{where}: can't be read: {getattr(error, 'strerror', None) or error}")
            return
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            said = getattr(error, "problem", None) or str(error).partition("\n")[0]
            self.errors.append(f"{where}{line}: no YAML: {said}; put a text that holds ': ' or begins with < in quotes")
            return
        if not isinstance(found, dict) or (unknown := set(found) - set(_PARTS)):
            what = f"{', '.join(map(str, unknown))}: unknown" if isinstance(found, dict) else "a mapping is expected"
            self.errors.append(f"{where}: {what}; the parts of a file are {', '.join(_PARTS)}")
            return
        self._causes(where, found.get("causes"), found.get("category"))
        self._reasons(where, found.get("reasons"))
        ours = self.messages if path.parent == _OURS else self.theirs
        ours += [(where, group) for group in self._list(where, "messages", found, Messages)]
        self.edges += [(where, edge) for edge in self._list(where, "edges", found, Edge)]
        self.recoveries += self._list(where, "recoveries", found, Recovery)
        self.victims += self._list(where, "victims", found, str)
        self.sides += self._list(where, "sides", found, str)
        self.aliases |= self._part(where, "aliases", found, dict[str, str]) or {}
        self.makers |= self._part(where, "makers", found, dict[str, list[Maker]]) or {}

    def _causes(self, where: str, found: Any, category: Any) -> None:
        for name, fields in self._items(f"{where}: causes", found):
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                self.errors.append(f"{where}: causes.{name}: an id has lower case letters, digits and _ only")
                continue
            defaults = {} if name in self.causes or category is None else {"category": category}
            self.causes[name] = {**self.causes.get(name, {}), **defaults, **fields, "id": name}
            self.places[name] = where

    def _reasons(self, where: str, found: Any) -> None:
        for component, kinds in self._items(f"{where}: reasons", found):
            for kind, reasons in self._items(f"{where}: reasons.{component}", kinds):
                for reason, fields in self._items(f"{where}: reasons.{component}.{kind}", reasons):
                    if "type" in fields:
                        said = fields.pop("type")
                        fields["types"] = said if isinstance(said, list) else [said]
                    key = (reason, component, kind)
                    known = self.entries.get(key, {})
                    self.entries[key] = {**known, **fields, "reason": reason, "component": component, "kind": kind}
                    self.places["/".join(key)] = where

    def _items(self, where: str, found: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The entries of a mapping whose values are mappings."""
        if found is None:
            return
        if not isinstance(found, dict):
            self.errors.append(f"{where}: a mapping is expected, by name")
            return
        for name, fields in found.items():
            if not isinstance(name, str) or not isinstance(fields, dict):
                self.errors.append(f"{where}.{name}: a mapping is expected (quote a name that is a number or yes)")
                continue
            if isinstance(fields.get("retry"), bool):  # what YAML makes of yes and no
                fields["retry"] = "yes" if fields["retry"] else "no"
            yield name, fields

    def _list(self, where: str, part: str, found: dict[str, Any], kind: type[Any]) -> list[Any]:
        """The items of a part that is a list; a mistake in one is told with its number and what it begins with."""
        items = found.get(part)
        if items is None:
            return []
        if not isinstance(items, list):
            self.errors.append(f"{where}: {part}: a list is expected: begin each entry with '- '")
            return []
        good = []
        for number, item in enumerate(items):
            try:
                good.append(msgspec.convert(item, kind))
            except msgspec.ValidationError as error:
                self.errors.append(f"{where}: {part}[{number}]: {_remedy(error)}")
        return good

    def _part(self, where: str, part: str, found: dict[str, Any], kind: Any) -> Any:
        try:
            return msgspec.convert(found[part], kind) if part in found else None
        except msgspec.ValidationError as error:
            self.errors.append(f"{where}: {part}: {_remedy(error)}")
            return None

    def done(self) -> Catalogue:
        """The catalogue, if nothing is wrong."""
        causes: dict[str, Cause] = {}
        for name, fields in self.causes.items():
            try:
                causes[name] = msgspec.convert(fields, Cause)
            except msgspec.ValidationError as error:
                self.errors.append(f"{self.places[name]}: causes.{name}: {_remedy(error)}")
        entries = [entry for key, fields in self.entries.items() if (entry := self._entry(key, fields, causes))]
        self._check(causes, entries)
        if self.errors:
            raise CatalogueError(self.errors)
        return Catalogue(
            causes,
            entries,
            [group for _, group in self.theirs + self.messages],
            aliases=self.aliases,
            edges=[edge for _, edge in self.edges],
            recoveries=self.recoveries,
            makers=self.makers,
            victims=self.victims,
            sides=self.sides,
        )

    def _entry(self, key: Key, fields: dict[str, Any], causes: Mapping[str, Cause]) -> Entry | None:
        where = f"{self.places['/'.join(key)]}: reasons.{key[1]}.{key[2]}.{key[0]}"
        facts: dict[str, Any]
        if name := fields.get("cause"):
            name = str(name)
            cause = causes.get(name)
            if cause is None:
                if name not in self.causes:
                    self.errors.append(f"{where}: no cause {name!r}: add it under causes, or correct the name")
                return None
            facts = {
                "category": cause.category,
                "blame": cause.blame,
                "retry": cause.retry,
                "severity": cause.severity,
                "role": cause.role,
                "says": cause.title,
            }
        else:
            role = str(fields.get("role", "info"))
            facts = {"role": role, **_FACTS.get(role, {})}
        try:
            return msgspec.convert({**facts, **fields}, Entry)
        except msgspec.ValidationError as error:
            self.errors.append(f"{where}: {_remedy(error)}")
            return None

    def _check(self, causes: Mapping[str, Cause], entries: list[Entry]) -> None:
        """Names that lead nowhere, and patterns that can't be used."""
        known = {*self.causes, *(entry.reason for entry in entries), *_SEEN}
        known |= {f"category:{cause.category}" for cause in causes.values()}
        for where, group in self.theirs + self.messages:
            for row in group.rows:
                place = f"{where}: messages for {group.reasons[0]}: {row.cause}"
                for name in (row.cause, *row.also):
                    if name not in self.causes:
                        self.errors.append(f"{place}: no cause {name!r}: add it under causes, or correct the name")
                if not row.has and not row.match:
                    self.errors.append(f"{place}: neither has nor match: say how to recognise it")
        for where, group in self.theirs:  # ours are compiled by the tests, and here when they are needed
            for what, pattern in [(group.reasons[0], group.fields), *((row.cause, row.match) for row in group.rows)]:
                problem = _problem(pattern)
                if problem:
                    self.errors.append(f"{where}: messages for {group.reasons[0]}: {what}: {problem}")
        for where, edge in self.edges:
            for name in {*edge.explains, *edge.effects} - known:
                self.errors.append(f"{where}: edges: {name!r} is no cause, reason or category: correct it")
        named = [*self.victims, *(maker.cause for makers in self.makers.values() for maker in makers)]
        self.errors += [
            f"makers or victims: no cause {name!r}: correct it" for name in named if name not in self.causes
        ]


_SEEN = ("Deleting", "Ready")  # facts of the recorder's own, which no component says


def _problem(pattern: str) -> str:
    """Why a pattern can't be used, or nothing."""
    if not pattern:
        return ""
    try:
        return _EMPTY if re.compile(pattern, re.IGNORECASE).search("") else ""
    except (re.error, RecursionError, OverflowError) as error:
        return f"no pattern: {error}; see https://docs.python.org/3/library/re.html"


def _remedy(error: msgspec.ValidationError) -> str:
    """What is wrong, in the words of the file."""
    said = str(error).replace("Object", "the entry").replace("`$.", "`").replace(" - at `$`", "")
    return f"{said}; see the files of pipetrail's own catalogue for the form"
