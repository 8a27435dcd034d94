"""Two tasks at the ledger of one sink: its lane, and what somebody asks meanwhile."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

import pytest

from pipetrail.sinks.ledger import Ledger
from pipetrail.sinks.schema import StateError
from pipetrail.sinks.state import DeadLetter, Position, Settled, State
from pipetrail.testing.deliveries import START, delivery
from tests.sinks.scripted import virtual_now
from tests.sinks.virtual import VIRTUAL_TIME

pytestmark = VIRTUAL_TIME

P = ParamSpec("P")
T = TypeVar("T")


class Held(Executor):
    """Does what is given to it when a test says so, one after the other."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Future[Any], Callable[[], object]]] = deque()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        done: Future[Any] = Future()
        self._calls.append((done, lambda: fn(*args, **kwargs)))
        return done

    async def run(self, error: Exception | None = None) -> None:
        """Do the next one, or let it fail, and let the tasks see to it."""
        done, call = self._calls.popleft()
        if error is None:
            done.set_result(call())
        else:
            done.set_exception(error)
        await asyncio.sleep(0.1)


@pytest.fixture
def disk() -> Held:
    return Held()


@pytest.fixture
def ledger(state: State, disk: Held) -> Ledger:
    return Ledger("test", "file", state, disk, virtual_now)


async def test_a_write_that_fails_is_told_though_another_task_waited_for_the_one_before(
    ledger: Ledger, disk: Held
) -> None:
    async def lane() -> None:
        await ledger.write(Position(read=2), ledger.figures)

    ledger.bury(delivery(1), "bad")
    await ledger.write(Position(read=1), ledger.figures)
    ledger.bury(delivery(2), "bad")
    tasks = [asyncio.create_task(lane()), asyncio.create_task(ledger.count())]
    await asyncio.sleep(0.1)
    await disk.run()
    await disk.run(StateError("the disk is full"))
    await disk.run()
    await asyncio.gather(*tasks)

    with pytest.raises(StateError, match="the disk is full"):
        await ledger.durable()
    assert ledger.behind
    assert [letter.seq for letter in ledger._dead] == [2]


async def test_what_could_not_be_written_is_written_once_though_two_waited_for_it(
    ledger: Ledger, disk: Held, state: State
) -> None:
    ledger.bury(delivery(1), "bad")
    await ledger.write(Position(read=1), ledger.figures)
    tasks = [asyncio.create_task(ledger.durable()), asyncio.create_task(ledger.count())]
    await asyncio.sleep(0.1)
    await disk.run(StateError("the disk is full"))
    found = await asyncio.gather(*tasks, return_exceptions=True)
    counting = asyncio.create_task(ledger.count())
    await asyncio.sleep(0.1)
    await disk.run()
    await counting

    assert [str(each) for each in found] == ["the disk is full", "the disk is full"]
    assert ledger.figures.dead_letters == 1
    assert len(ledger._dead) == 1


async def test_a_question_that_is_cancelled_ends_no_write(ledger: Ledger, disk: Held, state: State) -> None:
    await ledger.write(Position(read=1), ledger.figures)
    counting = asyncio.create_task(ledger.count())
    await asyncio.sleep(0.1)
    counting.cancel()
    await asyncio.wait([counting])
    await disk.run()
    await ledger.durable()

    assert state.position("test") == Position(read=1, holes=[])


async def test_dead_letters_that_become_due_while_later_ones_are_read_are_tried_again(
    ledger: Ledger, disk: Held, state: State
) -> None:
    dead = [DeadLetter(seq=seq, at=START, reason="bad", delivery=delivery(seq)) for seq in range(1, 7)]
    state.commit("test", Settled(position=Position(read=9), figures=ledger.figures, dead=dead))
    state.retry_dead("test", [3, 4, 5])
    found: list[int] = []

    async def revive() -> None:
        found.extend(letter.seq for letter in await ledger.revived(2))

    first = asyncio.create_task(revive())
    await asyncio.sleep(0.1)
    await disk.run()
    later, asked = asyncio.create_task(revive()), asyncio.create_task(ledger.count())
    await asyncio.sleep(0.1)
    state.retry_dead("test", [1])
    for _ in range(2):
        await disk.run()
    last = asyncio.create_task(revive())
    await asyncio.sleep(0.1)
    await disk.run()
    await asyncio.gather(first, later, asked, last)

    assert found == [3, 4, 5, 1]
