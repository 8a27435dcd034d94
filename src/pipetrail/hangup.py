"""SIGHUP while a process starts: it must not end one that would read its configuration anew a moment later."""

import signal
from types import FrameType

_came: list[int] = []


def hold() -> None:
    """Keep a SIGHUP until :func:`release`. Where it is ignored already, as by nohup, it stays so."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _note)


def release() -> None:
    """Let whoever listens by now have one that came; where nobody does, it ends the process."""
    if signal.getsignal(signal.SIGHUP) is _note:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if _came:
        _came.clear()
        signal.raise_signal(signal.SIGHUP)


def _note(number: int, frame: FrameType | None) -> None:
    _came.append(number)
