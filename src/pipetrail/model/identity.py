"""Identities that are derived, never drawn: the same fact, seen again, has the same id.

An event id is the time of the fact (14 hex digits of microseconds) and a 63-bit hash (16 hex digits): ids sort by time,
and an event is found by its id through the index on time, so the journal needs no index on a random key.
"""

import re
from hashlib import blake2b

_MASK = (1 << 63) - 1
_ID = re.compile(r"[0-9a-f]{14}[0-7][0-9a-f]{15}", re.IGNORECASE | re.ASCII)
_GOLDEN = 0x9E3779B97F4A7C15


def fingerprint(*parts: str) -> int:
    """A 63-bit hash of some strings, the same on every machine and for ever."""
    return int.from_bytes(blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).digest()) & _MASK


def uid_key(uid: str) -> int:
    """A 63-bit key of a uid. A uid is random already, so 64 of its own bits do; anything else is hashed."""
    if len(uid) == 36:
        try:
            return int(uid[:8] + uid[28:], 16) & _MASK
        except ValueError:
            pass
    return fingerprint(uid)


def increment_hash(cluster: int, key: int, total: int) -> int:
    """The hash of the increment that brought a Kubernetes Event (``key``) of a cluster to ``total`` occurrences."""
    return ((cluster ^ key) + total * _GOLDEN) & _MASK


def event_id(at: int, hash63: int) -> str:
    """The id of the event with that time (microseconds, not before 1970) and hash."""
    # By way of bytes it takes a quarter of the time that formatting does, and each event that is sent has one.
    return ((at if at > 0 else 0) << 64 | hash63).to_bytes(16).hex()[2:]


def parse_event_id(text: str) -> tuple[int, int]:
    """The time and the hash in an event id.

    :raises ValueError: when the text is no event id.
    """
    if not _ID.fullmatch(text):
        raise ValueError(f"{text!r} is no event id: it has 30 hexadecimal digits, the 15th below 8")
    return int(text[:14], 16), int(text[14:], 16)
