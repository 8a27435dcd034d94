r"""Cuts a byte stream into JSON lines, at ``\n`` only.

A JSON string may hold U+0085 or U+2028 as they are; whatever splits like ``str.splitlines`` breaks such a line in two.
"""

LIMIT = 64 * 2**20  # far above the largest object that etcd takes (1.5 MiB by default); a longer line is an attack


class LineTooLong(ValueError):
    """A line is longer than the limit."""


class Lines:
    """Collects chunks and gives back whole lines."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self._limit = limit

    def feed(self, chunk: bytes) -> bytes:
        """Take one chunk, return all lines that are complete now, each with its newline (maybe nothing).

        :raises LineTooLong: when the unfinished line passes the limit.
        """
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            # Joining only when the line ends keeps a large object that comes in small chunks linear.
            self._parts.append(chunk)
            self._held += len(chunk)
            if self._held > self._limit:
                raise LineTooLong(f"one line is longer than {self._limit} bytes")
            return b""
        whole = b"".join((*self._parts, chunk[:cut])) if self._parts else chunk[:cut]
        rest = chunk[cut:]
        self._parts = [rest] if rest else []
        self._held = len(rest)
        return whole

    def rest(self) -> bytes:
        """What came after the last newline: a whole line if the server ends its stream without one."""
        return b"".join(self._parts)
