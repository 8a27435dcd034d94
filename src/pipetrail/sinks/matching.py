"""The rules ``match`` and ``drop``: which events a sink is sent.

A rule names fields and what they may be: a text, or a list of texts of which one will do. All fields of a rule must
hold, and one rule of a list is enough. A ``*`` at the beginning or at the end of a text stands for anything.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, get_args

import msgspec

from pipetrail.model import Delivery, Event, Severity
from pipetrail.model.types import Origin
from pipetrail.sinks.settings import Rule

_Values = Callable[[Delivery], Iterable[str]]

STATES = ("Pending", "Running", "Succeeded", "Failed", "Cancelled", "Preempted", "Stuck", "Zombie", "Unknown")
BLAMES = ("infrastructure", "user_code", "configuration", "capacity", "policy", "none", "unknown")


class _Field(msgspec.Struct, frozen=True):
    """Where a field's values are found: the ``one`` that each delivery has, or ``many``, perhaps none.

    Texts of ``allowed`` ones, and those of ``any_case``, match in any case. ``by_run``: what it says depends on the run
    that the event belongs to.
    """

    one: Callable[[Delivery], str] | None = None
    many: _Values = lambda _: ()
    allowed: tuple[str, ...] = ()
    any_case: bool = False
    by_run: bool = False


def _cause(found: Delivery) -> Iterable[str]:
    verdict = found.event.verdict
    if verdict:
        return (str(verdict.get(key) or "") for key in ("cause", "reason", "category"))
    return (found.run.reason, found.run.category) if found.run is not None else ()


def _of_verdict(key: str) -> _Values:
    """What the verdict says, or what the run's verdict said."""

    def values(found: Delivery) -> Iterable[str]:
        verdict = found.event.verdict
        if verdict:
            return (str(verdict.get(key) or ""),)
        return (getattr(found.run, key),) if found.run is not None else ()

    return values


def _of_run(key: str) -> _Values:
    """What is known of how the run stands, or what its verdict says."""

    def values(found: Delivery) -> Iterable[str]:
        if found.run is not None:
            return (getattr(found.run, key),)
        verdict = found.event.verdict
        return (str(verdict.get(key) or ""),) if verdict else ()

    return values


def _runs(found: Delivery) -> Iterable[str]:
    for link in found.event.links:
        yield link.run
        yield link.run_name


_FIELDS: dict[str, _Field] = {
    "cluster": _Field(attrgetter("event.cluster")),
    "namespace": _Field(attrgetter("event.about.namespace")),
    "kind": _Field(attrgetter("event.about.kind"), any_case=True),
    "name": _Field(attrgetter("event.about.name")),
    "uid": _Field(attrgetter("event.about.uid")),
    "reason": _Field(attrgetter("event.reason"), any_case=True),
    "severity": _Field(attrgetter("event.severity"), allowed=get_args(Severity)),
    "origin": _Field(attrgetter("event.origin"), allowed=get_args(Origin)),
    "type": _Field(lambda found: found.event.type or "", allowed=("Normal", "Warning")),
    "node": _Field(attrgetter("event.node")),
    "text": _Field(attrgetter("event.message"), any_case=True),
    "run": _Field(many=_runs, by_run=True),
    "system": _Field(many=lambda found: [link.system for link in found.event.links], by_run=True),
    "pipeline": _Field(many=_of_run("pipeline"), by_run=True),
    "queue": _Field(many=_of_run("queue"), by_run=True),
    "team": _Field(many=lambda found: found.run.labels.values() if found.run is not None else (), by_run=True),
    "state": _Field(many=_of_run("state"), allowed=STATES, by_run=True),
    "cause": _Field(many=_cause, any_case=True, by_run=True),
    "category": _Field(many=_of_verdict("category"), by_run=True),
    "blame": _Field(many=_of_verdict("blame"), allowed=BLAMES, by_run=True),
}

FIELDS: Mapping[str, tuple[str, ...]] = {name: field.allowed for name, field in _FIELDS.items()}
"""What a rule may name, each with the only words that it can be; none: any text."""

_Test = Callable[[str], bool]
_Condition = Callable[[Delivery], bool]


class Filter:
    """Rules, ready to be asked.

    :param clusters: what people call the clusters, by id; a rule may name either. It is read each time.
    :raises ValueError: with all that is wrong in the rules, one line each.
    """

    def __init__(
        self, match: list[Rule] | Rule, drop: list[Rule] | Rule, clusters: Mapping[str, str] | None = None
    ) -> None:
        self._clusters = clusters if clusters is not None else {}
        self.errors = 0
        mistakes = [*_mistakes("match", match), *_mistakes("drop", drop)]
        if mistakes:
            raise ValueError("\n".join(mistakes))
        self._match, self._drop = self._compiled(_listed(match)), self._compiled(_listed(drop))
        self.passes_all = self._match is None and self._drop is None
        self.by_run = any(_FIELDS[name].by_run for rule in (*_listed(match), *_listed(drop)) for name in rule)

    def keeps(self, found: Delivery) -> bool:
        """Whether the sink is to be sent this. Where a rule can't be judged, it is, and ``errors`` counts it."""
        try:
            if self._match is not None and not self._match(found):
                return False
            return self._drop is None or not self._drop(found)
        except Exception:
            self.errors += 1
            return True

    def _compiled(self, rules: list[Rule]) -> _Condition | None:
        """Whether one rule holds; None where there is none."""
        if not rules:
            return None
        return _one([_all([self._condition(name, wanted) for name, wanted in rule.items()]) for rule in rules])

    def _condition(self, name: str, wanted: Any) -> _Condition:
        field = _FIELDS[name]
        texts = [str(each) for each in (wanted if isinstance(wanted, list) else [wanted])]
        if field.allowed:
            canonical = {word.lower(): word for word in field.allowed}
            texts = [canonical[text.lower()] for text in texts]
        elif field.any_case:
            texts = [text.lower() for text in texts]
        test = _words_test(texts) if name == "text" else _any_test(texts)
        one, many = field.one, field.many
        if name == "cluster":
            return lambda found: test(found.event.cluster) or test(self._clusters.get(found.event.cluster, ""))
        if one is not None and field.any_case:
            return lambda found: test(one(found).lower())
        if one is not None:
            return lambda found: test(one(found))
        if field.any_case:
            return lambda found: any(test(value.lower()) for value in many(found))
        return lambda found: any(test(value) for value in many(found))


def _all(conditions: list[_Condition]) -> _Condition:
    """Whether all hold. Loops, not generators: each event goes through here."""
    if len(conditions) == 1:
        return conditions[0]

    def holds(found: Delivery) -> bool:
        for condition in conditions:  # noqa: SIM110
            if not condition(found):
                return False
        return True

    return holds


def _one(conditions: list[_Condition]) -> _Condition:
    """Whether one holds."""
    if len(conditions) == 1:
        return conditions[0]

    def holds(found: Delivery) -> bool:
        for condition in conditions:  # noqa: SIM110
            if condition(found):
                return True
        return False

    return holds


def _any_test(texts: list[str]) -> _Test:
    """Whether a value is one of these texts, of which some have a ``*``."""
    exact = frozenset(text for text in texts if "*" not in text)
    within = tuple(text[1:-1] for text in texts if len(text) > 1 and text[0] == text[-1] == "*")
    starts = tuple(text[:-1] for text in texts if text.endswith("*") and not text.startswith("*"))
    ends = tuple(text[1:] for text in texts if text.startswith("*") and (len(text) == 1 or not text.endswith("*")))
    if not within and not starts and not ends:
        return exact.__contains__
    return lambda value: (
        value in exact
        or (bool(starts) and value.startswith(starts))
        or (bool(ends) and value.endswith(ends))
        or any(part in value for part in within)
    )


def _words_test(texts: list[str]) -> _Test:
    """Whether a message has all words of one of these texts, as ``--text`` of the commands."""
    wanted = [text.replace("*", " ").split() for text in texts]
    return lambda value: any(all(word in value for word in words) for words in wanted)


def _listed(rules: list[Rule] | Rule) -> list[Rule]:
    return [rules] if isinstance(rules, dict) else list(rules)


def _mistakes(section: str, rules: list[Rule] | Rule) -> Iterable[str]:
    """What is wrong in some rules, one line each, with where it stands."""
    for number, rule in enumerate(_listed(rules)):
        where = section if isinstance(rules, dict) else f"{section}[{number}]"
        if not rule:
            yield f"{where}: a rule without a field; allowed are {', '.join(_FIELDS)}"
        for name, wanted in rule.items():
            field = _FIELDS.get(name)
            if field is None:
                yield f"{where}.{name}: unknown; allowed are {', '.join(_FIELDS)}"
                continue
            values = wanted if isinstance(wanted, list) else [wanted]
            if not values:
                yield f"{where}.{name}: an empty list; name at least one value"
            for value in values:
                yield from _mistaken_value(f"{where}.{name}", field, value)


def _mistaken_value(where: str, field: _Field, value: Any) -> Iterable[str]:
    if isinstance(value, bool) or not isinstance(value, str | int):
        yield f"{where}: {value!r} is no text; put it in quotes"
    elif field.allowed and str(value).lower() not in (word.lower() for word in field.allowed):
        yield f"{where}: {value!r} is not one of {', '.join(field.allowed)}"
    elif "*" in str(value)[1:-1]:
        yield f"{where}: {value!r} has a * inside; it may stand at the beginning or at the end"


def about_an_object_of_a_run(event: Event) -> bool:
    """Whether an event without a run may get one still: what is told of an object that can belong to a run."""
    return event.origin in ("kubernetes", "status") and event.about.kind not in _NEVER_OF_A_RUN


_NEVER_OF_A_RUN = frozenset(
    {
        "",
        "Node",
        "Namespace",
        "PersistentVolume",
        "StorageClass",
        "ClusterQueue",
        "ResourceFlavor",
        "Lease",
        "Endpoints",
    }
)
