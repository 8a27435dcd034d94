"""Alerts, whatever comes, in whatever order."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model import Delivery
from pipetrail.sinks import alerts
from tests.sinks.trouble import DAY, MINUTE, START, turn, verdict

STATES = st.sampled_from(("Failed", "Stuck", "Preempted", "Zombie", "Succeeded", "Running", "Cancelled"))
STEPS = st.tuples(
    st.booleans(), STATES, st.integers(0, 2), st.integers(0, 2), st.integers(0, 40), st.integers(0, 40), st.booleans()
)


def step(told_: bool, state: str, run: int, pipeline: int, at: int, seen: int, recovered: bool) -> Delivery:
    when = START + at * MINUTE
    if told_:
        return turn(state, when, run=f"r{run}", pipeline=f"p{pipeline}")
    later = when + seen * MINUTE
    return verdict(state, when, run=f"r{run}", pipeline=f"p{pipeline}", recovered=recovered, seen=later)


@given(st.lists(STEPS, max_size=12), st.integers(1, 4))
def test_in_whatever_parts_the_same_comes_the_same_is_known_and_each_alert_is_told_once(
    steps: list[tuple[Any, ...]], parts: int
) -> None:
    batch, now = [step(*each) for each in steps], START + 100 * MINUTE
    whole = alerts.changed({}, batch, now, DAY)
    known: dict[str, alerts.Record] = {}
    firing: dict[str, alerts.Alert] = {}
    for start in range(0, len(batch), parts):
        change = alerts.changed(known, batch[start : start + parts], now, DAY)
        for key, record in change.records.items():
            assert record is not None
            known[key] = record
        labels = [str(alert.labels) for alert in change.alerts]
        assert len(set(labels)) == len(labels)
        for alert in change.alerts:
            assert alert.starts <= now
            firing[str(alert.labels)] = alert
            if alert.ends is not None:
                assert alert.ends >= alert.starts
                del firing[str(alert.labels)]

    assert known == {key: record for key, record in whole.records.items() if record is not None}
    assert len(firing) == sum(bool(record.urgency) for record in known.values())
    assert msgspec.json.decode(msgspec.json.encode(known), type=dict[str, alerts.Record]) == known


def test_what_is_remembered_has_a_bound() -> None:
    known: dict[str, alerts.Record] = {
        str(number): alerts.Record(labels={}, told=START + number) for number in range(alerts.MOST + 10)
    }
    change = alerts.expired(known, START + alerts.MOST, DAY)

    assert change.records == {str(number): None for number in range(10)}
    assert alerts.expired({"a": known["0"]}, START + alerts.KEPT, DAY).records == {"a": None}
