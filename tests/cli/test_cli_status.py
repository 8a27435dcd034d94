"""``pipetrail status`` and ``rejects``."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipetrail.model import Batch, SourceState
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, Retention
from pipetrail.stores.sqlite.retention import prune
from tests.cli.conftest import Run
from tests.cli.journals import CLUSTER, HOSTILE, LABEL, NIGHT, NOW, batches, event, pod, write
from tests.cli.test_cli_events import golden

# design.md, Stable output: `status`.
KEYS = ["cluster", "resource", "state", "position", "last_event_at", "lag_seconds", "events", "gaps", "missing_rights"]


def lines(run: Run, journal: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("status", "--journal", journal, "-o", "json").stdout.splitlines()]


def test_json_has_the_stable_shape(run: Run, night_journal: str) -> None:
    found = lines(run, night_journal)

    assert [line["resource"] for line in found] == ["events", "nodes", "pods"]
    for line in found:
        assert list(line) == [*KEYS, "reason", "alive_at"]
    events, nodes, pods = found
    assert events == {
        "cluster": CLUSTER,
        "resource": "events",
        "state": "watching",
        "position": "81234",
        "last_event_at": "2026-11-24T03:15:40.250000Z",
        "lag_seconds": 2.0,
        "events": 15,
        "gaps": [{"from": None, "to": "2026-11-23T02:12:00.000000Z", "reason": "FirstStart", "loss": "possible"}],
        "missing_rights": [],
        "reason": "",
        "alive_at": "2026-11-24T03:59:58.000000Z",
    }
    assert nodes["missing_rights"] == ["list nodes", "watch nodes"]
    assert (nodes["lag_seconds"], nodes["alive_at"], nodes["position"]) == (None, None, None)
    assert [gap["from"] for gap in pods["gaps"]] == ["2026-11-24T03:12:20.000000Z"]


def test_yaml_has_the_fields_of_json(run: Run, night_journal: str) -> None:
    result = run("status", "--journal", night_journal, "-o", "yaml")

    assert list(yaml.safe_load_all(result.stdout)) == lines(run, night_journal)


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_looks_as_it_was_seen(width: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("journal.db", batches(), {CLUSTER: LABEL})
    shown = run("status", "--journal", "journal.db", width=width, terminal=True).stdout

    golden(f"status-{width}.txt", "".join(f"{line}\n" for line in shown.splitlines() if " KiB" not in line))


def test_a_running_recorder_is_named(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    journal = Journal(path)
    journal.append(batches())

    beside = run("status", "--journal", path).stdout
    journal.close()
    alone = run("status", "--journal", path).stdout

    assert f"A recorder is running (process {os.getpid()})." in beside
    assert "was watching" not in beside
    assert "NO RECORDER IS RUNNING" in alone
    assert "was watching" in alone


def test_looking_does_not_keep_a_recorder_from_starting(run: Run, night_journal: str, tmp_path: Path) -> None:
    path = write(str(tmp_path / "j.db"), batches())
    run("status", "--journal", path)

    Journal(path).close()


def test_a_played_journal_needs_no_recorder(run: Run, tmp_path: Path) -> None:
    state = SourceState(cluster="c", resource="pods", state="played")
    path = write(str(tmp_path / "j.db"), [Batch(cluster="c", resource="pods", state=state)])

    assert "this journal was played from recordings" in run("status", "--journal", path).stdout


def test_an_empty_journal_says_so(run: Run, tmp_path: Path) -> None:
    path = write(str(tmp_path / "j.db"), [])

    result = run("status", "--journal", path)

    assert result.exit_code == 0
    assert "Nothing was recorded yet." in result.stdout
    assert "no events" in result.stdout
    assert run("status", "--journal", path, "-o", "json").stdout == ""


def test_what_was_pruned_is_told(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    journal = Journal(path, segment_events=10)
    for part in range(3):
        events = [event(NIGHT + (part * 10 + i) * SECOND, pod("p"), "R") for i in range(10)]
        journal.append([Batch(cluster=CLUSTER, resource="events", events=events)])
    prune(journal, Retention(age=NOW - (NIGHT + 10 * SECOND)), NOW)
    journal.close()

    shown = run("status", "--journal", path).stdout

    assert "20 events from 03:12:10.000 to 03:12:29.000" in shown
    assert "10 events were pruned:\n    04:00:00.000: 10 events from 03:12:00.000 to 03:12:09.000, for age" in shown


def test_of_many_gaps_the_last_are_shown(run: Run, tmp_path: Path) -> None:
    from pipetrail.model import Gap

    gaps = [
        Gap(cluster="c", resource="pods", since=NIGHT + i, until=NIGHT + i + 9, reason="ListTorn", loss="none")
        for i in range(30)
    ]
    path = write(str(tmp_path / "j.db"), [Batch(cluster="c", resource="pods", gaps=gaps)])

    assert "Gaps (the last 20 of 30; all: -o json)" in run("status", "--journal", path).stdout
    assert len(lines(run, path)[0]["gaps"]) == 30


def test_foreign_text_can_do_nothing_to_a_terminal(run: Run, tmp_path: Path) -> None:
    state = SourceState(
        cluster=HOSTILE,
        resource=HOSTILE,
        state="forbidden",
        reason=HOSTILE,
        position=HOSTILE,
        missing_rights=("\x1b[2J",),
    )
    part = Batch(cluster=HOSTILE, resource=HOSTILE, state=state, position=HOSTILE)
    path = write(str(tmp_path / "j.db"), [part], {HOSTILE: HOSTILE + "label"})

    shown = run("status", "--journal", path).stdout

    assert "␛[2J" in shown
    assert all(char.isprintable() for char in shown.replace("\n", ""))


def test_rejects_are_listed_and_clean(run: Run, night_journal: str) -> None:
    table = run("rejects", "--journal", night_journal).stdout
    (line,) = [
        json.loads(text) for text in run("rejects", "--journal", night_journal, "-o", "json").stdout.splitlines()
    ]

    assert "no JSON: ␛[1m" in table
    assert line == {
        "at": "2026-11-24T03:12:00.000000Z",
        "cluster": CLUSTER,
        "resource": "events",
        "reason": "no JSON: \x1b[1m",
        "body": '{"kind": "Ev\x1bent"',
    }
    assert yaml.safe_load(run("rejects", "--journal", night_journal, "-o", "yaml").stdout) == line


def test_no_rejects_is_good_news(run: Run, tmp_path: Path) -> None:
    result = run("rejects", "--journal", write(str(tmp_path / "j.db"), []))

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing was rejected.\n")
