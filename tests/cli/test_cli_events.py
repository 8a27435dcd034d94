"""``pipetrail events``: the filters, the forms of the output, and what foreign text must not do."""

import csv
import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipetrail.model import Batch, Query, format_time
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from tests.cli.conftest import Run
from tests.cli.journals import CLUSTER, HOSTILE, LABEL, NIGHT, event, pod, write

GOLDEN = Path(__file__).parent / "golden"

# design.md, Stable output: `events`.
EVENT_KEYS = [
    "seq",
    "id",
    "revision",
    "at",
    "observed_at",
    "cluster",
    "origin",
    "reason",
    "action",
    "message",
    "severity",
    "type",
    "count",
    "about",
    "reporter",
    "node",
    "related",
    "source",
    "links",
    "verdict",
    "supersedes",
]
REF_KEYS = ["apiVersion", "kind", "namespace", "name", "uid", "fieldPath"]


def lines(run: Run, journal: str, *args: str) -> list[dict[str, Any]]:
    result = run("events", "--journal", journal, "-o", "json", *args)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def reasons(run: Run, journal: str, *args: str) -> list[str]:
    return [line["reason"] for line in lines(run, journal, *args)]


def golden(name: str, shown: str) -> None:
    """Compare with the kept text. PIPETRAIL_GOLDEN=write keeps the new one: look at it."""
    file = GOLDEN / name
    if os.environ.get("PIPETRAIL_GOLDEN") == "write":
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


# ---- filters


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--name", "gpu-a1"], ["NodeReady"]),
        (["--kind", "no"], ["NodeReady"]),
        (["--kind", "nodes,jobs.batch"], ["NodeReady", "SuccessfulCreate", "BackoffLimitExceeded"]),
        (["--kind", "node", "--kind", "Job"], ["NodeReady", "SuccessfulCreate", "BackoffLimitExceeded"]),
        (["-n", "ml-argo-retry"], ["BackOff"]),
        (["--namespace", "ml-argo-retry,none"], ["BackOff"]),
        (["--name", "vision*"], ["BackOff"]),
        (["--uid", "job-uid"], ["SuccessfulCreate", "BackoffLimitExceeded"]),
        (["--reason", "backoff,Scheduled"], ["Scheduled", "BackOff"]),
        (["--severity", "error"], ["OOMKilled", "Failed"]),
        (["--severity", "ERROR", "--origin", "status"], ["OOMKilled", "Failed"]),
        (["--origin", "gap"], ["FirstStart", "PositionExpired"]),
        (["-t", "untolerated tai"], ["FailedScheduling"]),
        (["--text", "no such words"], []),
        (["--since", "03:15:31", "--until", "03:15:33"], ["Failed", "Failed"]),
        (["--since", "2026-11-24T03:15:40Z"], ["BackoffLimitExceeded"]),
        (["--until", "2026-11-23T03:00:00Z"], ["FirstStart"]),
        (["--until", "1d"], ["FirstStart", "NodeReady"]),
        (["--newest", "1"], ["BackoffLimitExceeded"]),
        (["--limit", "1"], ["BackoffLimitExceeded"]),
        (["--cluster", LABEL, "--newest", "1"], ["BackoffLimitExceeded"]),
        (["--cluster", CLUSTER, "--newest", "1"], ["BackoffLimitExceeded"]),
        (["--cluster", "another"], []),
        (["no/gpu-a1"], ["NodeReady"]),
        (["ml/job/train-llama-70b"], ["SuccessfulCreate", "BackoffLimitExceeded"]),
        (["po/vision*"], ["BackOff"]),
    ],
    ids=" ".join,
)
def test_a_filter_chooses(args: list[str], expected: list[str], run: Run, night_journal: str) -> None:
    assert reasons(run, night_journal, *args) == expected


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_bad_time_is_a_usage_error_that_names_the_option_and_what_is_understood(
    option: str, run: Run, night_journal: str
) -> None:
    result = run("events", "--journal", night_journal, option, "tomorow")

    assert result.exit_code == 2
    assert f"'{option}'" in result.output
    assert "write an age (90s, 2h, 1d), now, today, yesterday, 03:12, or 2026-11-24T03:12:00Z" in result.output


@pytest.mark.parametrize("age", ["99999999999999w", "9999999999999999999999d"])
def test_an_age_beyond_all_history_means_everything(age: str, run: Run, night_journal: str) -> None:
    assert len(lines(run, night_journal, "--since", age)) == 15


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--severity", "bad"], "'bad' is not one of info, warning, error"),
        (["--origin", "elsewhere"], "'elsewhere' is not one of kubernetes, status, gap, verdict"),
        (["pod"], "'pod' names no object: write kind/name or namespace/kind/name"),
        (["a/b/c/d"], "names no object"),
        (["/pod/x"], "names no object"),
        (["pod/x", "--name", "y"], "--kind and --name can't be given too"),
        (["ml/pod/x", "-n", "other"], "--namespace can't be given too"),
        (["--since", "1h", "--until", "2h"], "--since must be before --until"),
        (["--newest", "-1"], "--newest"),
        (["-o", "xml"], "'xml' is not one of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_a_usage_error(args: list[str], said: str, run: Run, night_journal: str) -> None:
    result = run("events", "--journal", night_journal, *args)

    assert result.exit_code == 2
    assert said in result.output


def test_an_object_that_nobody_saw_exits_1(run: Run, night_journal: str) -> None:
    result = run("events", "--journal", night_journal, "ml/pod/never-was")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("pipetrail: ml/pod/never-was: ")


def test_an_object_without_events_in_that_time_is_no_failure(run: Run, night_journal: str) -> None:
    result = run("events", "--journal", night_journal, "pvc/data")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No events match.\n")


# ---- JSON


def test_json_has_the_stable_shape(run: Run, night_journal: str) -> None:
    found = lines(run, night_journal)

    assert len(found) == 15
    for line in found:
        assert list(line)[: len(EVENT_KEYS)] == EVENT_KEYS
        assert list(line)[len(EVENT_KEYS) :] == ["at_estimated", "marks"]
        assert list(line["about"]) == REF_KEYS
        assert line["links"] == []
        assert (line["verdict"], line["supersedes"], line["revision"]) == (None, None, 1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["at"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["observed_at"])
        assert line["source"] is None or list(line["source"]) == ["kind", "name", "uid", "total"]
    by_reason = {line["reason"]: line for line in found}
    assert list(by_reason["Scheduled"]["related"]) == REF_KEYS
    assert by_reason["Running"]["about"]["fieldPath"] == "spec.containers{main}"
    assert by_reason["Running"]["source"] is None
    assert by_reason["Running"]["type"] is None
    assert by_reason["BackOff"]["count"] == 17
    assert by_reason["BackOff"]["marks"] == {"app": "vision"}


def test_json_says_what_the_journal_holds(run: Run, night_journal: str) -> None:
    with JournalReader(night_journal) as reader:
        stored = list(reader.events(Query()))

    for line, event_ in zip(lines(run, night_journal), stored, strict=True):
        assert line["id"] == event_.id
        assert line["seq"] == event_.seq
        assert line["at"] == format_time(event_.at)
        assert line["observed_at"] == format_time(event_.observed_at)
        assert line["message"] == event_.message
        assert line["about"]["name"] == event_.about.name


def test_json_lists_by_time_whatever_the_order_of_arrival(run: Run, tmp_path: Path) -> None:
    at = [NIGHT + second * SECOND for second in (5, 1, 3, 1)]
    events = [event(time, pod(f"p{number}"), "R") for number, time in enumerate(at)]
    journal = write(str(tmp_path / "j.db"), [Batch(cluster=CLUSTER, resource="events", events=events)])

    assert [line["seq"] for line in lines(run, journal)] == [2, 4, 3, 1]


def test_each_event_keeps_its_own_object_across_segments(run: Run, tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "j.db"), segment_events=3)
    for number in range(4):
        names = [f"s{number}-{i}" for i in range(3)]
        events = [event(NIGHT + i * SECOND, pod(name), "R", name) for i, name in enumerate(names)]
        journal.append([Batch(cluster=CLUSTER, resource="events", events=events)])
    journal.close()

    found = lines(run, journal.path)

    assert len(found) == 12
    assert [line["about"]["name"] for line in found] == [line["message"] for line in found]


def test_no_line_of_json_is_broken_or_obeyed_by_a_terminal(run: Run, night_journal: str) -> None:
    result = run("events", "--journal", night_journal, "-o", "json", "pod/evil")

    assert json.loads(result.stdout)["message"] == HOSTILE
    assert len(result.stdout.splitlines()) == 1  # splits at U+0085 and U+2028 too
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.stdout)


# ---- the other forms


def test_yaml_has_the_fields_of_json(run: Run, night_journal: str) -> None:
    result = run("events", "--journal", night_journal, "-o", "yaml")

    assert list(yaml.safe_load_all(result.stdout)) == lines(run, night_journal)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.stdout)


def test_csv_is_disarmed_and_readable(run: Run, night_journal: str) -> None:
    result = run("events", "--journal", night_journal, "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout, newline="")))

    assert len(rows) == 15
    assert [row["reason"] for row in rows][-2:] == ["'=1+1", "BackoffLimitExceeded"]
    assert rows[-2]["message"] == "'@SUM(A1:A9)"
    assert (rows[6]["name"], rows[6]["count"], rows[6]["type"]) == ("train-llama-70b-worker-0", "1", "")
    for row in rows:
        assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values())


def test_csv_of_nothing_has_its_titles(run: Run, night_journal: str) -> None:
    result = run("events", "--journal", night_journal, "-o", "csv", "--reason", "None")

    assert result.stdout.startswith("seq,id,at,")


def test_names_come_once_and_can_be_typed_again(run: Run, night_journal: str) -> None:
    names = run("events", "--journal", night_journal, "-o", "name", "--origin", "kubernetes").stdout.splitlines()

    assert names[:3] == ["node/gpu-a1", "ml/job/train-llama-70b", "ml/pod/train-llama-70b-worker-0"]
    assert len(names) == len(set(names))
    for name in names:
        assert lines(run, night_journal, name)


@pytest.mark.parametrize("output", ["table", "wide", "name", "csv"])
def test_foreign_text_can_do_nothing_to_a_terminal(output: str, run: Run, tmp_path: Path) -> None:
    evil = pod(HOSTILE, HOSTILE, HOSTILE)
    bad = event(
        NIGHT, evil, HOSTILE, HOSTILE, origin="status", action=HOSTILE, node=HOSTILE, reporter=HOSTILE, cluster=HOSTILE
    )
    calm = event(NIGHT, pod("p"), "R", cluster="another")
    journal = write(
        str(tmp_path / "j.db"),
        [
            Batch(cluster=HOSTILE, resource="events", events=[bad]),
            Batch(cluster="another", resource="events", events=[calm]),
        ],
    )

    result = run("events", "--journal", journal, "-o", output)

    assert result.exit_code == 0
    assert "␛[2J␛]0;owned␇" in result.stdout
    assert all(char.isprintable() for char in re.sub(r"\r?\n", "", result.stdout))
    assert len(result.stdout.splitlines()) == (2 if output == "name" else 3)


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_looks_as_it_was_seen(width: int, run: Run, night_journal: str) -> None:
    shown = run("events", "--journal", night_journal, width=width, terminal=True).stdout

    golden(f"events-{width}.txt", shown)


def test_the_wide_table_looks_as_it_was_seen(run: Run, night_journal: str) -> None:
    golden("events-wide.txt", run("events", "--journal", night_journal, "-o", "wide", width=80, terminal=True).stdout)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_screen(width: int, run: Run, night_journal: str) -> None:
    from rich.cells import cell_len

    shown = run("events", "--journal", night_journal, width=width, terminal=True).stdout

    assert max(cell_len(line) for line in shown.splitlines()) <= max(width, 60)


def test_a_gap_is_told_in_whole_however_narrow_the_screen(run: Run, night_journal: str) -> None:
    shown = run("events", "--journal", night_journal, "--origin", "gap", width=60, terminal=True).stdout
    words = " ".join(shown.replace("▒▒", " ").split())

    assert (
        "GAP: blind to pods from 03:12:20.000 to 03:15:26.000: the position expired (410); changes may be missing"
        in words
    )


def test_one_namespace_is_not_repeated_in_each_line(run: Run, night_journal: str) -> None:
    shown = run("events", "--journal", night_journal, "-n", "ml").stdout

    assert " pod/train-llama-70b-worker-0 " in shown
    assert " ml/pod" not in shown


def test_several_clusters_have_a_column_and_one_has_none(run: Run, night_journal: str, tmp_path: Path) -> None:
    other = Batch(cluster="c2", resource="events", events=[event(NIGHT, pod("p"), "R", cluster="c2")])
    mine = Batch(cluster=CLUSTER, resource="events", events=[event(NIGHT, pod("p"), "R")])
    journal = write(str(tmp_path / "j.db"), [mine, other], {CLUSTER: LABEL})

    shown = run("events", "--journal", journal).stdout

    assert "CLUSTER" in shown
    assert f" {LABEL} " in shown
    assert " c2 " in shown
    assert "CLUSTER" not in run("events", "--journal", journal, "--cluster", LABEL).stdout
    assert "CLUSTER" not in run("events", "--journal", night_journal).stdout


def test_colours_are_for_terminals(run: Run, night_journal: str) -> None:
    assert "\x1b[31m" in run("events", "--journal", night_journal, colour=True).stdout
    assert "\x1b" not in run("events", "--journal", night_journal).stdout


def many(path: Path, count: int) -> str:
    parts: list[Sequence[Any]] = [
        [event(NIGHT + number * SECOND, pod(f"p{number}"), "R") for number in range(count)],
    ]
    return write(str(path), [Batch(cluster=CLUSTER, resource="events", events=list(part)) for part in parts])


def test_a_table_on_a_terminal_is_the_last_500_and_says_so(run: Run, tmp_path: Path) -> None:
    journal = many(tmp_path / "j.db", 1201)

    result = run("events", "--journal", journal, terminal=True, width=80)

    assert result.stdout.count("\n") == 501
    assert result.stderr == "The last 500 of 1,201 events; all: --newest 0\n"
    assert "last 500 of more events" in run("events", "--journal", journal, "-n", "ml", terminal=True).stderr
    assert run("events", "--journal", journal, "--newest", "0", terminal=True).stdout.count("\n") == 1202
    assert run("events", "--journal", journal).stdout.count("\n") == 1202
    assert run("events", "--journal", journal, "-o", "json", terminal=True).stdout.count("\n") == 1201


def test_a_table_of_no_more_than_500_says_nothing(run: Run, tmp_path: Path) -> None:
    result = run("events", "--journal", many(tmp_path / "j.db", 500), terminal=True)

    assert result.stdout.count("\n") == 501
    assert result.stderr == ""
