"""``pipetrail.emit`` and what belongs to it: one sender for the process, which finds the pod and the API server itself.

Nothing here raises into the code that calls it (unless ``strict`` was asked for), and nothing waits: a training must
not fail or slow down because its events can't be told.
"""

import atexit
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from pipetrail.emitting import checks
from pipetrail.emitting.checks import InvalidEvent
from pipetrail.emitting.draft import Draft, Object
from pipetrail.emitting.place import Place, find_place, find_server
from pipetrail.emitting.sender import NOWHERE, Sender
from pipetrail.marks import TRUNCATED

if TYPE_CHECKING:
    from pipetrail.emitting.posting import Poster

log = logging.getLogger("pipetrail")

REPORTER = "pipetrail.dev/sdk"
_EXIT_SECONDS = 2.0
_ANSWER_SECONDS = 5.0

About = str | Mapping[str, str | None]
"""An object: ``pod/x``, ``namespace/pod/x``, or a mapping with apiVersion, kind, namespace, name, uid."""


class _Settings:
    """What was configured, over what the environment says."""

    __slots__ = ("about", "context", "kubeconfig", "namespace", "reporter", "run", "step", "strict")

    def __init__(
        self,
        *,
        about: About | None = None,
        kubeconfig: str | None = None,
        context: str | None = None,
        strict: bool = False,
    ) -> None:
        self.about = about
        self.run = os.environ.get("PIPETRAIL_RUN", "")
        self.step = os.environ.get("PIPETRAIL_STEP", "")
        self.namespace = ""
        self.reporter = REPORTER
        self.kubeconfig = kubeconfig
        self.context = context
        self.strict = strict


class _NoPod(InvalidEvent):
    """Nothing was named that an event could be about: it is said once, and not again at the exit."""


class _Process:
    """The state of the SDK in this process; a fork begins a new one."""

    def __init__(self, settings: _Settings) -> None:
        self.settings = settings
        self.place: Place = find_place(os.environ)
        self.instance = (self.place.pod or os.uname().nodename)[: checks.INSTANCE] or "unknown"
        self.sender = Sender(self._connect)
        self.complaints: set[str] = set()

    def _connect(self) -> "Poster":
        settings = self.settings
        if settings.kubeconfig or settings.context or "PIPETRAIL_KUBECONFIG" in os.environ:
            with _importing:
                import subprocess  # noqa: F401 - the login would
        found = find_server(os.environ, settings.kubeconfig, settings.context)
        with _importing:
            # Not before, and in the thread: it brings ssl and http.client.
            import encodings.idna  # noqa: F401 - the first connection would

            from pipetrail.emitting.posting import Poster
        return Poster(found, timeout=_ANSWER_SECONDS)


_process: _Process | None = None
_lock = threading.Lock()
_importing = threading.Lock()
"""Held while the thread imports, and by a fork: a child would have half a module for ever."""


def _here() -> _Process:
    global _process
    found = _process
    if found is None:
        with _lock:
            found = _process
            if found is None:
                found = _process = _Process(_Settings())
    return found


def configure(
    *,
    about: About | None = None,
    run: str | None = None,
    step: str | None = None,
    namespace: str | None = None,
    reporter: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
    strict: bool = False,
) -> None:
    """Set what all later calls go by; without it, a process in a pod finds all of it itself.

    :param about: the object that events are about, where not the pod of this process.
    :param run: the run that they belong to (else ``PIPETRAIL_RUN``), where the recorder can't know it from the pod.
    :param step: the step of it (else ``PIPETRAIL_STEP``).
    :param namespace: where objects are that are named without a namespace.
    :param reporter: who says so, a qualified name such as ``example.com/trainer``.
    :param kubeconfig: send to the cluster of this file (else ``PIPETRAIL_KUBECONFIG``), for a process in no pod.
    :param context: the context of it.
    :param strict: raise :class:`InvalidEvent` for bad input, instead of logging a warning; for tests.
    :raises InvalidEvent: when ``about`` or ``reporter`` can't be used; a mistake here should be seen at once.
    """
    global _process
    settings = _Settings(about=about, kubeconfig=kubeconfig, context=context, strict=strict)
    settings.run = run if run is not None else settings.run
    settings.step = step if step is not None else settings.step
    settings.namespace = checks.label("namespace", namespace) if namespace else ""
    settings.reporter = checks.qualified("reporter", reporter) if reporter else REPORTER
    checks.text("run", settings.run, checks.RUN, required=False)
    checks.text("step", settings.step, checks.RUN, required=False)
    if about is not None:
        Object.meant(about, settings.namespace or "default").check()
    with _lock:
        before, _process = _process, _Process(settings)
    if before is not None:
        before.sender.close(_EXIT_SECONDS)


def emit(
    reason: str,
    message: str = "",
    *,
    type: Literal["Normal", "Warning"] = "Normal",
    about: About | None = None,
    action: str | None = None,
    reporter: str | None = None,
    run: str | None = None,
    step: str | None = None,
    namespace: str | None = None,
) -> bool:
    """Say that something happened; returns at once, and a thread sends it to the API server as a Kubernetes Event.

    The same event again, within ten minutes, counts up the first. A message of over 1,024 bytes is cut, and marked so.

    :param reason: why, in one CamelCase word, at most 128 bytes: ``CheckpointSaved``.
    :param message: for people.
    :param type: ``Warning`` for what somebody should look at.
    :param about: the object; the pod of this process where it is not given.
    :param action: what was done, in one word; the reason where it is not given.
    :returns: False when it is lost already (bad input, a full queue). A warning is logged, once for each reason.
    """
    return _put(_unheard, reason, message, type, about, action, reporter, run, step, namespace)


async def emit_async(
    reason: str,
    message: str = "",
    *,
    type: Literal["Normal", "Warning"] = "Normal",
    about: About | None = None,
    action: str | None = None,
    reporter: str | None = None,
    run: str | None = None,
    step: str | None = None,
    namespace: str | None = None,
) -> bool:
    """The same as :func:`emit`, but returns when the API server has it: True, or False when it is lost.

    Where the server can't be reached this takes until it can; bound it with ``asyncio.timeout`` if need be.
    """
    import asyncio  # whoever calls this has imported it

    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bool] = loop.create_future()

    def answer(done: bool) -> None:
        if not heard.done():
            heard.set_result(done)

    def done(stored: bool) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(answer, stored)

    if not _put(done, reason, message, type, about, action, reporter, run, step, namespace):
        return False
    return await heard


def flush(timeout: float = _EXIT_SECONDS) -> bool:
    """Wait until all that was emitted is with the API server, ``timeout`` seconds at most; whether it is."""
    found = _process
    return found is None or found.sender.flush(timeout)


def _unheard(stored: bool) -> None:
    """Nobody waits for the answer."""


def _put(
    done: Callable[[bool], None],
    reason: str,
    message: str,
    type: str,
    about: About | None,
    action: str | None,
    reporter: str | None,
    run: str | None,
    step: str | None,
    namespace: str | None,
) -> bool:
    here = _here()
    settings = here.settings
    try:
        draft = Draft(
            about=_about(here, about, namespace),
            reason=reason,
            message=message,
            type=type,
            action=action or "",
            reporter=reporter or settings.reporter,
            instance=here.instance,
            namespace=namespace or "",
            run=settings.run if run is None else run,
            step=settings.step if step is None else step,
        )
        if isinstance(message, str) and not (len(message) <= checks.MESSAGE // 4 and message.isprintable()):
            draft = _fitting(draft)
        draft.check()
    except InvalidEvent as error:
        if settings.strict:
            raise
        if error.argument not in here.complaints:
            here.complaints.add(error.argument)
            log.warning("pipetrail: an event was not emitted: %s", error)
        return here.sender.lose(NOWHERE if isinstance(error, _NoPod) else "invalid")
    return here.sender.put(draft, time.time_ns() // 1000, done)


def _about(here: _Process, about: About | None, namespace: str | None) -> Object:
    where = namespace or here.settings.namespace or here.place.namespace
    chosen = about if about is not None else here.settings.about
    if chosen is not None:
        hashable = isinstance(chosen, str) and isinstance(where, str)
        return (_meant if hashable else Object.meant)(chosen, where)
    if here.place.about is None:
        raise _NoPod("about", "this process is in no pod that it could be about; name an object")
    return here.place.about


_meant = lru_cache(256)(Object.meant)


def _fitting(draft: Draft) -> Draft:
    """The draft with a message that fits: without what no terminal should see, and cut, which is marked.

    A log line with its colours is a better message than none.
    """
    message = re.sub(_UNFIT, "\ufffd", re.sub(_COLOURS, "", draft.message))
    encoded = message.encode()
    if len(encoded) <= checks.MESSAGE:
        return draft._replace(message=message) if message != draft.message else draft
    cut = encoded[: checks.MESSAGE - 3].decode("utf-8", "ignore") + "…"
    return draft._replace(message=cut, annotations={**draft.annotations, TRUNCATED: str(len(encoded))})


_COLOURS = r"\x1b\[[0-9;]*m"
_UNFIT = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]"


def _at_exit() -> None:
    if _process is not None:
        _process.sender.close(_EXIT_SECONDS)


def _after_fork() -> None:
    """A child has no thread, and what waits in the queue is sent by its parent."""
    global _process, _lock
    _importing.release()
    _lock = threading.Lock()
    if _process is not None:
        _process = _Process(_process.settings)
    # Supervisors of workers, Airflow's for one, drop the exit handlers that a child inherits.
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


atexit.register(_at_exit)
os.register_at_fork(before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_after_fork)
