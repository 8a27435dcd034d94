"""Finds in the catalogue: what a reason means, and which cause a message names.

Messages come from strangers. They are cut to a bound before anything is searched in them, most rows look for plain
texts, and the patterns of the catalogue have bounded repeats, so that no message can make them slow.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct

from pipetrail.catalogue.types import Cause, Edge, Entry, Maker, Messages, Recovery, Row

BOUND = 4096
"""Of a longer message so many characters at the beginning and at the end are read."""

_FOLDED = "(combined from similar events): "
_MOST = 64  # clauses of one message


class Signals(Struct, frozen=True):
    """What points to a cause: reasons, and rows of messages with the reasons in whose messages they are looked for."""

    entries: list[Entry]
    rows: list[tuple[list[str], Row]]


class Catalogue:
    """All causes and reasons, indexed. It does not change.

    :param causes: by id.
    :param entries: the reasons; of several that fit equally the first counts.
    :param messages: tried in this order.
    """

    def __init__(
        self,
        causes: Mapping[str, Cause],
        entries: Sequence[Entry],
        messages: Sequence[Messages],
        *,
        aliases: Mapping[str, str] | None = None,
        edges: Sequence[Edge] = (),
        recoveries: Sequence[Recovery] = (),
        makers: Mapping[str, Sequence[Maker]] | None = None,
        victims: Sequence[str] = (),
        sides: Sequence[str] = (),
    ) -> None:
        self.causes = causes
        self.entries = entries
        self.messages = messages
        self.edges = edges
        self.recoveries = recoveries
        self.victims = frozenset(victims)
        self._sides = [(name, *_halves(name)) for name in sides]
        self._makers = makers or {}
        aliases = aliases or {}
        self._aliases = {name: ours for name, ours in aliases.items() if "*" not in name}
        self._wide_aliases = [(*_halves(name), ours) for name, ours in aliases.items() if "*" in name]
        self._entries: dict[str, list[Entry]] = {}
        for entry in entries:
            self._entries.setdefault(entry.reason, []).append(entry)
        self._patterned = [(*_halves(name), found) for name, found in self._entries.items() if "*" in name]
        self._messages: dict[str, list[Messages]] = {}
        for group in messages:
            for reason in group.reasons:
                self._messages.setdefault(reason, []).append(group)

    def cause(self, cause_id: str) -> Cause:
        """The cause with that id.

        :raises KeyError: when there is none.
        """
        return self.causes[cause_id]

    def reason(self, reason: str, component: str = "", kind: str = "") -> Entry | None:
        """What a reason means when this component says it of this kind; None where nobody is known to say it so.

        The component counts more than the kind; where neither is given, the most usual entry is the answer. The same
        word means something else on another kind when another component says it, so one of the two must be right.
        """
        ours = self.component(component)
        best: tuple[int, Entry | None] = (0, None)
        for entry in self.said_by(reason):
            fits = 4 * (entry.component == ours) + 2 * (entry.kind == kind) + (entry.kind == "any")
            if fits > best[0] or (best[1] is None and not kind):
                best = fits, entry
        return best[1]

    def said_by(self, reason: str) -> list[Entry]:
        """All entries of a reason, the most usual first; else those of a pattern that fits it."""
        if reason in self._entries:
            return self._entries[reason]
        fitting = [(head + tail, found) for head, tail, found in self._patterned if _fits(reason, head, tail)]
        return max(fitting, key=lambda pair: len(pair[0]))[1] if fitting else []

    def component(self, name: str) -> str:
        """The catalogue's name for a component, such as ``scheduler`` for ``default-scheduler``."""
        if name in self._aliases:
            return self._aliases[name]
        return next((ours for head, tail, ours in self._wide_aliases if _fits(name, head, tail)), name)

    def is_side(self, container: str) -> bool:
        """Whether a container of that name stands beside the program, such as a mesh's proxy."""
        return any(
            container == name or ("*" in name and _fits(container, head, tail)) for name, head, tail in self._sides
        )

    def sub_causes(self, reason: str, message: str) -> list[tuple[Cause, dict[str, str]]]:
        """The causes that a message of this reason names, each with the fields that it gives.

        At most one, but for reasons whose messages have several clauses, such as FailedScheduling; there in the order
        of the catalogue.
        """
        groups = self._messages.get(reason)
        if groups is None and ":" in reason:
            groups = self._messages.get(reason.partition(":")[0] + ":*")
        if not groups or not message:
            return []
        text = message.removeprefix(_FOLDED)
        if len(text) > 2 * BOUND:
            text = f"{text[:BOUND]}\n{text[-BOUND:]}"
        lower = text.lower()
        for group in groups:
            found = [(self.causes[cause], fields) for cause, fields in _matches(group, text, lower)]
            if found:
                return found
        return []

    def maker(self, reason: str, terminated: str = "", earlier: Collection[str] = ()) -> Cause | None:
        """Who made an exit code (``exit:137``); None where nothing is known of its makers.

        :param terminated: the reason of the container's terminated state.
        :param earlier: reasons that were seen on the pod before.
        """
        for maker in self._makers.get(reason, ()):
            if (not maker.terminated or maker.terminated == terminated) and (
                not maker.earlier or any(word in earlier for word in maker.earlier)
            ):
                return self.causes[maker.cause]
        return None

    def makers(self, reason: str) -> Sequence[Maker]:
        """All that can have made an exit code, in the order in which they are tried."""
        return self._makers.get(reason, ())

    def signals(self, cause_id: str) -> Signals:
        """What points to a cause."""
        return Signals(
            [entry for entry in self.entries if entry.cause == cause_id],
            [(group.reasons, row) for group in self.messages for row in group.rows if row.cause == cause_id],
        )

    def rows_for(self, reason: str) -> list[Row]:
        """The rows that are tried on messages of a reason."""
        groups = self._messages.get(reason) or self._messages.get(reason.partition(":")[0] + ":*") or []
        return [row for group in groups for row in group.rows]


def _halves(name: str) -> tuple[str, str]:
    """What stands before and behind the ``*``."""
    head, _, tail = name.partition("*")
    return head, tail


def _fits(name: str, head: str, tail: str) -> bool:
    return len(name) > len(head) + len(tail) and name.startswith(head) and name.endswith(tail)


def _matches(group: Messages, text: str, lower: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a group that matches, with its fields; only the first where the group says so."""
    left = _MOST
    for row in group.rows:
        if row.has and not any(part in lower for part in row.has):
            continue
        if row.pattern is None:
            yield row.cause, _fields(group, text)
            if not group.every:
                return
            continue
        for found in row.pattern.finditer(text):
            yield row.cause, _fields(group, text) | {name: value for name, value in found.groupdict().items() if value}
            left -= 1
            if not group.every or not left:
                return


def _fields(group: Messages, text: str) -> dict[str, str]:
    found = group.pattern.search(text) if group.pattern is not None else None
    return {name: value for name, value in found.groupdict().items() if value} if found else {}
