"""The stable shapes of what ``pipetrail sinks`` prints: fields are added, never renamed."""

from typing import Any

import msgspec

from pipetrail.documents.events import EventShape, event_shape
from pipetrail.model import Micros, format_time
from pipetrail.model.times import SECOND
from pipetrail.sinks.figures import SinkFigures
from pipetrail.sinks.state import DeadLetter


class SinkShape(msgspec.Struct, gc=False):
    """A line of ``sinks``. The totals only grow, over restarts too."""

    name: str
    type: str
    state: str
    cursor: int
    lag_events: int
    lag_seconds: float
    rate: float
    sent: int
    held: int
    unsettled: int
    filtered: int
    filter_errors: int
    merged: int
    skipped: int
    retries: int
    dead_letters: int
    dead_letters_ever: int
    batches: int
    bytes: int
    failures: dict[str, int]
    last_sent_at: str | None
    last_error: str
    last_error_at: str | None


class DeadLetterShape(msgspec.Struct, gc=False):
    """A line of ``sinks dead-letters NAME list``. ``seq`` names it."""

    seq: int
    at: str
    reason: str
    event: EventShape


class Known(msgspec.Struct, frozen=True):
    """What is known of a sink: its state in one word, and its figures."""

    state: str
    figures: SinkFigures


def sink_shape(known: Known, now: Micros) -> SinkShape:
    """A sink as a line of JSON."""
    figures = known.figures
    return SinkShape(
        name=figures.name,
        type=figures.type,
        state=known.state,
        cursor=figures.read,
        lag_events=figures.lag_events,
        lag_seconds=lag_seconds(figures, now),
        rate=round(figures.rate_now(now), 3),
        sent=figures.sent,
        held=figures.held,
        unsettled=figures.unsettled,
        filtered=figures.filtered,
        filter_errors=figures.filter_errors,
        merged=figures.merged,
        skipped=figures.skipped,
        retries=figures.retries,
        dead_letters=figures.dead_letters,
        dead_letters_ever=figures.dead_letters_ever,
        batches=figures.batches,
        bytes=figures.bytes,
        failures={str(word): number for word, number in figures.failures.items()},
        last_sent_at=None if figures.last_sent_at is None else format_time(figures.last_sent_at),
        last_error=figures.last_error,
        last_error_at=None if figures.last_error_at is None else format_time(figures.last_error_at),
    )


def letter_shape(letter: DeadLetter) -> DeadLetterShape:
    """A dead letter as a line of JSON."""
    return DeadLetterShape(letter.seq, format_time(letter.at), letter.reason, event_shape(letter.delivery.event))


def letter_shape_of(document: dict[str, Any]) -> DeadLetterShape:
    """The same of what the running delivery hands on."""
    return msgspec.convert({**document, "at": format_time(int(document["at"]))}, DeadLetterShape)


def lag_seconds(figures: SinkFigures, now: Micros) -> float:
    """For how many seconds the oldest change that was not sent has been in the journal."""
    return 0.0 if figures.oldest_at is None else round(max(0, now - figures.oldest_at) / SECOND, 3)
