"""Sizes and lengths of time, as people write them in the settings of a sink."""

from pipetrail.model import Micros
from pipetrail.model.times import parse_age

_FACTORS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 1 << 10,
    "mi": 1 << 20,
    "gi": 1 << 30,
    "ti": 1 << 40,
}


def size(text: str, *, least: int = 1, such_as: str = "500k, 5Mi or 1Gi") -> int:
    """The bytes of a size such as ``5Mi``, ``500k`` or ``1048576``.

    :param such_as: what an error says to write.
    :raises ValueError: when it is none, or below ``least``.
    """
    digits = text.strip().rstrip("BbKkMmGgTtIi")
    unit = text.strip()[len(digits) :].lower().removesuffix("b")
    if unit not in _FACTORS or not digits.isascii() or not digits.replace(".", "", 1).isdigit():
        raise ValueError(f"{text!r} is no size: write {such_as}")
    found = int(float(digits) * _FACTORS[unit])
    if found < least:
        raise ValueError(f"{text!r} is no size to work with: write {such_as}")
    return found


def age(text: str) -> Micros:
    """The microseconds of a length of time such as ``90s``, ``12h`` or ``1d``.

    :raises ValueError: when it is none.
    """
    found = parse_age(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no length of time: write 90s, 12h or 1d")
    return found
