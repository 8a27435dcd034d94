"""Which signal can be why another one is there: by the catalogue's edges, the objects of both, and their times."""

from collections.abc import Mapping, Sequence

from pipetrail.analysis.diagnosis.exits import SLACK
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.catalogue import Catalogue, Edge
from pipetrail.model import Micros
from pipetrail.model.times import SECOND

SKEW = 2 * SECOND
NODE_SKEW = 60 * SECOND
"""A node's condition is told late: the control plane waits for its reports before it gives it up."""

_ENOUGH = 8
_EXACT = 4  # the specificity from which words name a cause exactly

SETTINGS: Mapping[str, Micros | None] = {
    "tolerationSeconds": 300 * SECOND,
    "terminationGracePeriodSeconds": 60 * SECOND,
    "collectiveTimeout": 1800 * SECOND,
    "probeBudget": 900 * SECOND,
    "deadline": None,
}
"""What the settings that edges name are where nobody says otherwise; None: as long as it takes."""


class Graph:
    """The signals that explain others.

    :param claims: the claims of each pod, by its key.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        catalogue: Catalogue,
        pods: Mapping[str, Life],
        claims: Mapping[str, frozenset[tuple[str, str]]] | None = None,
    ) -> None:
        self.causes: dict[Signal, list[Signal]] = {}
        self.effects: dict[Signal, list[Signal]] = {}
        self.refined: dict[Signal, list[Signal]] = {}
        self._joined: set[tuple[Signal, Signal]] = set()
        self._open = {name for edge in catalogue.edges if edge.refines for name in edge.effects}
        self._pods = pods
        self._claims = claims or {}
        by_name: dict[str, list[Signal]] = {}
        for signal in signals:
            for name in signal.names:
                by_name.setdefault(name, []).append(signal)
        for edge in catalogue.edges:
            effects = self._named(edge.effects, by_name)
            if effects:
                self._draw(edge, self._named(edge.explains, by_name), effects)
        self._above: dict[Signal, frozenset[Signal]] = {}
        self._below: dict[Signal, frozenset[Signal]] = {}

    def _draw(self, edge: Edge, causes: list[Signal], effects: list[Signal]) -> None:
        """Join what can be joined. Of many causes of one effect the first few are enough: the others add nothing."""
        causes.sort(key=lambda one: (one.at, one.layer, one.key, one.reason))
        places: dict[str, list[Signal]] = {}
        for cause in causes:
            if cause.gone:
                continue
            for place in self._places(edge.relation, cause, ""):
                places.setdefault(place, []).append(cause)
        for effect in effects:
            left = _ENOUGH
            for place in self._places(edge.relation, effect, "effect"):
                for cause in places.get(place, ()):
                    left -= self._join(edge, cause, effect)
                    if not left:
                        break

    def _places(self, relation: str, signal: Signal, side: str) -> tuple[str, ...]:
        """Where to look for what a signal may be related to."""
        match relation:
            case "same":
                return (signal.key,)
            case "container":
                return (signal.pod,)
            case "node" if side:
                life = self._pods.get(signal.pod)
                return (life.node if life is not None and signal.about.kind != "Node" else signal.node,)
            case "node":
                return (signal.node,)
            case "pod" if side:
                return (signal.pod, "")
            case "pod":
                return (signal.pod,) if signal.about.kind == "Pod" else ("",)
            case "owner" if side:
                return (signal.pod if signal.about.kind == "Pod" else "*",)
            case "owner":
                return ("*", signal.pod) if signal.about.kind == "Pod" else ("*",)
        return ("*",)

    def _named(self, names: Sequence[str], by_name: Mapping[str, list[Signal]]) -> list[Signal]:
        found: dict[Signal, None] = {}
        for name in names:
            if name.endswith("*"):
                for other, signals in by_name.items():
                    if other.startswith(name[:-1]):
                        found.update(dict.fromkeys(signals))
            else:
                found.update(dict.fromkeys(by_name.get(name, ())))
        return list(found)

    def _join(self, edge: Edge, cause: Signal, effect: Signal) -> bool:
        if cause is effect or (cause, effect) in self._joined or (effect, cause) in self._joined:
            return False
        if edge.refines:
            near = self._related(edge.relation, cause, effect) and self._near(edge, cause, effect)
            if near:
                self.refined.setdefault(effect, []).append(cause)
            return near
        if edge.relation == "node" and effect.ended and effect.worded and _other(cause, effect):
            return False
        if not self._in_time(edge, cause, effect) or not self._related(edge.relation, cause, effect):
            return False
        self._joined.add((cause, effect))
        self.effects.setdefault(cause, []).append(effect)
        self.causes.setdefault(effect, []).append(cause)
        return True

    def _in_time(self, edge: Edge, cause: Signal, effect: Signal) -> bool:
        slack = SKEW
        if edge.relation == "node" or "Node" in (cause.about.kind, effect.about.kind):
            slack = NODE_SKEW
        elif edge.relation != "sibling" and "Pod" in (cause.about.kind, effect.about.kind):
            slack = SLACK
        # A merged signal of the cause may have gone on; that of the effect counts from its first.
        if cause.at > effect.last + slack:
            return False
        limit = self._limit(edge)
        return limit is None or effect.at - cause.last <= limit + slack

    def _near(self, edge: Edge, cause: Signal, effect: Signal) -> bool:
        limit = self._limit(edge)
        if limit is None:
            return True
        return cause.at - effect.last <= limit and effect.at - cause.last <= limit

    def _limit(self, edge: Edge) -> Micros | None:
        if not edge.plus:
            return None if edge.within is None else edge.within * SECOND
        setting = SETTINGS.get(edge.plus, 0)
        return None if setting is None else (edge.within or 0) * SECOND + setting

    def _related(self, relation: str, cause: Signal, effect: Signal) -> bool:
        match relation:
            case "same":
                return cause.key == effect.key
            case "container":
                same = not cause.container or not effect.container or cause.container == effect.container
                return bool(cause.pod) and cause.pod == effect.pod and same
            case "pod":
                # A controller says of itself that it deleted a pod, or lost its place.
                return (bool(cause.pod) and cause.pod == effect.pod) or (cause.own and cause.about.kind != "Pod")
            case "sibling":
                return cause.pod != effect.pod and bool(effect.pod) and (cause.own or self._hit(cause) is not None)
            case "owner":
                return cause.own and (effect.about.kind != "Pod" or cause.pod == effect.pod) and self._up(cause, effect)
            case "volume":
                return self._volume(cause, effect)
            case "node":
                return self._on_node(cause, effect)
            case "cluster":
                if cause.about.kind == "Pod":
                    return cause.pod == effect.pod or cause.own
                return True
        return False

    def _up(self, cause: Signal, effect: Signal) -> bool:
        """Whether the effect is of what owns the cause's object: of several steps each has its own."""
        return not cause.step or not effect.step or cause.step == effect.step or effect.about.kind == "Workload"

    def _volume(self, cause: Signal, effect: Signal) -> bool:
        if cause.about.kind == "Node":
            return True
        claims = self._claims.get(effect.pod)
        return claims is None or not claims or (cause.about.namespace, cause.about.name) in claims

    def _hit(self, signal: Signal) -> Life | None:
        """The pod of the run that a fact about a node hits."""
        if signal.about.kind != "Node":
            return self._pods.get(signal.pod)
        return next((life for life in self._pods.values() if self._was_on(life, signal)), None)

    def _was_on(self, life: Life, signal: Signal) -> bool:
        """Whether a pod was on a node that something happened to, then or soon after."""
        if life.node != signal.node or not life.node:
            return False
        return life.deleted is None or life.deleted >= signal.at - NODE_SKEW

    def _on_node(self, cause: Signal, effect: Signal) -> bool:
        node = cause.node
        if not node:
            return False
        if effect.about.kind == "Node":
            return effect.node == node
        life = self._pods.get(effect.pod)
        if life is not None:
            return life.node == node and self._was_on(life, cause)
        return effect.node == node

    def refinable(self, signal: Signal) -> bool:
        """Whether something that comes later can say more exactly why it lasts."""
        return not signal.names.isdisjoint(self._open)

    def above(self, signal: Signal) -> frozenset[Signal]:
        """All that explains a signal, however far."""
        found = self._above.get(signal)
        if found is None:
            found = self._above[signal] = _closure(signal, self.causes)
        return found

    def below(self, signal: Signal) -> frozenset[Signal]:
        """All that a signal explains."""
        found = self._below.get(signal)
        if found is None:
            found = self._below[signal] = _closure(signal, self.effects)
        return found


def _other(cause: Signal, effect: Signal) -> bool:
    """Whether the last words of a program name another cause so exactly that mere nearness in time says nothing."""
    named = effect.cause
    if named is None or effect.role != "cause" or effect.specificity < _EXACT:
        return False
    return named.category != cause.category and named.blame in ("user_code", "configuration")


def _closure(signal: Signal, steps: Mapping[Signal, Sequence[Signal]]) -> frozenset[Signal]:
    found: set[Signal] = set()
    left = [signal]
    while left:
        for other in steps.get(left.pop(), ()):
            if other not in found and other is not signal:
                found.add(other)
                left.append(other)
    return frozenset(found)
