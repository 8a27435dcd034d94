"""The figures of the sinks as metrics. Delivery counts them in its own file, so they outlive it and the recorder."""

from collections.abc import Iterator, Sequence
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pipetrail.model import Micros
from pipetrail.sinks.figures import FAILURES, LaneState, SinkFigures, lag

STATES: tuple[str, ...] = get_args(LaneState)

_TOTALS = (
    ("pipetrail_sink_sent", "sent", "Events that a receiver took."),
    ("pipetrail_sink_sent_bytes", "bytes", "About the size of the events that were sent: an estimate."),
    ("pipetrail_sink_batches", "batches", "Batches that were sent."),
    ("pipetrail_sink_filtered", "filtered", "Events that the rules of a sink left out."),
    ("pipetrail_sink_filter_errors", "filter_errors", "Events on which a rule failed; they are sent all the same."),
    ("pipetrail_sink_merged", "merged", "Events that went out in a newer version of themselves."),
    ("pipetrail_sink_skipped", "skipped", "Events that the journal had dropped before they were sent."),
    ("pipetrail_sink_retries", "retries", "Batches that were tried again."),
    ("pipetrail_sink_dead_lettered", "dead_letters_ever", "Events that became dead letters."),
)


def sink_metrics(figures: Sequence[SinkFigures], last: int, now: Micros) -> Iterator[Metric]:
    """What is known of each sink. Every series exists as soon as the sink is known.

    :param last: the newest ``seq`` of the journal.
    """
    for name, field, text in _TOTALS:
        counter = CounterMetricFamily(name, text, labels=("sink",))
        for one in figures:
            counter.add_metric((one.name,), getattr(one, field))
        yield counter
    failures = CounterMetricFamily(
        "pipetrail_sink_failures", "Failures to send, by their kind.", labels=("sink", "failure")
    )
    for one in figures:
        for word in FAILURES:
            failures.add_metric((one.name, word), one.failures.get(word, 0))
    yield failures
    state = GaugeMetricFamily("pipetrail_sink_state", "1 for the state that a sink is in.", labels=("sink", "state"))
    for one in figures:
        for name in STATES:
            state.add_metric((one.name, name), 1.0 if one.state == name else 0.0)
    yield state
    for name, text, values in (
        ("pipetrail_sink_dead_letters", "Dead letters that wait for somebody.", [one.dead_letters for one in figures]),
        (
            "pipetrail_sink_held",
            "Events that wait for their run, or for their own next try.",
            [o.held for o in figures],
        ),
        ("pipetrail_sink_lag_events", "Changes of the journal that are not settled.", [lag(o, last) for o in figures]),
        (
            "pipetrail_sink_lag_seconds",
            "How long the oldest change that is not settled waits.",
            [max(0, now - one.oldest_at) / 1e6 if one.oldest_at is not None else 0.0 for one in figures],
        ),
        (
            "pipetrail_sink_last_sent_timestamp_seconds",
            "When a receiver last took something, Unix time; 0: never.",
            [(one.last_sent_at or 0) / 1e6 for one in figures],
        ),
    ):
        gauge = GaugeMetricFamily(name, text, labels=("sink",))
        for one, value in zip(figures, values, strict=True):
            gauge.add_metric((one.name,), value)
        yield gauge
