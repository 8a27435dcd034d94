"""Times as integer microseconds UTC: how they are read from people, and how they are printed."""

import datetime as dt
import re

Micros = int
"""Microseconds since 1970-01-01T00:00:00Z."""

SECOND = 1_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")

# Kubernetes began in 2014; the zero time of Go (year 1) and its opposite (9999) are no dates of events.
PLAUSIBLE_FROM = 946_684_800 * SECOND  # 2000-01-01
PLAUSIBLE_TO = 4_102_444_800 * SECOND  # 2100-01-01


def micros(time: dt.datetime) -> Micros:
    """The instant of an aware datetime, in microseconds."""
    since = time - _EPOCH
    return (since.days * 86400 + since.seconds) * SECOND + since.microseconds


def to_datetime(at: Micros) -> dt.datetime:
    """The aware UTC datetime of an instant in microseconds."""
    return _EPOCH + dt.timedelta(microseconds=at)


def format_time(at: Micros) -> str:
    """RFC 3339 in UTC, always with six fractional digits: ``2026-11-24T03:12:00.000000Z``."""
    return to_datetime(at).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> Micros:
    """An RFC 3339 time, in microseconds.

    :raises ValueError: when it is not one, or has no time zone.
    """
    time = dt.datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: add Z for UTC")
    return micros(time)


def parse_age(text: str) -> Micros | None:
    """A length of time such as ``90s``, ``2h`` or ``1d12h`` in microseconds, or None if it is none."""
    if not text or _AGE.sub("", text):
        return None
    return sum(int(float(number) * _UNIT[unit] * SECOND) for number, unit in _AGE.findall(text))


def parse_when(text: str, now: Micros, zone: dt.tzinfo | None = None) -> Micros:
    """A point in time as people write it: ``2h`` ago, ``now``, ``today``, ``yesterday``, a clock time, or RFC 3339.

    :param now: what "ago" counts from, in microseconds.
    :param zone: the time zone of ``today``, ``03:12`` and dates without one; the machine's if None.
    :raises ValueError: when it is none of these; the text says what is understood.
    """
    text = text.strip()
    if (age := parse_age(text)) is not None:
        return now - age
    here = to_datetime(now).astimezone(zone)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    match text.lower():
        case "now":
            return now
        case "today":
            return micros(midnight)
        case "yesterday":
            return micros(midnight - dt.timedelta(days=1))
    if clock := re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        if hour < 24 and minute < 60 and second < 60:
            at = micros(midnight.replace(hour=hour, minute=minute, second=second))
            return at if at <= now else at - 86400 * SECOND
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write an age (90s, 2h, 1d), now, today, yesterday, 03:12, or 2026-11-24T03:12:00Z"
        ) from None
    return micros(time if time.tzinfo else time.replace(tzinfo=here.tzinfo))
