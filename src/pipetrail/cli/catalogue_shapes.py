"""The JSON lines of ``pipetrail catalogue``. Fields may be added, never renamed; all are always there."""

import msgspec

from pipetrail.catalogue import Catalogue, Cause, Entry


class SaidShape(msgspec.Struct):
    """Who says a reason, of what."""

    reason: str
    component: str
    kind: str
    types: list[str]


class CauseShape(msgspec.Struct):
    """A line of ``catalogue``: a cause."""

    id: str
    title: str
    category: str
    blame: str
    turn: str
    retry: str
    severity: str
    role: str
    specificity: int
    confidence: str
    meaning: str
    do: str
    reasons: list[SaidShape]
    in_messages_of: list[str]


class MakerShape(msgspec.Struct):
    """Who can have made an exit code: a cause, and what must have been seen for it."""

    cause: str
    terminated: str
    earlier: list[str]


class ReasonShape(msgspec.Struct):
    """A line of ``catalogue REASON``: what one component means by it."""

    reason: str
    component: str
    kind: str
    types: list[str]
    category: str
    blame: str
    severity: str
    retry: str
    role: str
    says: str
    cause: CauseShape | None
    sub_causes: list[str]
    makers: list[MakerShape]


class NamedShape(msgspec.Struct):
    """A line of ``catalogue REASON --message``: a cause that the message names, and what it says of it."""

    cause: CauseShape
    fields: dict[str, str]


def cause_shape(catalogue: Catalogue, cause: Cause) -> CauseShape:
    """A cause, with all that points to it."""
    signals = catalogue.signals(cause.id)
    return CauseShape(
        id=cause.id,
        title=cause.title,
        category=cause.category,
        blame=cause.blame,
        turn=cause.turn,
        retry=cause.retry,
        severity=cause.severity,
        role=cause.role,
        specificity=cause.specificity,
        confidence=cause.most,
        meaning=cause.meaning,
        do=cause.do,
        reasons=[SaidShape(entry.reason, entry.component, entry.kind, entry.types) for entry in signals.entries],
        in_messages_of=sorted({reason for reasons, _ in signals.rows for reason in reasons}),
    )


def reason_shape(catalogue: Catalogue, asked: str, entry: Entry) -> ReasonShape:
    """What one component means by a reason."""
    return ReasonShape(
        reason=entry.reason,
        component=entry.component,
        kind=entry.kind,
        types=entry.types,
        category=entry.category,
        blame=entry.blame,
        severity=entry.severity,
        retry=entry.retry,
        role=entry.role,
        says=entry.says,
        cause=cause_shape(catalogue, catalogue.cause(entry.cause)) if entry.cause else None,
        sub_causes=list(dict.fromkeys(row.cause for row in catalogue.rows_for(asked))),
        makers=[MakerShape(each.cause, each.terminated, each.earlier) for each in catalogue.makers(asked)],
    )
