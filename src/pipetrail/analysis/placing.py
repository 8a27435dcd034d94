"""What a resolver is asked and what it answers: whose object this is, and where in the run it stands.

Each ML system is one resolver, which knows nothing of the others. It says which kinds and keys it wants to see, so that
an object is shown to the few that may know it; what the answers amount to is decided in :mod:`.resolving`.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

import msgspec

from pipetrail.analysis.world import Thing
from pipetrail.model import Micros

Confidence = Literal["exact", "strong", "weak"]
RANK: dict[str, int] = {"weak": 0, "strong": 1, "exact": 2}
UNKNOWN = -1
"""An attempt that the system has, but that can't be read: nothing else may be asked for it."""

BY_TIME = -2
"""An attempt that changes while the object stays: at the time of an event it is how many pods there had been."""

CONFIGURED, ORCHESTRATOR, WORKFLOW, TRAINING, GROUP, JOB, BARE = range(7)
"""The tiers: of several identities of one object the lowest names the run, the others are what it is made of."""


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The run that an object belongs to, by one system's word."""

    system: str
    id: str
    name: str = ""
    via: str = "kind"
    confidence: Confidence = "exact"


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where in the run an object stands; None where the system does not say."""

    step: str | None = None
    attempt: int | None = None
    run_attempt: int | None = None
    replica: str | None = None


class Tie(msgspec.Struct, frozen=True, gc=False):
    """A label or annotation that names another object: by its uid, or by its name in the same namespace."""

    group: str
    kind: str
    name: str = ""
    """Where the key holds a uid: the label that has the name to it."""
    uid: bool = False


class Look(Protocol):
    """What a resolver may ask about the other objects."""

    def owner(self, thing: Thing, kind: str) -> Thing | None:
        """The owner of that kind; one that is not known, as far as the reference describes it."""
        ...

    def ordinal(self, thing: Thing) -> int | None:
        """The how manieth of its place this object is, from 1."""
        ...

    def elders(self, thing: Thing) -> Iterable[Thing]:
        """The objects of the same place up to this one, the eldest first."""
        ...

    def named(self, kind: str, namespace: str, name: str, at: Micros) -> Thing | None:
        """Who bore this name at a time."""
        ...

    def title(self, system: str, id_: str) -> str:
        """The best name known of a run that several objects name in parts; empty if none does."""
        ...


class Resolver(Protocol):
    """Knows the objects of one system. Pure: the same objects give the same answers."""

    system: str
    tier: int
    kinds: frozenset[tuple[str, str]]
    """Group and kind of the objects that it wants to see."""
    keys: frozenset[str]
    """Labels, annotations and env ids: it wants to see what carries one of them."""
    ties: Mapping[str, Tie]

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The run that this object itself names or is; None if it takes an owner to tell."""
        ...

    def place(self, thing: Thing, look: Look) -> Place | None:
        """What this object says of step, attempt and replica."""
        ...


class Entitled(Protocol):
    """A resolver whose runs have a better name on some objects than on others."""

    def title(self, thing: Thing) -> tuple[str, str] | None:
        """Id and name of the run that this object names well."""
        ...


class ReadsMarks(Protocol):
    """A resolver whose controllers write the place onto the Event itself."""

    def marked(self, marks: Mapping[str, str], name: str) -> Place | None:
        """The place that the labels and annotations of an Event give, in the run's object of that name."""
        ...


def value(thing: Thing, key: str) -> str:
    """A label, or else the annotation of that key."""
    return thing.labels.get(key) or thing.annotations.get(key, "")


def number(text: str | None, add: int = 0) -> int | None:
    """A number that a label holds, raised by something; None where it is none."""
    if text and len(text) < 10 and text.isascii() and text.isdigit():
        return int(text) + add
    return None


def rooted(system: str, thing: Thing) -> Identity | None:
    """The identity of an object that is itself a run."""
    return Identity(system, thing.uid, thing.name) if thing.uid else None
