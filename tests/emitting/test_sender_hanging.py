"""An API server that hangs holds nobody up, and what it did not get is counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pipetrail.emitting import sender as module
from pipetrail.emitting.place import NowhereError
from pipetrail.emitting.posting import Poster
from pipetrail.emitting.sender import Sender
from tests.emitting.scripted import Scripted
from tests.emitting.sending import PATIENCE, draft, end, put, sending, wait, warnings

if TYPE_CHECKING:
    from tests.emitting.conftest import MakeSender


def test_emitting_does_not_wait_for_a_server_that_hangs(make: MakeSender, server: Scripted) -> None:
    server.hang()
    sender = make()

    took = []
    for number in range(1000):
        began = time.perf_counter()
        put(sender, draft(f"m{number}"))
        took.append(time.perf_counter() - began)
    assert sorted(took)[500] < 0.005  # a hundred times what it takes


def test_what_waits_is_bounded_by_the_capacity(make: MakeSender, server: Scripted) -> None:
    server.hang()
    sender = make(capacity=10)
    taken = sum(put(sender, draft(reason=f"R{number}")) for number in range(500))

    assert taken <= 10 + 10 + 1  # in the queue, in the thread, on its way
    assert sender.lost["queue full"] == 500 - taken


def test_what_a_server_that_hangs_did_not_get_is_told_in_one_line_at_the_end(
    make: MakeSender, server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    server.hang()
    sender = make(capacity=10)
    for number in range(500):
        put(sender, draft(reason=f"R{number}"))
    sender.close(0.05)

    (text,) = warnings(caplog)
    assert text.startswith("pipetrail: 500 emitted events were lost (")
    assert " queue full, " in text
    assert " not sent in time)" in text


def test_closing_takes_no_longer_than_it_may(make: MakeSender, server: Scripted) -> None:
    server.hang()
    sender = make()
    put(sender, draft())

    began = time.monotonic()
    sender.close(0.2)
    assert 0.2 <= time.monotonic() - began < 5


def test_a_flush_that_comes_too_late_says_so(make: MakeSender, server: Scripted) -> None:
    server.hang()
    sender = make()
    put(sender, draft())

    assert not sender.flush(0.05)


def test_a_server_that_hangs_is_given_up_after_its_time_and_asked_again(make: MakeSender, server: Scripted) -> None:
    server.hang()
    sender = make(timeout=0.1)
    put(sender, draft())
    wait(lambda: sender._retry_at)
    server.go_on()

    assert sender.flush(PATIENCE)
    assert server.counts == [1]


def test_closing_sends_what_is_there(make: MakeSender, server: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    sender = make()
    put(sender, draft(), 7)
    sender.close(PATIENCE)

    assert server.counts == [7]
    assert warnings(caplog) == []


def test_nothing_is_taken_after_the_end(make: MakeSender) -> None:
    sender = make()
    sender.close(PATIENCE)

    assert put(sender, draft()) == 0
    assert sender.lost["closed"] == 1


def test_a_sender_that_was_given_nothing_starts_no_thread(make: MakeSender) -> None:
    before = sending()
    sender = make()
    sender.close(PATIENCE)

    assert sending() == before


def test_closing_waits_for_a_login_that_is_under_way(server: Scripted, hurried: None) -> None:
    def connect() -> Poster:
        time.sleep(0.5)
        return Poster(server.server)

    sender = Sender(connect)
    try:
        put(sender, draft())
        wait(lambda: sender._connecting)
        sender.close(0.1)
        assert server.counts == [1]
    finally:
        end(sender, server)


@pytest.mark.parametrize("login", ["fails", "is done"])
def test_closing_waits_for_no_login_that(server: Scripted, hurried: None, login: str) -> None:
    def connect() -> Poster:
        if login == "fails":
            raise NowhereError("no such kubeconfig")
        return Poster(server.server)

    server.hang()
    sender = Sender(connect)
    try:
        put(sender, draft())
        wait(lambda: sender._retry_at or sender._poster)
        began = time.monotonic()
        sender.close(0.1)
        assert time.monotonic() - began < module._LOGIN / 2
    finally:
        end(sender, server)
