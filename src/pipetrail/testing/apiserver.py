"""A scripted Kubernetes API server: plays a case that is given as data, and else behaves like the real one.

It listens on loopback in the test's own event loop. Every duration is loop time, so under a virtual clock (looptime)
hours pass in milliseconds; open it inside the test, not in a fixture, because fixtures run on the true clock.

    case = Case(name="one event", objects={"events": [{"metadata": {"name": "e"}}]})
    async with serve(case) as server:
        ...                                  # talk to server.url
        server.put("events", {"metadata": {"name": "f"}})

What it serves: discovery, ``/version``, ``/readyz``, and get, list and watch of the kinds in its store. It answers a
request that it would have to misread (selectors, watch lists, writing) with an error instead of ignoring the wish.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from pipetrail.testing.apiserver_case import (
    AddCrd,
    Allow,
    Answer,
    Case,
    ClearFaults,
    Compact,
    Delete,
    EmptyAnswer,
    Fault,
    FaultAction,
    Forbid,
    HeadersOnly,
    Inject,
    Kill,
    NoAnswer,
    Put,
    RemoveCrd,
    Reset,
    RestoreBackup,
    RotateTokens,
    Stream,
    TimelineAction,
    expired_continue,
)
from pipetrail.testing.apiserver_server import EPOCH, Request, ScriptedServer
from pipetrail.testing.apiserver_store import Generated
from pipetrail.testing.apiserver_wire import Object, failure, frame

__all__ = [
    "EPOCH",
    "AddCrd",
    "Allow",
    "Answer",
    "Case",
    "ClearFaults",
    "Compact",
    "Delete",
    "EmptyAnswer",
    "Fault",
    "FaultAction",
    "Forbid",
    "Generated",
    "HeadersOnly",
    "Inject",
    "Kill",
    "NoAnswer",
    "Object",
    "Put",
    "RemoveCrd",
    "Request",
    "Reset",
    "RestoreBackup",
    "RotateTokens",
    "ScriptedServer",
    "Stream",
    "TimelineAction",
    "expired_continue",
    "failure",
    "frame",
    "serve",
]


@contextlib.asynccontextmanager
async def serve(case: Case, *, now: Callable[[], dt.datetime] | None = None) -> AsyncIterator[ScriptedServer]:
    """Run a scripted API server for one case, on a free loopback port.

    On leaving, nothing of it is left: no task, no socket. An impossible timeline action, or an exception while
    answering, is raised on leaving, unless the test itself has failed already.

    :param now: the cluster's clock, for time stamps; its default follows the loop's.
    """
    server = ScriptedServer(case, now)
    # handler_cancellation: a handler that waits for ever must end when its client goes away.
    runner = web.ServerRunner(web.Server(server.answer, handler_cancellation=True, access_log=None))
    await runner.setup()
    # Not a TaskGroup: it would wrap every failed assertion of the test in an exception group.
    timeline = asyncio.create_task(server.play(), name=f"timeline of {case.name}")
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
        if timeline.done():
            timeline.result()
        server.raise_errors()
    finally:
        timeline.cancel()
        server.hang_up()
        await runner.cleanup()
        await asyncio.gather(timeline, return_exceptions=True)
