"""Pulumi programs run in this process against mocks: no engine, no cluster, nothing left of one run in the next."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import mocks, reset_options
from pulumi.runtime.stack import run_pulumi_func

from pipetrail.pulumi import PipelineEvent, PipelineEvents

if TYPE_CHECKING:
    from collections.abc import Callable

CORE_TYPE = "kubernetes:core/v1:Event"
EVENTS_TYPE = "kubernetes:events.k8s.io/v1:Event"
PLAIN: dict[str, Any] = {
    "about": "machine-learning/pod/train-0",
    "reason": "PipelineExecution",
    "message": "the pipeline is triggered",
}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "namespace": "machine-learning", "name": "train"}
UID = "3c4d5e6f-0000-4000-8000-000000000000"


class Program(mocks.Mocks):
    """What a program registered; `exported` gets the values that it hands to `export`."""

    def __init__(self, uid: str = UID) -> None:
        self.registered: list[mocks.MockResourceArgs] = []
        self.exported: dict[str, Any] = {}
        self._uid = uid

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Take a resource; those of Kubernetes get a uid, as of an API server."""
        self.registered.append(args)
        state = dict(args.inputs)
        if args.typ.startswith("kubernetes:"):
            state["metadata"] = {**state.get("metadata", {}), "uid": self._uid}
        return f"{args.name}-id", state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Refuse; no program here calls a function."""
        raise AssertionError(f"{args.token} was called")

    def export(self, **values: pulumi.Input[Any]) -> None:
        """Keep what some outputs turn out to be."""
        pulumi.Output.all(**values).apply(self.exported.update)

    @property
    def events(self) -> list[mocks.MockResourceArgs]:
        """The Events among what was registered."""
        return [one for one in self.registered if one.typ in (CORE_TYPE, EVENTS_TYPE)]

    @property
    def event(self) -> dict[str, Any]:
        """The inputs of the only Event."""
        (found,) = self.events
        return dict(found.inputs)


def run(
    program: Callable[[Program], object], *, uid: str = UID, preview: bool = False, seen: Program | None = None
) -> Program:
    """Run a program to its end, into `seen` if given; raises what it raises, at once or in an output."""
    seen = seen or Program(uid)
    # Pulumi keeps its settings in context variables: what happens in a copy leaves none behind.
    contextvars.copy_context().run(_run, program, seen, preview)
    return seen


def declare(**arguments: Any) -> Program:
    """Run a program with one event, called `fact`."""
    return run(lambda _: PipelineEvent("fact", **PLAIN | arguments))


def declare_about(make: Callable[[], Any], uid: str = UID, **arguments: Any) -> dict[str, Any]:
    """The Event about a resource that the same program makes."""
    return run(lambda _: PipelineEvent("fact", **PLAIN | {"about": make()} | arguments), uid=uid).event


def declare_many(own: Any, shared: Any = PLAIN) -> Program:
    """Run a program with several events, called `facts`."""
    return run(lambda _: PipelineEvents("facts", own, shared=shared))


def _run(program: Callable[[Program], object], seen: Program, preview: bool) -> None:
    loop, thread_loop = asyncio.new_event_loop(), asyncio.new_event_loop()
    # The mocks want an event loop in the thread that asks them, and would make one that nobody closes.
    executor = ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(thread_loop,))
    loop.set_default_executor(executor)
    # An output that fails does so in each of the many that come from it; the first is raised, and enough.
    loop.set_exception_handler(lambda *_: None)
    asyncio.set_event_loop(loop)
    try:
        reset_options()
        mocks.set_mocks(seen, project="ml", stack="dev", preview=preview)
        loop.run_until_complete(run_pulumi_func(lambda: _nothing(program(seen))))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
        thread_loop.close()


def _nothing(_: object) -> None:
    """A program's value is of no interest; were it an awaitable, Pulumi would wait for it."""
