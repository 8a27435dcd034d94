"""Long lists and live ones: memory that does not grow, events of another process, Ctrl-C."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipetrail.model import Batch
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal
from tests.cli.following import PROGRAM, Following
from tests.cli.journals import CLUSTER, NIGHT, event, pod, write


def append(journal: Journal, first: int, count: int) -> None:
    events = [
        event(NIGHT + number * SECOND, pod(f"pod-{number % 500}"), "R", f"message number {number}")
        for number in range(first, first + count)
    ]
    journal.append([Batch(cluster=CLUSTER, resource="events", events=events)])


def following_events(journal: str, *args: str) -> Following:
    return Following("events", "--journal", journal, *args)


def messages(found: list[dict[str, Any]]) -> list[str]:
    return [line["message"] for line in found]


def test_follow_shows_the_last_20_then_what_another_process_appends_and_ends_well(tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    journal = Journal(path)
    append(journal, 0, 50)
    following = following_events(path)
    assert messages(following.first(20)) == [f"message number {number}" for number in range(30, 50)]

    append(journal, 50, 3)
    assert messages(following.first(23))[20:] == [f"message number {number}" for number in range(50, 53)]
    append(journal, 1, 1)  # late news of long ago
    assert messages(following.first(24))[23:] == ["message number 1"]
    journal.close()

    assert following.interrupt() == 0
    assert len(following.seen) == 24


def test_follow_keeps_to_the_filters_and_shows_all_since(tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    journal = Journal(path)
    append(journal, 0, 30)
    following = following_events(path, "--since", "2026-11-24T03:12:00Z", "--name", "pod-7")
    assert messages(following.first(1)) == ["message number 7"]

    append(journal, 500, 10)
    assert messages(following.first(2))[1:] == ["message number 507"]
    journal.close()
    assert following.interrupt() == 0


def test_follow_loses_nothing_while_a_recorder_writes(tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    journal = Journal(path, segment_events=700)  # several segments under way
    append(journal, 0, 1)
    following = following_events(path)
    messages(following.first(1))
    for part in range(60):
        append(journal, 1 + part * 50, 50)
    found = messages(following.first(3001))
    journal.close()
    following.interrupt()

    assert found == [f"message number {number}" for number in range(3001)]
    assert [line["seq"] for line in following.seen] == list(range(1, 3002))


def test_follow_ends_quietly_when_nobody_reads(tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    journal = Journal(path)
    append(journal, 0, 5)
    command = f"'{PROGRAM}' events --follow --journal '{path}' | head -2; echo ${{PIPESTATUS[0]}}"
    process = subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for part in range(100):
        append(journal, 100 + part, 1)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    out, err = process.communicate(timeout=10)
    journal.close()

    assert out.splitlines()[-1] == "0"
    assert err == ""


@pytest.fixture(scope="module")
def long_journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """100,000 events."""
    path = str(tmp_path_factory.mktemp("long") / "j.db")
    journal = Journal(path, full_text=False)
    for part in range(50):
        append(journal, part * 2000, 2000)
    journal.close()
    return path


MEASURED = """
import re, sys
from pipetrail.cli.main import cli
cli.main(sys.argv[1:], standalone_mode=False)
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
"""


def peak_kib(*args: str) -> int:
    """The most memory that a run takes; its output must be 100,000 lines."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURED, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines = sum(1 for _ in process.stdout)
    errors = process.stderr.read()
    process.communicate()
    assert process.returncode == 0, errors
    assert lines >= 100_000
    return int(errors.split()[-1])


@pytest.mark.parametrize(
    "args", [["events", "-o", "json"], ["events"], ["events", "-o", "csv"], ["export"]], ids=" ".join
)
def test_a_long_list_takes_no_more_memory_than_a_short_one(args: list[str], long_journal: str) -> None:
    # The events are 70 MB as JSON, and several times that as objects.
    assert peak_kib(*args, "--journal", long_journal) < 80 * 1024


def test_ctrl_c_in_a_list_exits_130(long_journal: str) -> None:
    process = subprocess.Popen(
        [PROGRAM, "events", "-o", "json", "--journal", long_journal], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_a_list_under_which_history_is_pruned_ends_in_one_line(tmp_path: Path) -> None:
    path = write(str(tmp_path / "j.db"), [])
    journal = Journal(path, segment_events=2000)
    for part in range(5):
        append(journal, part * 2000, 2000)
    process = subprocess.Popen(
        [PROGRAM, "events", "-o", "json", "--journal", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # under way, and stopped by the full pipe
    from pipetrail.stores.sqlite import Retention
    from pipetrail.stores.sqlite.retention import prune

    prune(journal, Retention(age=0), NIGHT + 10**9 * SECOND)
    _, errors = process.communicate(timeout=20)
    journal.close()

    assert process.returncode in (0, 3)
    assert errors.count("\n") == (1 if process.returncode else 0)
