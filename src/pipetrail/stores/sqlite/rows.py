"""Events as rows of a segment: small numbers for the closed sets, bytes for what is random."""

from uuid import UUID

ORIGINS = ("kubernetes", "status", "gap", "verdict")
SEVERITIES = ("info", "warning", "error")
TYPES = (None, "Normal", "Warning")
ORIGIN_NUMBER = {name: number for number, name in enumerate(ORIGINS)}
SEVERITY_NUMBER = {name: number for number, name in enumerate(SEVERITIES)}
TYPE_NUMBER: dict[str | None, int] = {name: number for number, name in enumerate(TYPES)}

EVENT_COLUMNS = (
    "seq, at, observed_at, hash, origin, severity, type, count, cluster, about, reason, message, action, reporter, "
    "node, related, source_name, source_uid, total, marks, estimated"
)
INT64 = (1 << 63) - 1


def pack_uid(uid: str) -> bytes:
    """A uid in 16 bytes where it is a UUID in its usual form, else as text."""
    if len(uid) == 36:
        try:
            packed = bytes.fromhex(uid.replace("-", ""))
        except ValueError:
            return uid.encode()
        if len(packed) == 16 and str(UUID(bytes=packed)) == uid:
            return packed
    return uid.encode()


def unpack_uid(packed: bytes | None) -> str:
    """The uid again."""
    if not packed:
        return ""
    return str(UUID(bytes=packed)) if len(packed) == 16 else packed.decode()


def pack_name(name: str, about: str) -> str:
    """The name of an Event, which mostly begins with its object's: then only the rest."""
    return name[len(about) :] if about and name.startswith(about + ".") else "=" + name


def unpack_name(packed: str, about: str) -> str:
    """The name again."""
    return packed[1:] if packed.startswith("=") else about + packed
