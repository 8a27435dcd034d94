"""Events as rows of a segment: small numbers for the closed sets, bytes for what is random."""

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
    if len(uid) == 36 and uid[8] == uid[13] == uid[18] == uid[23] == "-" and uid.islower():
        try:
            packed = bytes.fromhex(uid.replace("-", ""))
        except ValueError:
            return uid.encode()
        if len(packed) == 16:  # shorter where there was white space, which fromhex passes over
            return packed
    return uid.encode()


def unpack_uid(packed: bytes | None) -> str:
    """The uid again."""
    if not packed:
        return ""
    if len(packed) != 16:
        return packed.decode()
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def pack_name(name: str, about: str) -> str:
    """The name of an Event, which mostly begins with its object's: then only the rest."""
    return name[len(about) :] if about and name.startswith(about + ".") else "=" + name


def unpack_name(packed: str, about: str) -> str:
    """The name again."""
    return packed[1:] if packed.startswith("=") else about + packed
