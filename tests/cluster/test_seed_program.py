"""The Pulumi program that users start from, run for real: what it declares is recorded, and kept when it expires.

It is run once, for all tests: one story from `preview` to `destroy`, in which the cluster forgets the Event twice.
"""

from __future__ import annotations

import ast
import json
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cluster.client import ApiError
from cluster.controlplane import ControlPlane
from cluster.engine import Engine, EngineError, Result, Stack
from pipetrail.model.times import parse_time
from tests.cluster import rights
from tests.cluster.oracle import EVENTS, EtcdOracle, Trail
from tests.cluster.recording import ROOT, Recording, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipetrail.model import Event

NAMESPACE = "machine-learning"
NAME = "ml-pipeline-event-001"
EVENT = f"/api/v1/namespaces/{NAMESPACE}/events/{NAME}"
TTL = "15s"
FORGOTTEN_SECONDS = 150.0  # ten times that
PROMPT_SECONDS = 10.0
ORIGINAL = ROOT.parent / "shared" / "seed" / "program.py"
COPY = Path(__file__).with_name("programs") / "seed.py"


@dataclass(frozen=True)
class Story:
    """What was seen at each step. `first` and `second` are the two Events that the cluster had, as etcd knew them."""

    previewed: Result
    up: Result
    outputs: dict[str, Any]
    seconds_to_journal: float
    first: Trail
    up_again: Result
    recorded_once: list[Event]
    shown_when_forgotten: list[dict[str, Any]]
    up_when_forgotten: Result
    writes_when_forgotten: int
    outputs_when_forgotten: dict[str, Any]
    up_with_refresh: Result
    second: Trail
    recorded_twice: list[Event]
    shown_twice: str
    destroyed_when_forgotten: Result
    shown_at_the_end: list[dict[str, Any]]


@pytest.fixture(scope="module")
def forgetful(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that keeps Events for 15 s, with the namespace that the program expects."""
    with ControlPlane(tmp_path_factory.mktemp("forgetful"), programs=programs, event_ttl=TTL) as running:
        running.create_namespace(NAMESPACE)
        yield running


@pytest.fixture(scope="module")
def recording(forgetful: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """A recorder of it, which sees all that it should."""
    with closing(forgetful.client()) as admin:
        account = rights.grant_all(forgetful, admin)
        with Recording(tmp_path_factory.mktemp("recording"), account.kubeconfig) as started:
            started.wait_ready()
            yield started


@pytest.fixture(scope="module")
def story(
    engine: Engine, forgetful: ControlPlane, recording: Recording, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    """The program from `preview` to `destroy`."""
    program = ORIGINAL if ORIGINAL.is_file() else COPY
    stack = Stack(engine, tmp_path_factory.mktemp("stack"), program, forgetful.kubeconfig())
    with ExitStack() as exits:
        oracle = exits.enter_context(EtcdOracle(forgetful.etcd_url, prefixes=(EVENTS,)))
        previewed = stack.preview().check()

        up = stack.up().check()
        returned = time.monotonic()
        recording.wait(lambda: declared(recording), PROMPT_SECONDS)
        seconds_to_journal = time.monotonic() - returned
        outputs = stack.outputs()
        up_again = stack.up().check()
        recorded_once = declared(recording)

        wait_forgotten(forgetful)
        shown_when_forgotten = shown(recording)
        up_when_forgotten = stack.up().check()
        oracle.sync()
        (first,) = oracle.events(NAMESPACE).values()
        writes_when_forgotten = len(first.revisions)
        outputs_when_forgotten = stack.outputs()

        up_with_refresh = stack.up(refresh=True).check()
        oracle.sync()
        (second,) = (trail for uid, trail in oracle.events(NAMESPACE).items() if uid != first.uid)
        recording.wait(lambda: len(declared(recording)) > 1, PROMPT_SECONDS)
        recorded_twice = declared(recording)
        table = run("events", f"--journal={recording.journal}", "-n", NAMESPACE, "--origin=kubernetes")

        wait_forgotten(forgetful)
        destroyed = stack.destroy().check()
        oracle.sync()
    return Story(
        previewed=previewed,
        up=up,
        outputs=outputs,
        seconds_to_journal=seconds_to_journal,
        first=first,
        up_again=up_again,
        recorded_once=recorded_once,
        shown_when_forgotten=shown_when_forgotten,
        up_when_forgotten=up_when_forgotten,
        writes_when_forgotten=writes_when_forgotten,
        outputs_when_forgotten=outputs_when_forgotten,
        up_with_refresh=up_with_refresh,
        second=second,
        recorded_twice=recorded_twice,
        shown_twice=table.stdout,
        destroyed_when_forgotten=destroyed,
        shown_at_the_end=shown(recording),
    )


def declared(recording: Recording) -> list[Event]:
    """The recorded Kubernetes Events of the namespace."""
    return recording.kubernetes_events(NAMESPACE)


def shown(recording: Recording) -> list[dict[str, Any]]:
    """What `pipetrail events` shows of them, as JSON."""
    done = run("events", f"--journal={recording.journal}", "-n", NAMESPACE, "--origin=kubernetes", "-o", "json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def wait_forgotten(control_plane: ControlPlane) -> None:
    """Return when the cluster says 404."""

    def forgotten() -> bool:
        try:
            control_plane.request("GET", EVENT)
        except ApiError as error:
            if error.status == 404:
                return True
            raise
        return False

    control_plane.wait(forgotten, FORGOTTEN_SECONDS)


def created_at(trail: Trail) -> int:
    """When the API server made an Event, in microseconds."""
    return parse_time(trail.final["metadata"]["creationTimestamp"])


# --- While the cluster remembers


def test_a_preview_announces_the_event_and_makes_nothing(story: Story) -> None:
    assert story.previewed.changes == {"to create": 2}  # the stack counts as one
    assert len(story.first.revisions) == 1


def test_up_exports_the_name_and_the_namespace(story: Story) -> None:
    assert story.up.changes == {"created": 2}
    assert story.outputs == {"event_name": NAME, "event_namespace": NAMESPACE}


def test_the_event_is_in_the_journal_soon_after_up_has_returned(story: Story) -> None:
    (event,) = story.recorded_once
    print(f"up took {story.up.seconds:.1f} s; in the journal {story.seconds_to_journal:.3f} s after it had returned")
    print(f"received {(event.observed_at - created_at(story.first)) / 1e6:.3f} s after the second of its creation")

    assert story.seconds_to_journal < PROMPT_SECONDS


def test_the_recorded_event_says_what_was_declared(story: Story) -> None:
    (event,) = story.recorded_once

    assert (event.reason, event.message) == ("PipelineExecution", "Machine Learning pipeline is triggered")
    assert (event.type, event.severity, event.reporter) == ("Normal", "info", "ml-pipeline-scheduler")
    about = event.about
    assert (about.api_version, about.kind, about.namespace, about.name) == (
        "v1",
        "Pod",
        NAMESPACE,
        "my-ml-pipeline-pod",
    )
    assert event.source is not None
    assert (event.source.name, event.source.uid, event.count) == (NAME, story.first.uid, 1)


def test_an_event_that_declares_no_time_happened_when_it_was_created(story: Story) -> None:
    (event,) = story.recorded_once
    times = ("eventTime", "firstTimestamp", "lastTimestamp")

    assert [story.first.final.get(name) for name in times] == [None, None, None]
    assert event.at == created_at(story.first)
    assert not event.at_estimated


def test_a_second_up_changes_nothing(story: Story) -> None:
    assert story.up_again.changes == {"unchanged": 2}
    assert len(story.recorded_once) == 1


# --- Once it has forgotten


def test_pipetrail_shows_the_event_when_the_cluster_has_forgotten_it(story: Story) -> None:
    (line,) = story.shown_when_forgotten

    assert (line["reason"], line["message"]) == ("PipelineExecution", "Machine Learning pipeline is triggered")
    assert line["source"]["uid"] == story.first.uid


def test_up_does_not_notice_that_the_event_is_gone(story: Story) -> None:
    assert story.up_when_forgotten.changes == {"unchanged": 2}
    assert story.writes_when_forgotten == 1
    assert story.outputs_when_forgotten == {"event_name": NAME, "event_namespace": NAMESPACE}


def test_up_with_refresh_makes_a_new_event_of_the_same_name(story: Story) -> None:
    assert story.up_with_refresh.changes == {"created": 1, "unchanged": 1}
    assert (story.second.namespace, story.second.name) == (NAMESPACE, NAME)
    assert story.second.uid != story.first.uid
    assert created_at(story.second) > created_at(story.first)


def test_the_timeline_then_tells_both(story: Story) -> None:
    """Nothing says that it is the same fact: for the cluster it happened twice."""
    uids = [event.source.uid for event in story.recorded_twice if event.source is not None]

    assert uids == [story.first.uid, story.second.uid]
    assert [event.at for event in story.recorded_twice] == [created_at(story.first), created_at(story.second)]
    assert [event.count for event in story.recorded_twice] == [1, 1]
    assert story.shown_twice.count(" pod/my-ml-pipeline-pod ") == 2


def test_destroy_succeeds_when_the_event_is_gone_and_takes_nothing_from_the_journal(story: Story) -> None:
    assert story.destroyed_when_forgotten.changes == {"deleted": 2}
    assert [line["source"]["uid"] for line in story.shown_at_the_end] == [story.first.uid, story.second.uid]


# --- What goes wrong


def test_the_copy_of_the_program_declares_what_the_original_does() -> None:
    if not ORIGINAL.is_file():
        pytest.skip("shared seed not here")
    assert statements(COPY) == statements(ORIGINAL)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(engine: Engine, tmp_path: Path) -> None:
    stack = Stack(engine, tmp_path / "stack", "import time\nprint('asleep', flush=True)\ntime.sleep(600)\n")

    with pytest.raises(EngineError, match=r"pulumi preview did not end within 10 s"):
        stack.run("preview", timeout=10)

    here = str(tmp_path).encode()
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if here in read(path)]
    assert left == []


def test_a_command_that_fails_says_why(engine: Engine, tmp_path: Path) -> None:
    stack = Stack(engine, tmp_path / "stack", "raise SystemExit('no such pipeline')\n")

    failed = stack.up()

    assert not failed.ok
    with pytest.raises(EngineError, match=r"pulumi up .* ended with \d+:\n[^$]*no such pipeline"):
        failed.check()


def statements(program: Path) -> str:
    """What a program does, without its comments, its docstring and the names that it chose."""
    tree = ast.parse(program.read_text().replace("ml_pipeline_event", "event"))
    return "\n".join(ast.unparse(one) for one in tree.body if not _is_docstring(one))


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def read(path: Path) -> bytes:
    """The content of a file of /proc; empty where it is gone or not ours."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
