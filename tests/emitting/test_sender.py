"""What was emitted is what the cluster has: repeats are counted, and what is too much is combined and marked."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.emitting import Draft
from pipetrail.emitting import sender as module
from pipetrail.emitting.checks import subdomain
from pipetrail.emitting.posting import Poster
from pipetrail.emitting.sender import Sender, event_name
from pipetrail.marks import TRUNCATED
from tests.emitting.scripted import BUSY, DROPPED, STORED_AND_DROPPED, UNKNOWN, Reply, Scripted
from tests.emitting.sending import PATIENCE, draft, end, put, wait

if TYPE_CHECKING:
    from tests.emitting.conftest import MakeSender

# --- Series


def test_what_is_emitted_once_is_an_event_without_a_series(make: MakeSender, server: Scripted) -> None:
    sender = make()
    put(sender, draft())

    assert sender.flush(PATIENCE)
    assert "series" not in server.stored[0]


def test_repeats_are_one_event_that_counts_them(make: MakeSender, server: Scripted) -> None:
    sender = make()
    put(sender, draft(), 30)
    sender.flush(PATIENCE)
    put(sender, draft(), 20)

    assert sender.flush(PATIENCE)
    assert server.counts == [50]


def test_a_series_ends_with_the_time_of_the_last(make: MakeSender, server: Scripted) -> None:
    sender = make()
    sender.put(draft(), 1_795_000_000_000_001)
    sender.put(draft(), 1_795_000_060_000_002)
    sender.flush(PATIENCE)

    assert server.stored[0]["eventTime"].endswith(".000001Z")
    assert server.stored[0]["series"]["lastObservedTime"].endswith(".000002Z")


def test_a_repeat_after_the_window_is_a_new_event(make: MakeSender, server: Scripted) -> None:
    sender = make()
    sender.put(draft(), 1_795_000_000_000_000)
    sender.put(draft(), 1_795_000_000_000_001 + int(module.WINDOW * 1e6))
    sender.flush(PATIENCE)

    assert server.counts == [1, 1]


@pytest.mark.parametrize(
    "other", [draft(reason="R2"), draft(namespace="other"), draft(type="Warning"), draft(step="s"), draft("m2")]
)
def test_what_differs_in_anything_is_an_event_of_its_own(make: MakeSender, server: Scripted, other: Draft) -> None:
    sender = make()
    put(sender, draft())
    put(sender, other)
    sender.flush(PATIENCE)

    assert server.counts == [1, 1]


def test_a_series_is_written_now_and_then_and_not_for_each_repeat(
    make: MakeSender, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 3600.0)
    sender = make()
    put(sender, draft())
    sender.flush(PATIENCE)
    for _ in range(200):
        put(sender, draft())
        time.sleep(0.0005)
    sender.flush(PATIENCE)

    assert server.counts == [201]
    assert len(server.asked) <= 3


STEPS = st.lists(
    st.tuples(st.just("emit"), st.integers(0, 5), st.integers(1, 8)) | st.tuples(st.sampled_from(["flush", "expire"])),
    max_size=12,
)


@given(STEPS)
def test_the_counts_add_up_to_what_was_emitted_though_events_expire(
    hurried: None, running: Scripted, steps: list[tuple[Any, ...]]
) -> None:
    running.reset()
    sender = Sender(lambda: Poster(running.server, timeout=PATIENCE))
    emitted = 0
    try:
        for what, *more in steps:
            if what == "emit":
                emitted += put(sender, draft(f"message {more[0]}"), more[1])
            elif what == "flush":
                assert sender.flush(PATIENCE)
            else:
                assert sender.flush(PATIENCE)  # what the cluster took and forgot before we heard of it can't be known
                running.forget()
        assert sender.flush(PATIENCE)
        assert sum(running.counts) == emitted == sender.delivered
    finally:
        end(sender, running)


FAULTS = st.sampled_from([BUSY, DROPPED, STORED_AND_DROPPED, Reply(500), Reply(429), UNKNOWN, Reply(503)])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.booleans()), min_size=1, max_size=6),
    st.lists(FAULTS, max_size=4),
)
def test_the_counts_add_up_whatever_the_server_answers_first(
    hurried: None, running: Scripted, steps: list[tuple[int, int, bool]], faults: list[Reply]
) -> None:
    running.reset()
    running.next.extend(faults)
    sender = Sender(lambda: Poster(running.server, timeout=PATIENCE))
    emitted = 0
    try:
        for number, times, flushed in steps:
            emitted += put(sender, draft(f"message {number}"), times)
            assert not flushed or sender.flush(PATIENCE)
        assert sender.flush(PATIENCE)
        assert sum(running.counts) == emitted == sender.delivered
    finally:
        end(sender, running)


# --- Too many of a kind


def test_messages_above_the_limit_are_combined_and_marked(make: MakeSender, server: Scripted) -> None:
    sender = make()
    for number in range(module.SIMILAR + 30):
        put(sender, draft(f"step {number}"))
    sender.flush(PATIENCE)

    assert server.counts == [1] * module.SIMILAR + [30]
    assert server.combined == [29]  # the first of them is told by its own message


def test_a_combined_event_that_grows_says_so(make: MakeSender, server: Scripted) -> None:
    sender = make()
    for number in range(module.SIMILAR + 3):
        put(sender, draft(f"step {number}"))
    sender.flush(PATIENCE)
    for number in range(5):
        put(sender, draft(f"late {number}"))
    sender.flush(PATIENCE)

    assert (server.counts[-1], server.combined) == (8, [7])


def test_repeats_of_known_messages_are_told_exactly_above_the_limit(make: MakeSender, server: Scripted) -> None:
    sender = make()
    for number in range(module.SIMILAR):
        put(sender, draft(f"step {number}"))
    put(sender, draft("step 0"), 9)
    sender.flush(PATIENCE)

    assert (server.counts[0], server.combined) == (10, [])


def test_messages_that_were_cut_are_combined_though_their_lengths_differ(make: MakeSender, server: Scripted) -> None:
    sender = make()
    for number in range(module.SIMILAR + 30):
        put(sender, draft(f"step {number}", annotations={TRUNCATED: str(2000 + number)}))
    sender.flush(PATIENCE)

    assert server.counts == [1] * module.SIMILAR + [30]


def test_an_expired_event_is_made_anew_with_what_the_cluster_does_not_know(make: MakeSender, server: Scripted) -> None:
    sender = make()
    put(sender, draft(), 5)
    sender.flush(PATIENCE)
    server.forget()
    put(sender, draft(), 3)
    sender.flush(PATIENCE)

    assert server.counts == [5, 3]


# --- Who else is concerned


def test_whoever_waits_is_told_when_it_is_stored(make: MakeSender, server: Scripted) -> None:
    heard: list[bool] = []
    sender = make()
    sender.put(draft(), time.time_ns() // 1000, heard.append)

    assert sender.flush(PATIENCE)
    assert heard == [True]


def test_whoever_waits_is_told_when_it_is_refused(make: MakeSender, server: Scripted) -> None:
    server.next.append(Reply(422, "Invalid"))
    heard: list[bool] = []
    sender = make()
    sender.put(draft(), time.time_ns() // 1000, heard.append)

    assert sender.flush(PATIENCE)
    assert heard == [False]


def test_whoever_waits_is_told_when_the_sender_ends(make: MakeSender, server: Scripted) -> None:
    server.rule = lambda _: BUSY
    heard: list[bool] = []
    sender = make()
    sender.put(draft(), time.time_ns() // 1000, heard.append)
    wait(lambda: server.asked)
    sender.close(0.0)

    wait(lambda: heard)
    assert heard == [False]


def test_threads_that_emit_at_once_lose_nothing(make: MakeSender, server: Scripted) -> None:
    sender = make()
    threads = [threading.Thread(target=put, args=(sender, draft(f"m{number % 2}"), 200)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sender.flush(PATIENCE)
    assert sum(server.counts) == 1600


@pytest.mark.parametrize("about", ["trainer-0", "system:node", "Ünï", "a" * 253, "...", "-"])
def test_the_name_of_an_event_is_a_name(about: str) -> None:
    subdomain("name", event_name(about))
