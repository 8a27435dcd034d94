"""``pipetrail deliver`` as a process: what is recorded arrives, and signals, files and faults do what they should."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipetrail.app.child import Child
from pipetrail.app.delivering import Delivering, Options, Outcome, _stamp
from pipetrail.control import ask
from pipetrail.model import Query
from pipetrail.sinks.state import State
from pipetrail.stores.sqlite import Journal, JournalReader, Retention
from pipetrail.stores.sqlite.retention import prune
from pipetrail.testing.receivers import BAD_REQUEST, UNAVAILABLE, ScriptedReceiver
from tests.app.deliveries_run import DEADLINE, START, append, configuration, messages, running, told, until


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(str(tmp_path / "journal.db"), segment_events=10)
    yield made
    made.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def config(tmp_path: Path, out: Path) -> str:
    return configuration(tmp_path / "c.yaml", audit={"path": str(out)})


def deliver(tmp_path: Path, *more: str) -> list[str]:
    return ["deliver", "--journal", str(tmp_path / "journal.db"), "--config", str(tmp_path / "c.yaml"), *more]


def once(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipetrail", *deliver(tmp_path, "--once")]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)


def test_once_sends_what_there_is_and_ends_and_the_next_time_what_is_new(
    tmp_path: Path, journal: Journal, config: str, out: Path
) -> None:
    append(journal, *range(1, 31))
    assert once(tmp_path).returncode == 0
    assert told(out) == messages(*range(1, 31))
    append(journal, 31, 32)
    assert once(tmp_path).returncode == 0
    assert told(out) == messages(*range(1, 33))


def test_what_comes_arrives_and_the_end_is_in_order(tmp_path: Path, journal: Journal, config: str, out: Path) -> None:
    append(journal, 1, 2)
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        until(lambda: told(out), lambda found: found == messages(1, 2))
        append(journal, 3)
        until(lambda: told(out), lambda found: found == messages(1, 2, 3))
        started = time.monotonic()
        code = process.end()
    state = State(str(tmp_path / "journal.db.sinks"))
    position = state.position("audit")
    state.close()

    assert code == 0
    assert time.monotonic() - started < 40
    assert position is not None
    assert position.holes == []
    assert position.read == JournalReader(str(tmp_path / "journal.db")).last_seq()


def test_a_killed_delivery_goes_on_where_it_was(tmp_path: Path, journal: Journal, config: str, out: Path) -> None:
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        for start in range(1, 300, 50):
            append(journal, *range(start, start + 50))
            if start == 101:
                until(lambda: told(out))
                assert process.end(signal.SIGKILL) == -signal.SIGKILL
    assert once(tmp_path).returncode == 0

    assert set(told(out)) == set(messages(*range(1, 301)))
    ids = [json.loads(line)["id"] for line in out.read_text().splitlines()]
    assert len(set(ids)) == 300


def test_it_waits_for_a_journal_that_is_not_there_yet(tmp_path: Path, config: str, out: Path) -> None:
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        process.logs("There is no journal yet")
        journal = Journal(str(tmp_path / "journal.db"))
        append(journal, 1)
        until(lambda: told(out), lambda found: found == messages(1))
        journal.close()
        assert process.end() == 0


def test_it_ends_while_it_waits_for_a_journal(tmp_path: Path, config: str) -> None:
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        process.logs("There is no journal yet")
        assert process.end() == 0


def test_a_second_delivery_from_a_journal_is_refused(tmp_path: Path, journal: Journal, config: str) -> None:
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        process.logs("sink audit: delivers")
        second = once(tmp_path)

    assert second.returncode == 3
    assert f"process {process.process.pid} delivers from this journal already" in second.stderr


def test_the_end_of_standard_input_ends_a_child(tmp_path: Path, journal: Journal, config: str) -> None:
    with running(tmp_path / "log", *deliver(tmp_path, "--while-stdin")) as process:
        process.logs("sink audit: delivers")
        assert process.process.stdin is not None
        process.process.stdin.close()
        assert process.process.wait(DEADLINE) == 0


# ---- where a new sink begins, when a recorder starts the delivery


class Unstarted(Child):
    """Notes with what it would start its process, which ends at once."""

    def __init__(self, wanted: Callable[[], bool] = lambda: True) -> None:
        super().__init__([], wanted, first=0.001, longest=0.001)
        self.more = ["--begun", "7"]
        self.starts: list[list[str]] = []

    async def _once(self) -> str:
        self.starts.append(self.more)
        return "ended with code 0"


async def starts_of(child: Unstarted, count: int) -> list[list[str]]:
    running = asyncio.create_task(child.run())
    try:
        async with asyncio.timeout(DEADLINE):
            while len(child.starts) < count:
                await asyncio.sleep(0.001)
                child.reload()
    finally:
        running.cancel()
        await asyncio.wait([running])
    return child.starts[:count]


async def test_a_delivery_that_fails_at_its_start_begins_where_the_recorder_did() -> None:
    assert await starts_of(Unstarted(), 3) == [["--begun", "7"]] * 3


async def test_a_delivery_that_is_wanted_later_does_not_begin_where_the_recorder_did() -> None:
    answers = iter([False, False])

    assert await starts_of(Unstarted(lambda: next(answers, True)), 2) == [[], []]


async def test_a_delivery_that_ran_long_does_not_begin_again_where_the_recorder_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipetrail.app.child._STOOD_SECONDS", -1.0)

    assert await starts_of(Unstarted(), 2) == [["--begun", "7"], []]


# ---- SIGHUP


def test_a_hang_up_in_the_first_moments_ends_nothing(tmp_path: Path, journal: Journal, config: str, out: Path) -> None:
    append(journal, 1)
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        until(lambda: listens_to_hang_up(process.process.pid))
        while not told(out):
            process.hang_up()
            assert process.process.poll() is None, process.log
            time.sleep(0.01)
        assert process.end() == 0


def listens_to_hang_up(pid: int) -> bool:
    """Whether the process has a handler by now: before its first line nothing can."""
    [caught] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


def test_the_stamp_of_a_journal_differs_after_each_write(tmp_path: Path, journal: Journal) -> None:
    stamps = []
    for number in range(20):
        append(journal, number)
        stamps.append(_stamp(journal.path))
        time.sleep(0.02)  # a file system's clock is no finer

    assert None not in stamps
    assert len(set(stamps)) == 20


def test_a_cluster_is_known_by_its_name_from_the_first_event_on(tmp_path: Path, out: Path, journal: Journal) -> None:
    """Else a rule that names it would leave out what comes before the name is read."""
    configuration(tmp_path / "c.yaml", audit={"path": str(out), "match": {"cluster": "prod-eu"}})
    append(journal, 1)
    journal.name_cluster("prod", "prod-eu", None)
    assert once(tmp_path).returncode == 0
    assert told(out) == messages(1)


def test_sighup_adds_a_sink_and_does_not_disturb_the_first(
    tmp_path: Path, journal: Journal, config: str, out: Path
) -> None:
    append(journal, 1, 2)
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        until(lambda: told(out), lambda found: found == messages(1, 2))
        configuration(
            tmp_path / "c.yaml",
            audit={"path": str(out)},
            more={"path": str(tmp_path / "more.jsonl"), "match": {"name": "*-1"}},
        )
        process.hang_up()
        until(lambda: told(tmp_path / "more.jsonl"), lambda found: found == messages(1))
        append(journal, 3)
        until(lambda: told(out), lambda found: found == messages(1, 2, 3))
        assert process.log.count("sink audit: delivers") == 1
        assert process.end() == 0


def test_a_changed_sink_goes_on_from_its_cursor_and_one_that_is_gone_when_it_comes_back(
    tmp_path: Path, journal: Journal, config: str, out: Path
) -> None:
    append(journal, 1)
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        until(lambda: told(out), lambda found: found == messages(1))
        configuration(tmp_path / "c.yaml", other={"path": str(tmp_path / "other.jsonl")})
        process.hang_up()
        until(lambda: told(tmp_path / "other.jsonl"), lambda found: found == messages(1))
        append(journal, 2)
        until(lambda: told(tmp_path / "other.jsonl"), lambda found: found == messages(1, 2))
        configuration(tmp_path / "c.yaml", audit={"path": str(tmp_path / "elsewhere.jsonl")})
        process.hang_up()
        until(lambda: told(tmp_path / "elsewhere.jsonl"), lambda found: found == messages(2))
        assert process.end() == 0

    assert told(out) == messages(1)


@pytest.mark.parametrize(
    "broken", ["sinks: [", "sinks: {audit: {type: fiel}}\n", "sinks: {a: {type: file, path: '${X_NOT_SET}'}}\n"]
)
def test_a_broken_configuration_at_sighup_is_told_and_changes_nothing(
    broken: str, tmp_path: Path, journal: Journal, config: str, out: Path
) -> None:
    append(journal, 1)
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        until(lambda: told(out), lambda found: found == messages(1))
        (tmp_path / "c.yaml").write_text(broken, encoding="utf-8")
        process.hang_up()
        process.logs("the one before stays in force")
        assert f"{tmp_path}/c.yaml:" in process.log
        append(journal, 2)
        until(lambda: told(out), lambda found: found == messages(1, 2))
        assert process.end() == 0


# ---- what can't be sent


def test_once_says_what_became_of_each_sink(tmp_path: Path, journal: Journal, out: Path) -> None:
    drop = [{"text": message} for message in messages(1, 2)]
    configuration(tmp_path / "c.yaml", audit={"path": str(out)}, some={"path": f"{out}.some", "drop": drop})
    append(journal, *range(1, 6))

    assert once(tmp_path).stderr.splitlines()[-2:] == ["audit: 5 sent", "some: 3 sent, 2 left out by its rules"]
    assert once(tmp_path).stderr.splitlines()[-2:] == ["audit: 0 sent", "some: 0 sent"]


async def test_once_gives_a_receiver_up_that_takes_nothing(tmp_path: Path, journal: Journal) -> None:
    append(journal, 1, 2)
    async with ScriptedReceiver(UNAVAILABLE) as receiver:
        config = configuration(
            tmp_path / "c.yaml", hook={"type": "webhook", "url": receiver.url, "retry": {"first": 0.05}}
        )
        delivering = Delivering(Options(journal=journal.path, config=config, once=True, patience=1.0))
        assert await delivering.run() is False

    (outcome,) = delivering.outcomes
    assert outcome.sent == 0
    assert outcome.behind
    assert len(receiver.requests) > 1


async def test_once_that_left_dead_letters_did_not_send_all(tmp_path: Path, journal: Journal) -> None:
    append(journal, 1, 2)
    lines: list[str] = []
    async with ScriptedReceiver(BAD_REQUEST) as receiver:
        config = configuration(tmp_path / "c.yaml", hook={"type": "webhook", "url": receiver.url})
        options = Options(journal=journal.path, config=config, once=True)
        delivering = Delivering(options)
        assert await delivering.run(lines.append) is False
        assert await Delivering(options).run(lines.append) is True

    assert lines[-1] == ""
    assert delivering.outcomes == [Outcome(name="hook", sent=0, left_out=0, dead_letters=2)]


def test_what_was_pruned_before_it_was_sent_is_a_gap_of_the_journal(
    tmp_path: Path, journal: Journal, config: str, out: Path
) -> None:
    append(journal, *range(1, 11))
    assert once(tmp_path).returncode == 0
    append(journal, *range(11, 31))
    prune(journal, Retention(size=1), START)
    append(journal, 31)
    journal.close()  # no recorder: delivery writes it down itself
    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        until(lambda: gaps(journal.path))
        assert process.end() == 0
    with JournalReader(journal.path) as reader:
        (event,) = reader.events(Query(origins=("gap",)))

    assert gaps(journal.path) == [("prod", "sinks/audit", "pruned-before-delivery", "possible")]
    assert (event.reason, event.action, event.about.name) == ("pruned-before-delivery", "loss:possible", "audit")
    assert "20 events from 2026-11-24T03:00:11" in event.message
    assert told(out)[:11] == messages(*range(1, 11), 31)


def gaps(path: str) -> list[tuple[str, str, str, str]]:
    with JournalReader(path) as reader:
        return [(gap.cluster, gap.resource, gap.reason, gap.loss) for gap in reader.gaps()]


# ---- what it is asked, and how it refuses


def test_a_running_delivery_answers_what_the_commands_ask(
    tmp_path: Path, journal: Journal, config: str, out: Path
) -> None:
    append(journal, 1, 2)
    path = journal.path + ".sinks"

    def asked(**request: Any) -> Any:
        return (ask(path, request, DEADLINE) or {})["result"]

    with running(tmp_path / "log", *deliver(tmp_path)) as process:
        until(lambda: told(out), lambda found: found == messages(1, 2))
        until(lambda: asked(do="sinks")["sinks"][0], lambda found: (found["sent"], found["lag_events"]) == (2, 0))
        assert asked(do="replay", sink="audit", since=START + 2_000_000)["changes"] >= 1
        until(lambda: told(out), lambda found: found == messages(1, 2, 2))
        assert asked(do="dead-letters", sink="audit") == {"letters": []}
        assert asked(do="retry", sink="audit", seqs=None) == {"count": 0}
        assert asked(do="probe", sink="audit")["said"]
        assert ask(path, {"do": "probe", "sink": "none"}, DEADLINE) == {
            "ok": False,
            "error": "no sink 'none' (there are: audit)",
        }
        assert process.end() == 0
    assert ask(path, {"do": "sinks"}) is None


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("journal: x\n", 2, "it names no sinks"),
        ("sinks: {a: {type: fiel}}\n", 2, "c.yaml:1: sinks.a.type: 'fiel' is none of"),
        ("sinks: {a: {type: file, path: /nowhere/x}}\n", 3, "no journal there"),
    ],
)
def test_what_it_can_not_do_is_one_line_and_a_code(tmp_path: Path, text: str, code: int, said: str) -> None:
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    result = once(tmp_path)

    assert result.returncode == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_no_secret_is_in_its_log_or_on_its_command_line(tmp_path: Path, journal: Journal) -> None:
    secret = "hunter2-of-the-hook"
    append(journal, 1)
    config = {
        "type": "webhook",
        "url": "http://127.0.0.1:9/${HOOK}",
        "auth": {"token": "${HOOK}"},
        "headers": {"X-K": "${HOOK}"},
    }
    configuration(tmp_path / "c.yaml", hook=config)
    with running(tmp_path / "log", *deliver(tmp_path, "-v"), HOOK=secret) as process:
        process.logs("127.0.0.1")
        line = Path(f"/proc/{process.process.pid}/cmdline").read_bytes()
        (tmp_path / "c.yaml").write_text(
            "sinks: {x: {type: webhook, url: '${HOOK}', start: '${HOOK}'}}", encoding="utf-8"
        )
        process.hang_up()
        process.logs("the one before stays in force")
        answer = ask(journal.path + ".sinks", {"do": "sinks"}, DEADLINE)
        assert process.end() == 0

    assert secret not in process.log
    assert secret.encode() not in line
    assert secret not in json.dumps(answer)
