"""However badly the API server answers, nothing is lost or doubled, and who lacks rights is told once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pipetrail.emitting import sender as module
from pipetrail.emitting.place import NotAsked, NowhereError, Server
from pipetrail.emitting.posting import Poster
from pipetrail.emitting.sender import Sender
from tests.emitting.scripted import BUSY, FORBIDDEN, STORED_AND_DROPPED, UNKNOWN, Reply, Scripted
from tests.emitting.sending import PATIENCE, draft, end, put, wait, warnings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emitting.conftest import MakeSender

# --- Answers that are lost


def test_a_create_whose_answer_is_lost_is_not_doubled(make: MakeSender, server: Scripted) -> None:
    server.next.append(STORED_AND_DROPPED)
    sender = make()
    put(sender, draft())

    assert sender.flush(PATIENCE)
    assert server.counts == [1]


def test_repeats_after_a_create_whose_answer_is_lost_are_counted(make: MakeSender, server: Scripted) -> None:
    server.next.extend([STORED_AND_DROPPED, BUSY])
    sender = make()
    put(sender, draft())
    wait(lambda: len(server.asked) == 2)
    put(sender, draft(), 4)

    assert sender.flush(PATIENCE)
    assert server.counts == [5]


def test_a_series_goes_on_through_core_after_a_create_there_whose_answer_is_lost(
    make: MakeSender, server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    server.rule = lambda asked: FORBIDDEN if asked.group != "core" else None
    server.next.extend([FORBIDDEN, STORED_AND_DROPPED])
    sender = make()
    put(sender, draft())
    sender.flush(PATIENCE)
    put(sender, draft(), 4)

    assert sender.flush(PATIENCE)
    assert server.counts == [5]
    assert not [text for text in warnings(caplog) if "can't be emitted" in text]


def test_a_kept_connection_that_the_server_ended_is_opened_again_at_once(
    make: MakeSender, server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    sender = make()
    put(sender, draft("one"))
    sender.flush(PATIENCE)
    server.hang_up()
    put(sender, draft("two"))

    assert sender.flush(PATIENCE)
    assert server.counts == [1, 1]
    assert warnings(caplog) == []


def test_a_busy_server_is_left_alone_for_as_long_as_it_says(
    make: MakeSender, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BACKOFF", (0.01, 3600.0))
    server.next.append(Reply(503, "ServiceUnavailable", {"Retry-After": "3000"}))
    sender = make()
    put(sender, draft())
    wait(lambda: sender._retry_at)

    assert sender._retry_at - time.monotonic() > 2000


def test_a_server_that_says_to_come_back_at_once_is_not_asked_in_a_loop(
    make: MakeSender, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BACKOFF", (3600.0, 7200.0))
    server.rule = lambda _: Reply(503, "ServiceUnavailable", {"Retry-After": "0"})
    sender = make()
    put(sender, draft())
    wait(lambda: sender._retry_at)
    put(sender, draft())  # wakes it
    wait(sender._queue.empty)

    assert len(server.asked) == 1


def test_a_server_that_comes_back_is_told_all(
    make: MakeSender, server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    server.rule = lambda _: BUSY
    sender = make()
    for number in range(5):
        put(sender, draft(f"m{number}"), 2)
    wait(lambda: len(server.asked) > 5)
    server.rule = lambda _: None

    assert sender.flush(PATIENCE)
    assert server.counts == [2] * 5
    assert len(warnings(caplog)) == 1


# --- Rights


def test_who_may_write_core_events_alone_writes_those(
    make: MakeSender, server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    server.rule = lambda asked: FORBIDDEN if asked.group != "core" else None
    sender = make()
    put(sender, draft(), 2)

    assert sender.flush(PATIENCE)
    assert server.stored[0]["involvedObject"]["name"] == "trainer-0"
    assert server.counts == [2]
    assert warnings(caplog) == []


def test_the_api_that_is_allowed_is_asked_first_from_then_on(make: MakeSender, server: Scripted) -> None:
    server.rule = lambda asked: FORBIDDEN if asked.group != "core" else None
    sender = make()
    for number in range(3):
        put(sender, draft(f"m{number}"))
        sender.flush(PATIENCE)

    assert [asked.group for asked in server.asked] == ["events.k8s.io", "core", "core", "core"]


def test_namespaces_with_different_rights_are_each_served(make: MakeSender, server: Scripted) -> None:
    server.rule = lambda asked: FORBIDDEN if (asked.group == "core") != (asked.namespace == "team") else None
    sender = make()
    for _ in range(3):
        put(sender, draft())
        put(sender, draft(namespace="other"))
        sender.flush(PATIENCE)

    assert sorted(server.counts) == [3, 3]


def test_missing_rights_are_told_once(make: MakeSender, server: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    server.rule = lambda _: FORBIDDEN
    sender = make()
    put(sender, draft(), 3)
    wait(lambda: len(server.asked) >= 6)  # it has come back

    (text,) = warnings(caplog)
    assert "into namespace team: the service account needs the verbs create and patch on events" in text


def test_what_waits_for_rights_is_delivered_when_they_come(make: MakeSender, server: Scripted) -> None:
    server.rule = lambda _: FORBIDDEN
    sender = make()
    put(sender, draft(), 3)
    wait(lambda: len(server.asked) >= 2)
    server.rule = lambda _: None

    wait(lambda: sender.delivered == 3)
    assert server.counts == [3]


def test_a_server_that_knows_no_rights_yet_is_asked_again_soon(
    make: MakeSender, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FORBIDDEN", 3600.0)
    server.next.extend([FORBIDDEN, FORBIDDEN])  # one for each API
    sender = make()
    put(sender, draft())

    assert sender.flush(PATIENCE)
    assert server.counts == [1]


def test_a_namespace_without_rights_does_not_hold_up_another(make: MakeSender, server: Scripted) -> None:
    server.rule = lambda asked: FORBIDDEN if asked.namespace == "team" else None
    sender = make()
    put(sender, draft())
    put(sender, draft(namespace="other"))

    wait(lambda: server.counts == [1])


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_event_that_is_refused_is_lost_and_holds_up_nothing(make: MakeSender, server: Scripted, status: int) -> None:
    server.next.append(Reply(status, "Invalid"))
    sender = make()
    put(sender, draft("one"))
    put(sender, draft("two"))

    assert sender.flush(PATIENCE)
    assert (sender.lost["refused"], server.counts) == (1, [1])


def test_a_namespace_that_goes_away_is_not_waited_for(
    make: MakeSender, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "events is forbidden: unable to create new content in namespace team because it is being terminated"
    server.rule = lambda _: Reply(403, gone)
    sender = make()
    put(sender, draft())

    assert sender.flush(PATIENCE)
    assert sender.lost["refused"] == 1


def test_the_token_file_is_read_again_after_it_was_refused(
    make: MakeSender, server: Scripted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    sender = make(Server(url=server.url, token_file=str(token)))
    put(sender, draft("one"))
    sender.flush(PATIENCE)
    token.write_text("new\n")
    server.next.append(UNKNOWN)
    put(sender, draft("two"))

    assert sender.flush(PATIENCE)
    assert [asked.login for asked in server.asked] == ["Bearer old", "Bearer old", "Bearer new"]
    assert warnings(caplog) == []


def test_a_login_that_is_refused_for_good_is_made_anew(server: Scripted, hurried: None) -> None:
    logins = []

    def connect() -> Poster:
        logins.append(1)
        return Poster(Server(url=server.url, authorization=f"Bearer {len(logins)}"))

    server.rule = lambda asked: UNKNOWN if asked.login == "Bearer 1" else None
    sender = Sender(connect)
    try:
        put(sender, draft())
        assert sender.flush(PATIENCE)
        assert (len(logins), server.counts) == (2, [1])
    finally:
        end(sender, server)


def test_a_server_that_appears_later_is_found(server: Scripted, hurried: None) -> None:
    tries = []

    def connect() -> Poster:
        tries.append(1)
        if len(tries) < 3:
            raise NowhereError("no token yet")
        return Poster(server.server)

    sender = Sender(connect)
    try:
        put(sender, draft())
        assert sender.flush(PATIENCE)
        assert server.counts == [1]
    finally:
        end(sender, server)


def test_nowhere_to_send_to_is_told_once(server: Scripted, hurried: None, caplog: pytest.LogCaptureFixture) -> None:
    def connect() -> Poster:
        raise NotAsked("this is no pod")

    sender = Sender(connect)
    try:
        put(sender, draft(), 3)
        put(sender, draft("other"))
        assert sender.flush(PATIENCE)
        sender.close(PATIENCE)
        assert warnings(caplog) == ["pipetrail: emitted events go nowhere: this is no pod"]
    finally:
        end(sender, server)


def test_a_mistake_of_ours_ends_nothing(server: Scripted, hurried: None, caplog: pytest.LogCaptureFixture) -> None:
    tries = []

    def connect() -> Poster:
        tries.append(1)
        if len(tries) == 1:
            raise KeyError("ours")
        return Poster(server.server)

    sender = Sender(connect)
    try:
        put(sender, draft())
        assert sender.flush(PATIENCE)
        assert warnings(caplog) == ["pipetrail: emitting failed"]
    finally:
        end(sender, server)
