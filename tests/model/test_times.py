"""Times are integer microseconds UTC; people write them in many ways."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model.times import SECOND, format_time, micros, parse_age, parse_time, parse_when, to_datetime

NOW = parse_time("2026-11-24T03:12:30Z")
BERLIN = dt.timezone(dt.timedelta(hours=1))
ALL = st.integers(micros(dt.datetime(1, 1, 2, tzinfo=dt.UTC)), micros(dt.datetime(9999, 12, 30, tzinfo=dt.UTC)))


@given(at=ALL)
def test_a_time_is_the_same_after_printing_and_reading(at: int) -> None:
    assert micros(to_datetime(at)) == at
    assert parse_time(format_time(at)) == at


@given(first=ALL, second=ALL)
def test_printed_times_sort_like_times(first: int, second: int) -> None:
    assert (format_time(first) < format_time(second)) == (first < second)


def test_times_are_printed_with_six_digits() -> None:
    assert format_time(0) == "1970-01-01T00:00:00.000000Z"
    assert format_time(NOW + 5) == "2026-11-24T03:12:30.000005Z"
    assert parse_time("2026-11-24T04:12:30+01:00") == NOW
    with pytest.raises(ValueError, match="no time zone: add Z"):
        parse_time("2026-11-24T03:12:30")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2h", 7200), ("1d12h", 129600), ("1.5m", 90), ("1w", 604800), ("0s", 0)],
)
def test_ages(text: str, seconds: int) -> None:
    assert parse_age(text) == seconds * SECOND
    assert parse_when(text, NOW) == NOW - seconds * SECOND


@pytest.mark.parametrize("text", ["", "5", "h", "2 h", "2h ago", "-2h", "2y"])
def test_what_is_no_age(text: str) -> None:
    assert parse_age(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-24T03:12:30Z"),
        ("NOW ", "2026-11-24T03:12:30Z"),
        ("today", "2026-11-23T23:00:00Z"),
        ("yesterday", "2026-11-22T23:00:00Z"),
        ("03:12", "2026-11-24T02:12:00Z"),
        ("03:12:05", "2026-11-24T02:12:05Z"),
        ("23:59", "2026-11-23T22:59:00Z"),  # not yet today: so yesterday's
        ("2026-11-24T03:12:00Z", "2026-11-24T03:12:00Z"),
        ("2026-11-24T03:12:00", "2026-11-24T02:12:00Z"),
        ("2026-11-24", "2026-11-23T23:00:00Z"),
    ],
)
def test_points_in_time(text: str, expected: str) -> None:
    assert format_time(parse_when(text, NOW, BERLIN)) == format_time(parse_time(expected))


@pytest.mark.parametrize("text", ["", "soon", "25:00", "12:60", "2026-13-01", "12", "1:2:3:4"])
def test_what_is_no_time_is_told_with_what_is_understood(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: write an age"):
        parse_when(text, NOW, BERLIN)


@given(text=st.text(max_size=12))
def test_no_text_does_worse_than_a_value_error(text: str) -> None:
    try:
        parse_when(text, NOW, BERLIN)
    except ValueError as error:
        assert "is no time" in str(error)  # noqa: PT017 (most texts are none)
