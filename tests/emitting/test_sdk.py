"""`pipetrail.emit` in the code of others: it finds its pod, never raises and never slows down."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipetrail
from pipetrail.emitting import Draft, InvalidEvent, Object, sdk
from pipetrail.emitting.posting import Poster
from pipetrail.emitting.sender import Sender
from pipetrail.marks import TRUNCATED
from tests.emitting.scripted import BUSY, Reply, Scripted
from tests.emitting.sending import PATIENCE, end, wait, warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT = "team/pod/trainer-0"


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pod and no kubeconfig, wherever the tests run."""
    for name in list(os.environ):
        if name.startswith(("KUBERNETES_", "POD_", "NODE_NAME", "PIPETRAIL_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(sdk, "_process", None)


@pytest.fixture
def sent(outside: None, server: Scripted, hurried: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """The scripted server, which this process emits to from the pod trainer-0 of the namespace team."""
    monkeypatch.setenv("POD_NAME", "trainer-0")
    monkeypatch.setenv("POD_NAMESPACE", "team")
    monkeypatch.setattr(sdk._Process, "_connect", lambda _: Poster(server.server, timeout=PATIENCE))
    made: list[Sender] = []
    init = Sender.__init__

    def noted(self: Sender, *arguments: Any, **options: Any) -> None:
        init(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(Sender, "__init__", noted)
    yield server
    for sender in made:
        end(sender, server)


def told(server: Scripted) -> list[tuple[str, str, str]]:
    """Type, reason and message of all Events."""
    assert pipetrail.flush(PATIENCE)
    return [(event["type"], event["reason"], event["note"]) for event in server.stored]


def test_an_event_is_about_the_pod_that_emits_it(sent: Scripted) -> None:
    assert pipetrail.emit("DataArrived", "1,204 files")
    assert told(sent) == [("Normal", "DataArrived", "1,204 files")]
    (event,) = sent.stored
    assert event["regarding"] == {"apiVersion": "v1", "kind": "Pod", "namespace": "team", "name": "trainer-0"}
    assert (event["reportingController"], event["reportingInstance"]) == ("pipetrail.dev/sdk", "trainer-0")


def test_what_is_configured_goes_before_what_the_environment_says(
    sent: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPETRAIL_RUN", "by-environment")
    monkeypatch.setenv("PIPETRAIL_STEP", "by-environment")
    pipetrail.configure(about="job/train", namespace="other", run="nightly", reporter="example.com/me")
    pipetrail.emit("R")
    pipetrail.flush(PATIENCE)

    (event,) = sent.stored
    assert event["regarding"] == {"apiVersion": "batch/v1", "kind": "Job", "namespace": "other", "name": "train"}
    assert event["metadata"]["annotations"] == {"pipetrail.dev/run": "nightly", "pipetrail.dev/step": "by-environment"}
    assert event["reportingController"] == "example.com/me"


def test_what_a_call_says_goes_before_what_is_configured(sent: Scripted) -> None:
    pipetrail.configure(about="job/train", run="nightly", step="load")
    pipetrail.emit("R", about={"kind": "Pod", "name": "x", "namespace": "there"}, run="", step="eval", action="A")
    pipetrail.flush(PATIENCE)

    (event,) = sent.stored
    assert event["regarding"]["name"] == "x"
    assert event["action"] == "A"
    assert event["metadata"]["annotations"] == {"pipetrail.dev/step": "eval"}


@pytest.mark.parametrize(
    "fields", [{"about": "x"}, {"reporter": "a b"}, {"namespace": "A"}, {"run": "a\nb"}, {"step": "s" * 1025}]
)
def test_a_mistake_in_the_configuration_is_seen_at_once(sent: Scripted, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        pipetrail.configure(**fields)


# --- It never raises

ARGUMENTS = ["type", "about", "action", "reporter", "run", "step", "namespace"]
JUNK: Any = (
    st.none() | st.integers() | st.text(max_size=5) | st.binary(max_size=3) | st.lists(st.integers(), max_size=2)
)
JUNK |= st.dictionaries(st.text(max_size=3), st.integers(), max_size=2) | st.floats() | st.just("\ud800" * 600)


@given(
    st.fixed_dictionaries(
        {"reason": JUNK, "message": JUNK},
        optional=dict.fromkeys(
            ["type", "about", "action", "reporter", "run", "step", "namespace"], JUNK | st.just("pod/x")
        ),
    )
)
def test_whatever_is_emitted_nothing_is_raised(fields: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdk, "_process", sdk._Process(sdk._Settings()))
        patch.setattr(Sender, "_start", lambda _: None)
        assert isinstance(pipetrail.emit(**fields), bool)


@given(JUNK, JUNK, JUNK)
def test_whatever_a_step_is_told_nothing_is_raised(name: Any, number: Any, text: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdk, "_process", sdk._Process(sdk._Settings()))
        patch.setattr(Sender, "_start", lambda _: None)
        with pipetrail.step(name, run=text, about="team/pod/x") as step:
            step.progress(number, text, text)
            step.progress(number, 0)
            step.checkpoint(text)
        pipetrail.progress(number, text)


def test_bad_input_is_told_once_for_each_argument(sent: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert not pipetrail.emit("r" * 129)
        assert not pipetrail.emit("R", type="Bogus")  # type: ignore[arg-type]

    assert [text.split(" it has")[0] for text in warnings(caplog)] == [
        "pipetrail: an event was not emitted: reason:",
        "pipetrail: an event was not emitted: type: 'Bogus' is none of Normal, Warning",
    ]


def test_strict_raises_for_bad_input(sent: Scripted) -> None:
    pipetrail.configure(strict=True)

    with pytest.raises(InvalidEvent, match="reason: it has 129 bytes"):
        pipetrail.emit("r" * 129)


def test_a_long_message_is_cut_and_marked(sent: Scripted) -> None:
    pipetrail.emit("R", "ü" * 1000)
    pipetrail.flush(PATIENCE)

    (event,) = sent.stored
    assert len(event["note"].encode()) <= 1024
    assert event["note"] == "ü" * 510 + "…"
    assert event["metadata"]["annotations"] == {TRUNCATED: "2000"}


def test_a_message_that_just_fits_is_not_cut(sent: Scripted) -> None:
    pipetrail.emit("R", "ü" * 512)

    assert told(sent) == [("Normal", "R", "ü" * 512)]


# --- Steps


def test_a_step_tells_its_begin_and_end(sent: Scripted) -> None:
    with pipetrail.step("train", run="nightly"):
        pass

    (started, completed) = told(sent)
    assert started == ("Normal", "StepStarted", "train started")
    assert completed[:2] == ("Normal", "StepCompleted")
    assert completed[2].startswith("train completed after 0.")
    assert {event["metadata"]["labels"]["pipetrail.dev/step"] for event in sent.stored} == {"train"}


def test_a_step_that_fails_is_told_by_the_type_and_never_by_the_text(sent: Scripted) -> None:
    with pytest.raises(ValueError, match="hunter2"), pipetrail.step("train"):
        raise ValueError("password=hunter2")

    failed = told(sent)[1]
    assert failed[:2] == ("Warning", "StepFailed")
    assert failed[2].endswith(": ValueError")
    assert "hunter2" not in repr(sent.asked)


def test_an_exception_of_a_library_is_told_with_its_module(sent: Scripted) -> None:
    with pytest.raises(InvalidEvent), pipetrail.step("train"):
        raise InvalidEvent("a", "b")

    assert told(sent)[1][2].endswith(": pipetrail.emitting.checks.InvalidEvent")


@pytest.mark.parametrize(("code", "reason"), [(0, "StepCompleted"), (None, "StepCompleted"), (1, "StepFailed")])
def test_an_exit_is_judged_by_its_code(sent: Scripted, code: int | None, reason: str) -> None:
    with pytest.raises(SystemExit), pipetrail.step("train"):
        sys.exit(code)

    assert told(sent)[1][1] == reason


def test_a_function_can_be_a_step(sent: Scripted) -> None:
    @pipetrail.step("train")
    def train(number: int) -> int:
        """Train."""
        return number + 1

    assert (train(1), train(number=2), train.__doc__) == (2, 3, "Train.")
    assert {reason for _, reason, _ in told(sent)} == {"StepStarted", "StepCompleted"}
    assert sum(sent.counts) == 4


async def test_a_coroutine_function_can_be_a_step(sent: Scripted) -> None:
    @pipetrail.step("train")
    async def train() -> int:
        await asyncio.sleep(0)
        raise KeyError("secret")

    with pytest.raises(KeyError):
        await train()
    assert await asyncio.to_thread(pipetrail.flush, PATIENCE)
    assert [event["reason"] for event in sent.stored] == ["StepStarted", "StepFailed"]


async def test_a_step_can_be_entered_with_async_with(sent: Scripted) -> None:
    async with pipetrail.step("train"):
        pass
    assert await asyncio.to_thread(pipetrail.flush, PATIENCE)

    assert [event["reason"] for event in sent.stored] == ["StepStarted", "StepCompleted"]


def test_progress_is_thinned_and_its_end_is_told(sent: Scripted) -> None:
    with pipetrail.step("train") as step:
        emitted = [step.progress(done, 1000) for done in range(1001)]

    assert [done for done, was in enumerate(emitted) if was] == [0, 1000]
    assert ("Normal", "StepProgress", "train: 1000 of 1000 (100 %)") in told(sent)


def test_progress_outside_of_a_step_and_checkpoints_are_told_each_time(sent: Scripted) -> None:
    pipetrail.progress(1, 4, "loss 0.3")
    pipetrail.progress(12.5)
    pipetrail.checkpoint("s3://models/1", "best")
    with pipetrail.step("train") as step:
        step.checkpoint("s3://models/2")

    texts = [text for _, reason, text in told(sent) if not reason.startswith(("StepStarted", "StepCompleted"))]
    assert texts == [
        "1 of 4 (25 %), loss 0.3",
        "12.5",
        "checkpoint s3://models/1, best",
        "train: checkpoint s3://models/2",
    ]


# --- asyncio


async def test_emit_async_returns_when_the_event_is_stored(sent: Scripted) -> None:
    assert await pipetrail.emit_async("R")
    assert sent.counts == [1]


async def test_emit_async_says_that_an_event_was_refused(sent: Scripted) -> None:
    sent.next.append(Reply(422, "Invalid"))

    assert not await pipetrail.emit_async("R")


async def test_emit_async_says_that_the_input_is_bad(sent: Scripted) -> None:
    assert not await pipetrail.emit_async("")


async def test_emit_async_can_be_bounded(sent: Scripted) -> None:
    sent.hang()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await pipetrail.emit_async("R")


async def test_emit_async_ends_when_another_configuration_comes(
    sent: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "_EXIT_SECONDS", 0.05)
    sent.rule = lambda _: BUSY
    waiting = asyncio.create_task(pipetrail.emit_async("R"))
    await asyncio.to_thread(wait, lambda: sent.asked)
    await asyncio.to_thread(pipetrail.configure)

    assert not await asyncio.wait_for(waiting, PATIENCE)


def test_a_message_with_colours_and_control_characters_is_told_without_them() -> None:
    draft = Draft(
        about=Object(kind="Pod", name="p", namespace="n"),
        reason="R",
        message="\x1b[31mloss\x1b[0m is NaN\x00 at \ud800\nstep 7",
        reporter="r",
        instance="i",
    )

    assert sdk._fitting(draft).message == "loss is NaN\ufffd at \ufffd\nstep 7"
