"""``pipetrail prune``, ``backup`` and ``export``: with a recorder beside and without."""

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pyarrow.parquet as pq
import pytest
import zstandard

from pipetrail.model import Batch, Query
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from tests.cli.conftest import Run
from tests.cli.journals import CLUSTER, NIGHT, event, pod, write


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """Three segments of ten events: 03:12, 03:13 and 03:14."""
    path = str(tmp_path / "j.db")
    writer = Journal(path, segment_events=10)
    for part in range(3):
        events = [event(NIGHT + (part * 60 + i) * SECOND, pod(f"p{i}"), "R", f"m{part}-{i}") for i in range(10)]
        writer.append([Batch(cluster=CLUSTER, resource="events", events=events)])
    writer.close()
    return path


def count(path: str) -> int:
    with JournalReader(path) as reader:
        return sum(1 for _ in reader.events(Query()))


class Recorder:
    """Answers on a journal's socket as a recorder does."""

    def __init__(self, journal: str, answer: Callable[[dict[str, Any]], bytes]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(journal + ".sock")
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rwb") as line:
            request = json.loads(line.readline())
            self.asked.append(request)
            line.write(self._answer(request))

    def close(self) -> None:
        self._thread.join(10)
        self._socket.close()


@pytest.fixture
def recorder(journal: str) -> Iterator[Callable[..., Recorder]]:
    started: list[Recorder] = []

    def start(answer: Callable[[dict[str, Any]], bytes]) -> Recorder:
        started.append(Recorder(journal, answer))
        return started[-1]

    yield start
    for each in started:
        each.close()


# ---- prune


def test_prune_takes_whole_segments_that_are_old_enough(run: Run, journal: str) -> None:
    result = run("prune", "--journal", journal, "--before", "2026-11-24T03:13:05Z")

    assert result.exit_code == 0
    assert result.stdout.startswith("10 events in 1 segment went")
    assert count(journal) == 20


def test_prune_takes_an_age_too(run: Run, journal: str) -> None:
    assert run("prune", "--journal", journal, "--before", "46m55s").stdout.startswith("10 events in 1 segment")


def test_prune_brings_the_journal_under_a_size(run: Run, journal: str) -> None:
    result = run("prune", "--journal", journal, "--max-size", "1k")

    assert result.stdout.startswith("30 events in 3 segments went")
    assert count(journal) == 0


def test_prune_of_nothing_says_so(run: Run, journal: str) -> None:
    assert run("prune", "--journal", journal, "--before", "1d", "--max-size", "10Gi").stdout.startswith("Nothing went")
    assert count(journal) == 30


def test_a_dry_run_says_what_would_go_and_takes_nothing(run: Run, journal: str) -> None:
    before = run("prune", "--journal", journal, "--dry-run", "--before", "2026-11-24T03:13:05Z").stdout
    size = run("prune", "--journal", journal, "--dry-run", "--max-size", "1k").stdout
    nothing = run("prune", "--journal", journal, "--dry-run", "--before", "1d").stdout

    assert before.startswith("10 events in 1 segment would go, of 03:12:00.000 to 03:12:09.000")
    assert size.startswith("30 events in 3 segments would go")
    assert nothing.startswith("Nothing would go")
    assert count(journal) == 30


def test_prune_asks_a_running_recorder(run: Run, journal: str, recorder: Callable[..., Recorder]) -> None:
    result = {"segments": 2, "events": 1200, "versions": 1, "objects": 0}
    beside = recorder(lambda _: json.dumps({"ok": True, "result": result}).encode() + b"\n")

    shown = run("prune", "--journal", journal, "--before", "1h", "--max-size", "1Ki").stdout

    assert shown == "1,200 events in 2 segments went, with 1 version of objects and 0 objects.\n"
    assert beside.asked == [{"do": "prune", "size": 1024, "age": 3600 * SECOND}]
    assert count(journal) == 30


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b'{"ok": false, "error": "the disk is full"}\n', 1, "the recorder refused: the disk is full"),
        (b"", 1, "the recorder ended before it answered"),
        (b"nonsense\n", 3, "does not answer"),
    ],
)
def test_a_recorder_that_fails_is_told_in_one_line(
    answer: bytes, code: int, said: str, run: Run, journal: str, recorder: Callable[..., Recorder]
) -> None:
    recorder(lambda _: answer)

    result = run("prune", "--journal", journal, "--before", "1h")

    assert result.exit_code == code
    assert result.stderr.startswith("pipetrail: ")
    assert said in result.stderr


def test_prune_beside_a_writer_that_has_no_socket_exits_3(run: Run, journal: str) -> None:
    writer = Journal(journal)

    result = run("prune", "--journal", journal, "--before", "1h")
    writer.close()

    assert result.exit_code == 3
    assert "writes it already" in result.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "say what may go: --before or --max-size"),
        (["--max-size", "much"], "'much' is no size"),
        (["--max-size", "0"], "'0' is no size"),
        (["--before", "soon"], "'soon' is no time"),
        (["--before", "2099-01-01"], "it is in the future"),
    ],
)
def test_prune_wants_bounds_that_make_sense(args: list[str], said: str, run: Run, journal: str) -> None:
    result = run("prune", "--journal", journal, *args)

    assert result.exit_code == 2
    assert said in result.output


def test_prune_does_not_make_a_journal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "none.db"

    assert run("prune", "--journal", str(path), "--before", "1h").exit_code == 3
    assert not path.exists()


# ---- backup


def test_a_backup_is_a_journal(run: Run, journal: str, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.db")

    result = run("backup", "--journal", journal, copy)

    assert result.exit_code == 0
    assert result.stdout.startswith(f"{copy}: ")
    assert count(copy) == 30
    assert os.stat(copy).st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.iterdir() if "copy" in file.name) == ["copy.db"]


def test_a_backup_is_made_while_somebody_writes(run: Run, journal: str, tmp_path: Path) -> None:
    writer = Journal(journal)
    writer.append([Batch(cluster=CLUSTER, resource="events", events=[event(NIGHT, pod("last"), "R")])])

    result = run("backup", "--journal", journal, str(tmp_path / "copy.db"))
    writer.close()

    assert result.exit_code == 0
    assert count(str(tmp_path / "copy.db")) == 31


def test_a_backup_overwrites_only_by_force(run: Run, journal: str, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    file.write_text("dear")

    refused = run("backup", "--journal", journal, str(file))

    assert refused.exit_code == 1
    assert "--force overwrites it" in refused.stderr
    assert file.read_text() == "dear"
    assert run("backup", "--journal", journal, str(file), "--force").exit_code == 0
    assert count(str(file)) == 30


def test_a_backup_never_overwrites_its_own_journal(run: Run, journal: str, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(journal)

    for target in (journal, str(tmp_path / "link.db")):
        result = run("backup", "--journal", journal, target, "--force")
        assert result.exit_code == 1
        assert "that is the journal itself" in result.stderr
    assert count(journal) == 30


def test_a_backup_into_a_folder_that_is_not_there_is_one_line(run: Run, journal: str, tmp_path: Path) -> None:
    result = run("backup", "--journal", journal, str(tmp_path / "none" / "copy.db"))

    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1


def test_a_backup_asks_a_running_recorder(
    run: Run, journal: str, tmp_path: Path, recorder: Callable[..., Recorder]
) -> None:
    copy = tmp_path / "copy.db"

    def answer(request: dict[str, Any]) -> bytes:
        source, target = apsw.Connection(journal), apsw.Connection(request["to"])
        with target.backup("main", source, "main") as work:
            work.step()
        source.close()
        target.close()
        return b'{"ok": true, "result": {"pages": 1}}\n'

    beside = recorder(answer)

    assert run("backup", "--journal", journal, str(copy)).exit_code == 0
    assert beside.asked == [{"do": "backup", "to": str(copy)}]
    assert count(str(copy)) == 30


def test_a_backup_that_the_recorder_wrote_elsewhere_fails(
    run: Run, journal: str, tmp_path: Path, recorder: Callable[..., Recorder]
) -> None:
    recorder(lambda _: b'{"ok": true, "result": null}\n')

    result = run("backup", "--journal", journal, str(tmp_path / "copy.db"))

    assert result.exit_code == 1
    assert "this process does not see it" in result.stderr


# ---- export


def test_json_lines_are_those_of_events(run: Run, night_journal: str, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    expected = run("events", "--journal", night_journal, "-o", "json").stdout

    result = run("export", "--journal", night_journal, "--output", str(file))

    assert result.exit_code == 0
    assert result.stderr == f"{file}: 15 events\n"
    assert file.read_text(encoding="utf-8") == expected
    assert run("export", "--journal", night_journal).stdout == expected
    assert run("export", "--journal", night_journal, "--format", "jsonl").stdout == expected


def test_the_filters_of_events_choose(run: Run, night_journal: str) -> None:
    args = ["ml/pod/train-llama-70b-worker-0", "--severity", "error"]

    assert (
        run("export", "--journal", night_journal, *args).stdout
        == run("events", "--journal", night_journal, *args, "-o", "json").stdout
    )


def test_a_name_that_ends_in_zst_is_compressed(run: Run, night_journal: str, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl.zst"

    run("export", "--journal", night_journal, "--output", str(file))

    with file.open("rb") as packed:
        text = zstandard.ZstdDecompressor().stream_reader(packed).read().decode()
    assert text == run("events", "--journal", night_journal, "-o", "json").stdout


def test_parquet_has_the_same_fields(run: Run, night_journal: str, tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"

    result = run("export", "--journal", night_journal, "--output", str(file))
    rows = pq.read_table(file).to_pylist()
    lines = [json.loads(line) for line in run("export", "--journal", night_journal).stdout.splitlines()]

    assert result.exit_code == 0
    assert [list(row) for row in rows] == [list(line) for line in lines]
    for row, line in zip(rows, lines, strict=True):
        assert row["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ") == line["at"]
        assert dict(row["marks"]) == line["marks"]
        for key in ("seq", "id", "message", "count", "about", "related", "source", "links", "type"):
            assert row[key] == line[key], key


def test_parquet_is_written_in_row_groups(night_journal: str, tmp_path: Path) -> None:
    from pipetrail.cli.parquet import write_parquet

    with JournalReader(night_journal) as reader, (tmp_path / "x.parquet").open("wb") as out:
        assert write_parquet(reader.events(Query()), out, row_group=4) == 15
    written = pq.ParquetFile(tmp_path / "x.parquet")
    assert [written.metadata.row_group(i).num_rows for i in range(written.num_row_groups)] == [4, 4, 4, 3]
    written.close()


def test_parquet_without_its_extra_names_the_extra(
    run: Run, night_journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    result = run("export", "--journal", night_journal, "--format", "parquet", "--output", str(tmp_path / "x"))

    assert result.exit_code == 2
    assert result.stderr == "pipetrail: Parquet needs the extra: pip install 'pipetrail[parquet]'\n"


def test_parquet_is_not_printed_on_a_terminal(run: Run, night_journal: str) -> None:
    result = run("export", "--journal", night_journal, "--format", "parquet", terminal=True)

    assert result.exit_code == 2


def test_export_overwrites_only_by_force(run: Run, night_journal: str, tmp_path: Path) -> None:
    file = tmp_path / "dear.jsonl"
    file.write_text("dear")

    assert run("export", "--journal", night_journal, "--output", str(file)).exit_code == 1
    assert file.read_text() == "dear"
    assert run("export", "--journal", night_journal, "--output", str(file), "--force").exit_code == 0
    assert file.read_text() != "dear"


def test_an_export_that_fails_leaves_nothing(run: Run, tmp_path: Path) -> None:
    journal = write(str(tmp_path / "j.db"), [])

    result = run("export", "--journal", journal, "--output", str(tmp_path / "none" / "x.jsonl"))

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "none").exists()
