"""Values as people write them: sizes, ages, addresses; and the default journal."""

import os
from pathlib import Path

from pipetrail.model import Micros
from pipetrail.model.times import parse_age
from pipetrail.sinks.amounts import size


def default_journal() -> str:
    """The journal of this user: ``$XDG_STATE_HOME/pipetrail/journal.db``."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(state) / "pipetrail" / "journal.db")


def parse_size(text: str) -> int | None:
    """A size such as ``10Gi`` or ``500M`` in bytes; None for 0.

    :raises ValueError: when it is none.
    """
    return size(text, least=0, such_as="500M, 10Gi or 0 for no bound") or None


def parse_retention_age(text: str) -> Micros | None:
    """An age such as ``30d`` in microseconds; None for 0.

    :raises ValueError: when it is none.
    """
    if text.strip() == "0":
        return None
    age = parse_age(text.strip())
    if age is None:
        raise ValueError(f"{text!r} is no age: write 12h, 30d or 0 for no bound")
    return age or None


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``; an IPv6 address stands in brackets.

    :raises ValueError: when it is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address: write 127.0.0.1:8380")
    return host.strip("[]"), int(port)
