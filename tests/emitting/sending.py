"""What tests of the sender do again and again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from pipetrail.emitting import Draft, Object

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pipetrail.emitting.sender import Sender
    from tests.emitting.scripted import Scripted

PATIENCE = 20.0  # seconds: a hundred times what it takes


def draft(message: str = "m", reason: str = "R", namespace: str = "team", **fields: Any) -> Draft:
    """An Event to be, about a pod."""
    about = Object(kind="Pod", name="trainer-0", namespace=namespace, api_version="v1")
    return Draft(about=about, reason=reason, message=message, reporter="r", instance="i", **fields)


def put(sender: Sender, one: Draft, times: int = 1) -> int:
    """Emit it, and return how often it was taken."""
    return sum(sender.put(one, time.time_ns() // 1000) for _ in range(times))


def end(sender: Sender, server: Scripted | None = None) -> None:
    """End a sender and its thread."""
    sender.close(0.0)
    if server is not None:
        server.go_on()
        server.hang_up()
    if sender._thread is not None:
        sender._thread.join(PATIENCE)
        assert not sender._thread.is_alive()


def wait(predicate: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return when something is so."""
    limit = time.monotonic() + patience
    while not predicate():
        assert time.monotonic() < limit, "it did not come to be"
        time.sleep(0.005)


def sending() -> set[threading.Thread]:
    """The threads that send."""
    return {thread for thread in threading.enumerate() if thread.name == "pipetrail-emit"}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What users were told."""
    return [record.getMessage() for record in caplog.records if record.name == "pipetrail"]
