"""Events as rows of a segment: small numbers for the closed sets, bytes for what is random."""

from collections.abc import Iterable

import msgspec

ORIGINS = ("kubernetes", "status", "gap", "verdict")
SEVERITIES = ("info", "warning", "error")
TYPES = (None, "Normal", "Warning")
ORIGIN_NUMBER = {name: number for number, name in enumerate(ORIGINS)}
SEVERITY_NUMBER = {name: number for number, name in enumerate(SEVERITIES)}
TYPE_NUMBER: dict[str | None, int] = {name: number for number, name in enumerate(TYPES)}

EVENT_COLUMNS = (
    "seq, at, observed_at, hash, origin, severity, type, count, cluster, about, reason, message, action, reporter, "
    "node, related, source_name, source_uid, total, marks, estimated, run"
)
INT64 = (1 << 63) - 1


def listed(values: Iterable[int] | Iterable[str]) -> str:
    """Values as one, for ``json_each(?)``: there may be more of them than a statement may have values."""
    return msgspec.json.encode(sorted(values)).decode()


def pack_uid(uid: str) -> bytes:
    """A uid in 16 bytes where it is a UUID in its usual form, else as marked text of any other length."""
    if len(uid) == 36 and uid[8:24:5] == "----":
        digits = uid.replace("-", "")
        try:
            packed = bytes.fromhex(digits)
        except ValueError:
            packed = b""
        if packed.hex() == digits:  # else it has capitals, white space or more dashes: it must come back as it was
            return packed
    if not uid:
        return b""
    text = uid.encode()
    return text + b"=" if len(text) != 15 else text + b"!!"


def unpack_uid(packed: bytes | None) -> str:
    """The uid again."""
    if not packed:
        return ""
    if len(packed) != 16:
        return (packed[:-1] if packed.endswith(b"=") else packed[:-2]).decode()
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def pack_name(name: str, about: str) -> str:
    """The name of an Event, which mostly begins with its object's: then only the rest."""
    length = len(about)
    return name[length:] if length and name[length : length + 1] == "." and name.startswith(about) else "=" + name


def unpack_name(packed: str, about: str) -> str:
    """The name again."""
    return packed[1:] if packed.startswith("=") else about + packed
