"""What every test here leaves behind: nothing. No task, no thread, no socket, no open journal."""

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from pipetrail.app import recorder
from pipetrail.kube import discovery, kinds

_HERE = Path(__file__).parent


def _open_files() -> set[str]:
    """The sockets, journals and other files that this process holds open, by descriptor."""
    found: set[str] = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # the descriptor of the listing itself
        if target.startswith("socket:") or ".db" in target:
            found.add(f"{number} {target}")
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Compare threads and files before a test with those after all its fixtures and its loop are gone."""
    if _HERE not in item.path.parents:  # pytest asks this for the tests of other folders, too
        return (yield)
    threads, files = set(threading.enumerate()), _open_files()
    result = yield
    gc.collect()  # a socket that only garbage holds is closed, and warned about
    left = [thread.name for thread in set(threading.enumerate()) - threads]
    assert not left, f"threads left behind: {left}"
    assert not (open_ := _open_files() - files), f"files left open: {open_}"
    return result


@pytest.fixture(scope="session", autouse=True)
def cheap_collections() -> Iterator[None]:
    """Keep the modules out of the collector's sight: it looks after each test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def collector_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder tunes the collector of its process; here it is a guest."""
    monkeypatch.setattr(recorder, "ease_collector", lambda: None)


@pytest_asyncio.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """Fail a test after which a task still runs."""
    yield
    await asyncio.sleep(0)
    here = asyncio.current_task()
    left = [task.get_name() for task in asyncio.all_tasks() if task is not here]
    assert not left, f"tasks left behind: {left}"


@pytest.fixture
def few_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record events, pods, nodes and namespaces only: each kind costs bookmarks, and hours have many."""
    few = tuple(kind for kind in kinds.CORE if kind.key in ("events", "pods", "nodes", "namespaces"))
    monkeypatch.setattr(discovery, "CORE", few)
