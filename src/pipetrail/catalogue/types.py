"""What the files of the catalogue hold, as types; msgspec checks a file against them."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct

Blame = Literal["infrastructure", "user_code", "configuration", "capacity", "policy", "none", "unknown"]
Severity = Literal["info", "warn", "error", "fatal"]
Retry = Literal["yes", "no", "maybe"]
Role = Literal["cause", "symptom", "consequence", "modifier", "info"]
Confidence = Literal["high", "medium", "low"]
Specificity = Annotated[int, Meta(ge=0, le=5)]
Text = Annotated[str, Meta(min_length=1)]

TURNS: Mapping[str, str] = {
    "user_code": "user code: whoever wrote the program",
    "configuration": "user configuration: whoever wrote the resources",
    "infrastructure": "platform: whoever runs nodes, network and storage",
    "capacity": "capacity: nobody did wrong, there is not enough",
    "policy": "policy: whoever set the rule, quota or priority",
    "unknown": "open: this alone can't tell",
    "none": "nobody",
}
"""Whose turn it is, for each blame."""

_PLACE = re.compile(r"<(\w+)>")


class Cause(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that can stand behind a failure.

    ``meaning`` and ``do`` may hold ``<name>``, in place of what the message says; see :func:`filled`. ``specificity``
    goes from 0 (an outcome of a policy) to 5 (a fact of hardware, kernel or message). ``suspect_hardware``: if
    different jobs meet it on one device, it is the device. ``confidence`` bounds how sure a verdict of it may be.
    ``by_message``: whose turn it is stands in the message alone, so that without known words it is open.
    """

    id: Text
    title: Text
    meaning: Text
    do: Text
    category: Text
    blame: Blame
    retry: Retry
    specificity: Specificity
    role: Role = "cause"
    severity: Severity = "error"
    confidence: Confidence | None = None
    suspect_hardware: bool = False
    by_message: bool = False

    @property
    def most(self) -> Confidence:
        """How sure a verdict of this cause may be at most; by its specificity where the file does not say."""
        if self.confidence is not None:
            return self.confidence
        return "high" if self.specificity >= 4 else "medium" if self.specificity == 3 else "low"

    @property
    def turn(self) -> str:
        """Whose turn it is."""
        return TURNS[self.blame]


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reason, as one component says it of one kind.

    ``types`` are Normal or Warning of an event, else the place where the word stands. ``cause`` is the id of what it
    points to, or empty for a symptom or a plain fact. A ``*`` in the reason stands for anything.
    """

    reason: Text
    component: Text
    kind: Text
    types: list[Text]
    category: Text
    blame: Blame
    retry: Retry
    severity: Severity
    role: Role
    says: Text
    cause: str = ""
    unverified: bool = False


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """How to recognise a cause in a message.

    ``has``: texts (in lower case) of which one must be there; ``match``: a pattern, whatever the case, whose named
    groups become fields. With both, the pattern is only tried where a text is there. ``also`` names the causes that the
    example holds besides. ``unverified``: the wording is from hearsay, not from the source or a recording.
    """

    cause: Text
    has: list[Annotated[str, Meta(min_length=3, pattern="^[^A-Z]*$")]] = []
    match: str = ""
    example: str = ""
    also: list[str] = []
    unverified: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """The pattern, compiled when it is first needed."""
        return re.compile(self.match, re.IGNORECASE) if self.match else None


class Messages(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Rows for the messages of some reasons: the first that matches counts, or with ``every`` each of them.

    ``fields`` is a pattern whose named groups become fields besides.
    """

    reasons: Annotated[list[Text], Meta(min_length=1)]
    rows: Annotated[list[Row], Meta(min_length=1)]
    every: bool = False
    fields: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """The pattern of the fields, compiled when it is first needed."""
        return re.compile(self.fields, re.IGNORECASE) if self.fields else None


class Edge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``explains`` can be why ``effects`` are seen on the same thing by ``relation``, so many seconds before at most.

    ``plus`` names a setting of the object that is added. Without ``within`` and ``plus`` there is no bound.
    ``refines``: it may also come later, and then says more exactly why the effect lasts.
    """

    explains: Annotated[list[Text], Meta(min_length=1)]
    effects: Annotated[list[Text], Meta(min_length=1)]
    relation: Literal["same", "container", "pod", "sibling", "owner", "volume", "node", "cluster"]
    within: Annotated[int, Meta(ge=0)] | None = None
    plus: str = ""
    refines: bool = False


class Recovery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has passed when a reason of ``by`` comes after it, on the same object or ``anywhere`` in the run."""

    of: Annotated[list[Text], Meta(min_length=1)]
    by: Annotated[list[Text], Meta(min_length=1)]
    anywhere: bool = False


class Maker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who made an exit code, if the container's terminated reason and a reason seen earlier on the pod agree."""

    cause: Text
    terminated: str = ""
    earlier: list[str] = []


def filled(text: str, fields: Mapping[str, str]) -> str:
    """The text with each ``<name>`` replaced by that field; a name without a field stays as it is."""
    return _PLACE.sub(lambda found: fields.get(found[1], found[0]), text)
