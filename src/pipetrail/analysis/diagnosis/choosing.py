"""Which signal is the cause: roots before what they explain, the specific before the vague, early before late."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import msgspec

from pipetrail.analysis.diagnosis.edges import Graph
from pipetrail.analysis.diagnosis.exits import become
from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.states import FINAL
from pipetrail.catalogue import Catalogue
from pipetrail.model import Micros
from pipetrail.model.times import SECOND

STOPS = frozenset({"workflow_stopped", "cancelled", "deactivated"})
"""Causes that are a person's wish: they are the cause only where nothing else was wrong."""

_HARD = frozenset({"preemption", "eviction", "node", "gpu"})
_DISRUPTIONS = frozenset({"preemption", "eviction", "node", "autoscaling"})
_ROLES = {"cause": 0, "unknown": 1, "consequence": 2, "symptom": 2, "outcome": 3}
_PULLS = {"ImagePullBackOff", "pull_backoff", "pull_error"}
_LOST = frozenset({"node_lost", "node_not_ready", "node_rebooted"})
_EPISODE = 60 * SECOND
_VAGUE = 2  # the specificity of a program's end without a word
_OUTCOMES = 1  # the specificity up to which a signal only repeats that something failed


class Choice(msgspec.Struct, kw_only=True):
    """What was chosen. ``primary`` is None where nothing is to be told."""

    primary: Signal | None
    recovered: bool = False
    roots: list[Signal] = []
    episodes: list[list[Signal]] = []
    tied: bool = False


class Chooser:
    """Chooses among the signals of one run.

    :param state: the state of the run.
    """

    def __init__(
        self, state: str, signals: Sequence[Signal], graph: Graph, pods: Mapping[str, Life], facts: Sequence[Fact]
    ) -> None:
        self.state = state
        self.signals = signals
        self.graph = graph
        self.pods = pods
        self._deadlines = [one for one in signals if one.category == "deadline" and not one.gone]
        self._begun = min((fact.at for fact in facts if fact.own), default=0)

    def choose(self) -> Choice:
        """The cause of a run in its state."""
        if self.state == "Succeeded":
            return self._first([one for one in self._candidates() if self._struck(one)])
        if self.state in FINAL:
            live = [one for one in self._candidates() if not one.passed or self._delayed(one)]
            return self._worst(live)
        live = [one for one in self._candidates() if not one.passed and not self.superseded(one)]
        if self.state == "Running":
            live = [one for one in live if self._harms(one)]
        if live:
            return self._worst(live)
        return self._first([one for one in self._candidates() if self._struck(one)])

    def superseded(self, signal: Signal) -> bool:
        """Whether what it hit was tried again."""
        life = self.pods.get(signal.pod) if signal.about.kind == "Pod" else None
        if life is not None:
            if life.after:
                return True
            return signal.ended and any(time > signal.last for time in life.started) and life.phase != "Failed"
        if signal.own and signal.about.kind == "Job":
            return False
        if signal.about.kind == "Pod" or signal.own:
            return False
        hit = [one for one in self.graph.below(signal) if one.about.kind == "Pod" and not one.gone]
        if not hit and self._swallowed(signal):
            return all(one.after for one in self.pods.values() if one.node == signal.node and one.phase not in FINAL)
        return bool(hit) and all(self.superseded(one) for one in hit)

    def _candidates(self) -> list[Signal]:
        return [one for one in self.signals if not one.gone and self._reaches(one)]

    def _reaches(self, signal: Signal) -> bool:
        """Whether it can have to do with how the run is: what is beside it only through what it did to it."""
        if signal.own:
            return True
        if any(one.own and not one.passed for one in self.graph.below(signal)):
            return True
        return self._swallowed(signal)

    def _swallowed(self, signal: Signal) -> bool:
        """Whether a node was lost that had pods of the run: it can't tell what became of them."""
        if signal.about.kind != "Node" or signal.category != "node" or signal.passed or signal.role != "cause":
            return False
        if _LOST.isdisjoint(signal.names) or signal.specificity <= _VAGUE:
            return False
        on = [one for one in self.pods.values() if one.node == signal.node and one.phase not in FINAL]
        still = self.state not in FINAL and any(one.deleted is None for one in on)
        return still or any(one.deleted is not None and one.deleted >= signal.at for one in on)

    def _struck(self, signal: Signal) -> bool:
        """Whether it ended something of the run, or kept it from being made: what is more than a wait."""
        if signal.role != "cause" and not (signal.ended and signal.role == "unknown"):
            return False
        if signal.cause is not None and signal.cause.id == "quota_exceeded" and signal.about.kind != "Pod":
            return signal.own
        if signal.ended:
            return signal.specificity > _OUTCOMES
        if signal.category == "preemption":
            return signal.specificity > 2
        if signal.about.kind == "Pod":
            life = self.pods.get(signal.pod)
            broken = life is not None and (life.phase == "Failed" or life.disrupted or life.going is not None)
            lost = broken and life is not None and bool(life.after)
            told = signal.action == "status" or (signal.category in _HARD and broken)
            return (told or (lost and not signal.passed)) and signal.specificity > _OUTCOMES
        if not signal.own:
            hit = any(self._struck(one) or one.ended for one in self.graph.below(signal) if one.own)
            return hit or self._swallowed(signal)
        return False

    def _harms(self, signal: Signal) -> bool:
        """Whether a run that goes on has to be looked at for it."""
        if signal.about.kind == "Pod":
            life = self.pods.get(signal.pod)
            if life is not None and life.phase in ("Failed",):
                return signal.role == "cause" or signal.ended
            return (signal.role == "cause" or signal.held_off) and (life is None or life.deleted is None)
        return signal.role == "cause"

    def _delayed(self, signal: Signal) -> bool:
        """Whether a wait that passed took so long that it is why a deadline was missed."""
        if signal.ended or not signal.own or not self._deadlines:
            return False
        end = min(one.at for one in self._deadlines)
        life = self.pods.get(signal.pod)
        until = signal.last
        if life is not None and life.started:
            until = max(until, min(life.started))
        return signal.at < end and 2 * (min(until, end) - signal.at) > end - self._begun

    def _parents(self, signal: Signal) -> list[Signal]:
        """What explains a signal and can be a cause itself. A vague end explains no words that name a cause."""
        least = _VAGUE if signal.worded and signal.specificity > _VAGUE else _OUTCOMES
        return [
            one
            for one in self.graph.above(signal)
            if one.role in ("cause", "unknown")
            and not one.gone
            and (not one.passed or self.state == "Succeeded")
            and one.specificity > least
        ]

    def _rank(self, signal: Signal) -> tuple[object, ...]:
        late = self._late(signal)
        class_ = self._class(signal)
        return (
            class_,
            late,
            bool(self._parents(signal)),
            -signal.specificity if class_ != 1 else 0,  # of a limit and a person's wish the first ended it
            signal.at,
            signal.layer,
            signal.key,
            len(signal.reason),
            signal.reason,
            signal.container,
        )

    def _class(self, signal: Signal) -> int:
        """What counts before all else: a fault, then a deadline or a person's wish, then what only repeats."""
        if signal.role != "cause":
            return 2 + _ROLES.get(signal.role, 3)
        if (signal.cause is not None and signal.cause.id in STOPS) or signal.category == "deadline":
            return 1
        return 2 if signal.specificity <= _OUTCOMES else 0

    def _late(self, signal: Signal) -> bool:
        """Whether it is a fault of an earlier try that the run got over by trying again."""
        if not self.superseded(signal):
            return False
        if signal.category in _DISRUPTIONS:
            return True
        ends = self._last_ends
        specific = max((one.specificity for one in ends), default=-1) >= signal.specificity
        return bool(ends) and (specific or all(one.category == "deadline" for one in ends))

    @cached_property
    def _last_ends(self) -> list[Signal]:
        """The faults of the last tries."""
        return [
            one
            for one in self.signals
            if not one.gone
            and not one.passed
            and one.role == "cause"
            and (one.ended or one.category == "deadline" or one.action == "status")
            and not self.superseded(one)
        ]

    def _worst(self, live: list[Signal]) -> Choice:
        refining = {one for signal in live for one in self.graph.refined.get(signal, ())}
        live = [one for one in live if one not in refining]
        if not live:
            return Choice(primary=None)
        ordered = sorted(live, key=self._rank)
        primary = ordered[0]
        roots = [one for one in ordered if one.role == "cause" and not self._parents(one)]
        below = self.graph.below(primary)
        tied = any(
            one is not primary
            and one not in below
            and one.specificity == primary.specificity
            and one.blame != primary.blame
            and one.cause is not None
            and one.cause.id not in STOPS
            and self.superseded(one) == self.superseded(primary)
            and abs(one.at - primary.at) <= _EPISODE
            for one in roots
        )
        struck = [one for one in live if self._struck(one)]
        return Choice(primary=primary, roots=roots, episodes=self._episodes(struck), tied=tied)

    def _first(self, struck: list[Signal]) -> Choice:
        """The first fault of a run that got over all of them."""
        episodes = self._episodes(struck)
        if not episodes:
            return Choice(primary=None)
        roots = [one for episode in episodes for one in episode if not self._parents(one)]
        return Choice(primary=episodes[0][0], recovered=True, roots=roots, episodes=episodes)

    def _episodes(self, struck: list[Signal]) -> list[list[Signal]]:
        """Faults that belong together: of one pod, of what one explains, or of pods that died together."""
        found: list[list[Signal]] = []
        of: dict[Signal, list[Signal]] = {}
        places: dict[tuple[str, ...], list[Signal]] = {}
        last: dict[tuple[str, ...], Micros] = {}
        for signal in sorted(struck, key=lambda one: (one.at, one.layer, one.key, one.reason)):
            gang = (
                ("gang", signal.step, str(self._turn(signal))) if signal.pod else ("thing", signal.key, signal.category)
            )
            own = ("pod", signal.pod) if signal.pod else ("said", signal.key, signal.reason)
            near = signal.at - last.get(gang, signal.at) <= _EPISODE
            episode = places.get(own) or (places.get(gang) if near else None)
            if episode is None:
                related = self.graph.above(signal) | self.graph.below(signal)
                episode = next((of[one] for one in found_first(related, of)), None)
            if episode is None:
                episode = []
                found.append(episode)
            episode.append(signal)
            of[signal] = places[own] = places[gang] = episode
            last[gang] = signal.last if signal.about.kind != "Pod" and signal.category != "preemption" else signal.at
        return [sorted(episode, key=self._rank) for episode in found]

    def _turn(self, signal: Signal) -> int:
        life = self.pods.get(signal.pod)
        return life.turn if life is not None else 0


def found_first(signals: Iterable[Signal], known: Mapping[Signal, object]) -> list[Signal]:
    """Those of the signals that are known, the earliest first."""
    return sorted((one for one in signals if one in known), key=lambda one: (one.at, one.key, one.reason))


def orphans(signals: Sequence[Signal], catalogue: Catalogue) -> None:
    """What only repeats something that was not seen: all that can be said is which kind of thing that was.

    An end that a dead peer usually brings, where no peer died, is an end of the program. A kubelet that waits before
    the next pull says that one failed.
    """
    pull = catalogue.causes.get("pull_failed")
    if pull is not None and not any(one.category == "image" and one.role == "cause" for one in signals):
        for signal in signals:
            if _PULLS & signal.names and signal.role == "symptom":
                become(signal, pull)
                signal.worded = False
    program = catalogue.causes.get("program_error")
    if program is None:
        return
    for signal in signals:
        if signal.ended and not signal.gone and signal.role == "consequence" and signal.code not in (137, 143):
            become(signal, program)
            signal.fields, signal.worded = {}, False
