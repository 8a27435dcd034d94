"""Senders that wait for milliseconds instead of minutes, and leave no thread behind."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from pipetrail.emitting import sender as module
from pipetrail.emitting.posting import Poster
from pipetrail.emitting.sender import Sender
from tests.emitting.scripted import Scripted
from tests.emitting.sending import PATIENCE, end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipetrail.emitting.place import Server

    MakeSender = Callable[..., Sender]


@pytest.fixture(scope="module")
def hurried() -> Iterator[None]:
    """Let senders write every 10 ms, and come back as soon to a server that does not answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EVERY", 0.01)
        patch.setattr(module, "_BACKOFF", (0.01, 0.05))
        patch.setattr(module, "_FORBIDDEN", 0.1)
        yield


@pytest.fixture(scope="module")
def running() -> Iterator[Scripted]:
    with Scripted() as server:
        yield server


@pytest.fixture
def server(running: Scripted) -> Scripted:
    """The scripted API server, as new."""
    running.reset()
    return running


@pytest.fixture
def make(server: Scripted, hurried: None) -> Iterator[MakeSender]:
    """Makes a sender to the scripted server, or to another."""
    with ExitStack() as stack:

        def new(to: Server | None = None, timeout: float = PATIENCE, capacity: int = module.CAPACITY) -> Sender:
            made = Sender(lambda: Poster(to or server.server, timeout=timeout), capacity=capacity)
            stack.callback(end, made, server)
            return made

        yield new
