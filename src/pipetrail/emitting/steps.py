"""Steps of a run, told as they begin and end: ``with pipetrail.step("train"):`` or a decorator.

How a step failed is told by the type of the exception and never by its text, which may hold a password.
"""

import time
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar

from pipetrail.emitting.sdk import About, emit

F = TypeVar("F", bound=Callable[..., Any])

STARTED, COMPLETED, FAILED = "StepStarted", "StepCompleted", "StepFailed"
PROGRESS, CHECKPOINT = "StepProgress", "CheckpointSaved"
PROGRESS_SECONDS = 30.0


class step:
    """One step of a run: emits StepStarted, then StepCompleted or StepFailed (a Warning).

    Use it with ``with``, with ``async with``, or as a decorator of a function or coroutine function, which may run
    many times and at once.

    :param name: of the step, at most 1,024 bytes.
    :param run: the run that it belongs to, where the recorder can't know it from the pod.
    :param about: the object that its events are about; the pod of this process where it is not given.
    """

    def __init__(self, name: str, *, run: str | None = None, about: About | None = None) -> None:
        self.name = name
        self._run = run
        self._about = about
        self._started = 0.0
        self._progress_at = -PROGRESS_SECONDS

    def __call__(self, function: F) -> F:
        """The function, with each call of it a step."""

        def again() -> step:
            return step(self.name, run=self._run, about=self._about)

        from inspect import iscoroutinefunction  # 5 ms, for decorators alone

        if iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]

    def __enter__(self) -> "step":
        self._started = time.monotonic()
        self._emit(STARTED, f"{self.name} started")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        after = f"after {time.monotonic() - self._started:.1f} s"
        if kind is None or (kind is SystemExit and getattr(error, "code", None) in (None, 0)):
            self._emit(COMPLETED, f"{self.name} completed {after}")
        else:
            self._emit(FAILED, f"{self.name} failed {after}: {_name(kind)}", "Warning")

    async def __aenter__(self) -> "step":
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def progress(self, done: float, total: float | None = None, message: str = "") -> bool:
        """Tell how far it is, at most every 30 seconds (what comes sooner is left out); the end is always told.

        :returns: whether it was emitted.
        """
        now = time.monotonic()
        if now - self._progress_at < PROGRESS_SECONDS and not _ended(done, total):
            return False
        self._progress_at = now
        return self._emit(PROGRESS, f"{self.name}: {progress_text(done, total, message)}")

    def checkpoint(self, where: str, message: str = "") -> bool:
        """Tell that a checkpoint was saved, and where."""
        return self._emit(CHECKPOINT, f"{self.name}: {checkpoint_text(where, message)}")

    def _emit(self, reason: str, message: str, type: Any = "Normal") -> bool:
        return emit(reason, message, type=type, about=self._about, run=self._run, step=self.name)


def progress(done: float, total: float | None = None, message: str = "") -> bool:
    """Tell how far the work is, outside of a step. Unlike :meth:`step.progress`, it is told each time."""
    return emit(PROGRESS, progress_text(done, total, message))


def checkpoint(where: str, message: str = "") -> bool:
    """Tell that a checkpoint was saved, and where, outside of a step."""
    return emit(CHECKPOINT, checkpoint_text(where, message))


def progress_text(done: float, total: float | None, message: str) -> str:
    """``120 of 1000 (12 %)``, and a message."""
    try:
        text = f"{done:g}" if total is None else f"{done:g} of {total:g}"
        if total:
            text += f" ({done / total:.0%})".replace("%", " %")
    except (TypeError, ValueError, ArithmeticError):  # no numbers: a training must not fail for it
        text = f"{done}" if total is None else f"{done} of {total}"
    return f"{text}, {message}" if message else text


def _ended(done: float, total: float | None) -> bool:
    try:
        return total is not None and done >= total
    except (TypeError, ValueError):
        return False


def checkpoint_text(where: str, message: str) -> str:
    """Where, and a message."""
    return f"checkpoint {where}, {message}" if message else f"checkpoint {where}"


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
