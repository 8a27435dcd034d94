"""A verdict in words: the paragraph that a person can forward, the chain, and what else was seen."""

import re
from collections.abc import Iterable, Sequence

from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.diagnosis.verdict import Aside, Step, Verdict
from pipetrail.catalogue import TURNS, filled
from pipetrail.model import ObjectRef
from pipetrail.model.times import format_time

_LONGEST = 400  # characters of a foreign message
_UNFILLED = re.compile(r"<\w+>")
_OPENING = {
    "Succeeded": "succeeded, after it had been tried again",
    "Failed": "failed",
    "Cancelled": "was cancelled",
    "Pending": "waits",
    "Running": "runs, but not as it should",
    "Preempted": "was preempted and waits for its place",
    "Stuck": "is stuck",
    "Zombie": "says that it runs, and does not",
    "Unknown": "is in a state that is not known",
}


def named(about: ObjectRef) -> str:
    """An object as kind and name."""
    return f"{about.kind} {about.name}" if about.kind else about.name


def seen(signal: Signal) -> str:
    """What was seen: the reason, or what it stands for, on which object."""
    word = signal.reason
    if signal.cause is not None and signal.cause.id != word and signal.reason not in (signal.cause.id,):
        word = f"{signal.reason} ({signal.cause.id})"
    times = f", {signal.count} times" if signal.count > 1 else ""
    return f"{word} on {named(signal.about)}{times}"


def quoted(message: str) -> str:
    """A foreign message in one line of a bounded length."""
    text = " ".join(message.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def told(text: str, signal: Signal) -> str:
    """A text of the catalogue with what the message gives; what it does not give is said in general."""
    fields = {"nodes": "some", **signal.fields}
    if signal.container:
        fields.setdefault("container", signal.container)
    done = filled(text, fields)
    return _UNFILLED.sub(lambda found: f"the {found[0][1:-1]}", done)


def meaning(signal: Signal) -> str:
    """What the cause of a signal means."""
    return told(signal.cause.meaning, signal) if signal.cause is not None else ""


def remedy(signal: Signal) -> str:
    """What to do, beginning with the object that it is to be done for."""
    if signal.cause is None:
        return ""
    where = f"{signal.about.namespace}/{signal.about.name}" if signal.about.namespace else signal.about.name
    container = f", container {signal.container}" if signal.container else ""
    return f"{signal.about.kind} {where}{container}: {told(signal.cause.do, signal)}"


def chain(path: Sequence[Signal]) -> tuple[Step, ...]:
    """The steps from the cause to the end."""
    return tuple(
        Step(at=one.at, text=seen(one), events=tuple(one.ids), about=one.about, reason=one.reason) for one in path
    )


def asides(found: Iterable[tuple[Signal, str]], most: int) -> tuple[Aside, ...]:
    """Other things that were seen, each with why it is not the cause."""
    told_: dict[tuple[str, str], Aside] = {}
    for signal, why in found:
        aside = Aside(text=seen(signal), why=why, events=tuple(signal.ids), about=signal.about, reason=signal.reason)
        told_.setdefault((aside.text, why), aside)
        if len(told_) >= most:
            break
    return tuple(told_.values())


def summary(verdict: Verdict, primary: Signal | None, extra: Sequence[str]) -> str:
    """One paragraph."""
    what = f"{verdict.system} {verdict.namespace}/{verdict.name}"
    opening = _OPENING.get(verdict.state, verdict.state)
    if verdict.recovered and verdict.state != "Succeeded":
        opening = "goes on, after a fault"
    if primary is None or not verdict.cause:
        parts = [f"{what} {opening}; the cause can't be determined from what was recorded."]
        if primary is not None:
            parts.append(f"The most that was seen: {seen(primary)} at {format_time(primary.at)}.")
    else:
        where = f" in step {verdict.step}" if verdict.step else ""
        parts = [
            f"{what} {opening}{where}: {_lower(verdict.title)} ({named(primary.about)}, {format_time(primary.at)}).",
            meaning(primary),
        ]
        if primary.message:
            parts.append(f"It said: {quoted(primary.message).rstrip('.')!r}.")
        parts.append(f"Turn: {TURNS.get(verdict.blame, verdict.blame)}.")
    parts += [f"{text[:1].upper()}{text[1:]}." for text in extra if text]
    parts.append(f"Confidence: {verdict.confidence}.")
    if verdict.missing:
        parts.append(f"Missing: {'; '.join(verdict.missing)}.")
    return " ".join(part for part in parts if part)


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:] if title[1:2].islower() else title
