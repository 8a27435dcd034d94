"""``pipetrail sinks``: what is told of each sink, with and without a running delivery."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.shell_completion import ShellComplete

from pipetrail.cli.main import cli
from pipetrail.control import Handler, answering
from pipetrail.model import Micros
from pipetrail.model.times import SECOND
from pipetrail.sinks.figures import FAILURES, SinkFigures
from pipetrail.sinks.state import DeadLetter, Position, Settled, State
from pipetrail.stores.sqlite import JournalReader
from pipetrail.testing.deliveries import delivery
from pipetrail.testing.receivers import UNAUTHORIZED, ScriptedReceiver
from tests.cli.conftest import Run
from tests.cli.journals import CLUSTER, HOSTILE, NIGHT, NOW, batches, write
from tests.cli.test_cli_events import golden

CONFIG = """
sinks:
  audit: {type: file, path: /var/log/pipetrail/events.jsonl}
  lake-of-the-research-group: {type: opensearch, url: 'https://search.example.com:9200'}
  on-call: {type: webhook, url: 'https://hooks.example.com/x'}
  pages: {type: alertmanager, url: 'http://alertmanager:9093'}
  soon: {type: webhook, url: 'https://hooks.example.com/y'}
"""
REFUSED = "https://search.example.com:9200/_bulk: can't connect to search.example.com:9200: Connection refused"


def figures(name: str, type_: str, **more: Any) -> SinkFigures:
    return SinkFigures(name=name, type=type_, rate_at=NOW, **more)


LIVE = [
    figures("audit", "file", state="closed", read=41_200, sent=41_000, rate=812.4, bytes=48_000_000),
    figures(
        "lake-of-the-research-group",
        "opensearch",
        state="open",
        read=38_100,
        unsettled=500,
        lag_events=3_600,
        oldest_at=NOW - 754 * SECOND,
        retries=17,
        dead_letters=2,
        dead_letters_ever=5,
        failures=dict.fromkeys(FAILURES, 0) | {"refused": 17},
        last_error=REFUSED,
        last_error_at=NOW - 21 * SECOND,
        last_sent_at=NOW - 760 * SECOND,
    ),
    figures(
        "on-call",
        "webhook",
        state="full",
        read=41_000,
        lag_events=200,
        oldest_at=NOW - 30 * SECOND,
        held=3,
        dead_letters=100_000,
        skipped=1_234,
        last_error=f"400: {HOSTILE}",
        last_error_at=NOW - 3 * SECOND,
    ),
]


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return write(str(tmp_path / "journal.db"), batches(), {CLUSTER: "prod-eu"})


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "pipetrail.yaml").write_text(CONFIG, encoding="utf-8")
    return str(tmp_path / "pipetrail.yaml")


def stored(journal: str, *letters: DeadLetter) -> None:
    """The state that a delivery left which has ended."""
    state = State(journal + ".sinks")
    for each in (*LIVE, figures("pages", "alertmanager", state="closed", read=12, sent=9)):
        dead = letters if each.name == "on-call" else ()
        state.commit(each.name, Settled(position=Position(read=each.read), figures=each, dead=dead))
    state.close()


def letter(seq: int, reason: str = "HTTP 400: the field at is missing", at: Micros = NIGHT) -> DeadLetter:
    return DeadLetter(seq=seq, at=at, reason=reason, delivery=delivery(seq))


class Answering:
    """A delivery that answers as it is told, in a thread."""

    def __init__(self, journal: str, answers: dict[str, Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._journal, self._answers = journal, answers
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        def handler(answer: Any) -> Handler:
            async def answered(request: dict[str, Any]) -> Any:
                self.asked.append(request)
                if isinstance(answer, Exception):
                    raise answer
                return answer(request) if callable(answer) else answer

            return answered

        async with answering(self._journal + ".sinks", {do: handler(answer) for do, answer in self._answers.items()}):
            self._ready.set()
            await self._end.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()


@contextlib.contextmanager
def running(journal: str, **answers: Any) -> Iterator[Answering]:
    live = {"sinks": {"sinks": msgspec.to_builtins(LIVE)}}
    made = Answering(journal, live | {word.replace("_", "-"): answer for word, answer in answers.items()})
    try:
        yield made
    finally:
        made.close()


# ---- the table


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_looks_as_it_was_seen(width: int, run: Run, journal: str, config: str) -> None:
    stored(journal)
    with running(journal):
        result = run("sinks", "--journal", journal, "--config", config, width=width)

    assert max(map(len, result.stdout.splitlines())) <= width
    golden(f"sinks-{width}.txt", result.stdout)


def test_wide_shows_all_of_it(run: Run, journal: str, config: str) -> None:
    with running(journal):
        result = run("sinks", "--journal", journal, "--config", config, "-o", "wide", width=80)

    assert REFUSED in result.stdout
    assert "1,234" in result.stdout  # skipped


def test_what_a_receiver_says_does_no_harm_to_the_terminal(run: Run, journal: str) -> None:
    with running(journal):
        result = run("sinks", "--journal", journal, "-o", "wide")

    assert not set(result.stdout) & set("\x1b\x07\x9b\u202e\u200b\u2028\x85\r")


def test_without_a_delivery_all_are_stopped_and_behind_by_what_was_recorded_since(
    run: Run, journal: str, config: str
) -> None:
    stored(journal)
    found = [
        json.loads(line)
        for line in run("sinks", "--journal", journal, "--config", config, "-o", "json").stdout.splitlines()
    ]

    assert [(each["name"], each["state"]) for each in found] == [
        ("audit", "stopped"),
        ("lake-of-the-research-group", "stopped"),
        ("on-call", "stopped"),
        ("pages", "stopped"),
        ("soon", "new"),
    ]
    with JournalReader(journal) as reader:
        assert found[3]["lag_events"] == reader.last_seq() - 12
    assert {each["rate"] for each in found} == {0.0}


def test_the_lines_of_json_have_the_fields_that_the_delivery_counts(run: Run, journal: str) -> None:
    with running(journal):
        text = run("sinks", "--journal", journal, "-o", "json").stdout
        documents = run("sinks", "--journal", journal, "-o", "yaml").stdout
    found = [json.loads(line) for line in text.splitlines()]

    assert list(yaml.safe_load_all(documents)) == found
    lake = found[1]
    assert (lake["cursor"], lake["lag_events"], lake["lag_seconds"]) == (38_100, 3_600, 754.0)
    assert (lake["state"], lake["retries"], lake["dead_letters"], lake["failures"]["refused"]) == ("open", 17, 2, 17)
    assert (lake["last_error"], lake["last_error_at"]) == (REFUSED, "2026-11-24T03:59:39.000000Z")


def test_without_any_sinks_it_says_so(run: Run, journal: str) -> None:
    assert run("sinks", "--journal", journal).stdout.startswith("There are no sinks.")
    assert run("sinks", "--journal", journal, "-o", "json").stdout == ""


def test_sinks_of_a_journal_that_is_not_there_yet_are_new(run: Run, tmp_path: Path, config: str) -> None:
    result = run("sinks", "--journal", str(tmp_path / "none.db"), "--config", config, "-o", "json")

    assert {json.loads(line)["state"] for line in result.stdout.splitlines()} == {"new"}


def test_a_state_file_that_is_none_is_told(run: Run, journal: str) -> None:
    Path(journal + ".sinks").write_text("no database", encoding="utf-8")
    result = run("sinks", "--journal", journal)

    assert result.exit_code == 3
    assert "journal.db.sinks: it is damaged" in result.stderr


# ---- replay


def test_replay_asks_the_running_delivery(run: Run, journal: str) -> None:
    with running(journal, replay={"changes": 12_345}) as delivery_:
        result = run("sinks", "replay", "audit", "--since", "1h", "--journal", journal)

    assert result.stdout == "audit is sent about 12,345 changes again.\n"
    assert delivery_.asked == [{"do": "replay", "sink": "audit", "since": NOW - 3600 * SECOND}]


def test_replay_without_a_delivery_moves_the_cursor(run: Run, journal: str) -> None:
    stored(journal)
    result = run("sinks", "replay", "pages", "--since", "2026-11-24T03:12:30Z", "--journal", journal)
    state = State(journal + ".sinks")
    position = state.position("pages")
    state.close()

    assert "No delivery is running: it is sent when one does." in result.stderr
    assert position is not None
    assert 0 < position.read < 12


@pytest.mark.parametrize(
    "args",
    [["replay", "nobody", "--since", "1h"], ["dead-letters", "nobody"], ["dead-letters", "nobody", "drop", "--all"]],
)
def test_an_unknown_name_lists_those_that_there_are(args: list[str], run: Run, journal: str) -> None:
    stored(journal)
    result = run("sinks", *args, "--journal", journal)

    assert result.exit_code == 1
    assert "nobody: no sink of this name; there are audit, lake-of-the-research-group, on-call, pages" in result.stderr


def test_where_nothing_was_ever_delivered_that_is_told(run: Run, journal: str) -> None:
    result = run("sinks", "replay", "audit", "--since", "1h", "--journal", journal)

    assert result.exit_code == 3
    assert "nothing was ever delivered from this journal" in result.stderr


def test_an_error_of_the_delivery_is_one_line(run: Run, journal: str) -> None:
    with running(journal, replay=LookupError("no sink 'x' (there are: audit)")):
        result = run("sinks", "replay", "x", "--since", "1h", "--journal", journal)

    assert (result.exit_code, result.stderr) == (1, "pipetrail: no sink 'x' (there are: audit)\n")


def test_a_delivery_that_can_not_be_reached_but_holds_the_lock_is_told(run: Run, journal: str) -> None:
    stored(journal)
    state = State(journal + ".sinks")
    try:
        result = run("sinks", "dead-letters", "on-call", "drop", "--all", "--journal", journal)
    finally:
        state.close()

    assert result.exit_code == 3
    assert "delivers from this journal already" in result.stderr


# ---- dead letters


def test_dead_letters_are_listed(run: Run, journal: str) -> None:
    stored(journal, letter(12), letter(7, HOSTILE))
    result = run("sinks", "dead-letters", "on-call", "--journal", journal, width=120)

    head, first, second = result.stdout.splitlines()
    assert head.split() == ["SEQ", "GIVEN", "UP", "OBJECT", "EVENT", "REASON"]
    assert first.split()[0] == "7"
    assert "ml/Pod/worker-12" in second or "ml/pod/worker-12" in second
    assert second.endswith("HTTP 400: the field at is missing")
    assert not set(result.stdout) & set("\x1b\x07\u202e\r")


def test_the_dead_letters_as_json_have_the_whole_event_and_are_the_same_from_a_running_delivery(
    run: Run, journal: str
) -> None:
    stored(journal, *(letter(seq) for seq in range(1, 1_201)))
    args = ["sinks", "dead-letters", "on-call", "list", "-o", "json", "--journal", journal]
    text = run(*args).stdout
    found = [json.loads(line) for line in text.splitlines()]

    assert [each["seq"] for each in found] == list(range(1, 1_201))
    assert found[0]["at"] == "2026-11-24T03:12:00.000000Z"
    assert found[0]["event"]["about"]["name"] == "worker-1"

    def page(request: dict[str, Any]) -> Any:
        behind = [{**each, "at": NIGHT} for each in found if each["seq"] > request["after"]]
        return {"letters": behind[: request["most"]]}

    with running(journal, dead_letters=page):
        assert run(*args).stdout == text


def test_dead_letters_are_dropped_and_retried_without_a_delivery(run: Run, journal: str) -> None:
    stored(journal, letter(1), letter(2), letter(3))
    dropped = run("sinks", "dead-letters", "on-call", "drop", "1", "--journal", journal)
    retried = run("sinks", "dead-letters", "on-call", "retry", "--all", "--journal", journal)
    left = run("sinks", "dead-letters", "on-call", "--journal", journal)

    assert dropped.stdout == "1 dead letter of on-call is gone.\n"
    assert retried.stdout == "2 dead letters of on-call are tried again when a delivery runs.\n"
    assert left.stdout == "on-call has no dead letters.\n"


def test_ids_that_are_none_are_told(run: Run, journal: str) -> None:
    stored(journal, letter(1))
    result = run("sinks", "dead-letters", "on-call", "drop", "1", "99", "--journal", journal)

    assert result.exit_code == 1
    assert "1 dead letter of the 2 named: the others are none of on-call" in result.stderr


def test_a_running_delivery_is_asked_about_dead_letters(run: Run, journal: str) -> None:
    with running(journal, retry={"count": 2}, drop={"count": 1}) as delivery_:
        retried = run("sinks", "dead-letters", "on-call", "retry", "7", "5", "--journal", journal)
        dropped = run("sinks", "dead-letters", "on-call", "drop", "--all", "--journal", journal)

    assert retried.stdout == "2 dead letters of on-call are tried again.\n"
    assert dropped.stdout == "1 dead letter of on-call is gone.\n"
    assert [each.get("seqs") for each in delivery_.asked] == [[5, 7], None]


@pytest.mark.parametrize(
    "args", [["retry"], ["drop"], ["drop", "--all", "5"], ["list", "5"], ["list", "--all"], ["burn"]]
)
def test_dead_letters_want_to_be_named(args: list[str], run: Run, journal: str) -> None:
    assert run("sinks", "dead-letters", "on-call", *args, "--journal", journal).exit_code == 2


def test_options_before_a_command_are_not_taken_in_silence(run: Run, journal: str) -> None:
    result = run("sinks", "--journal", journal, "dead-letters", "on-call")

    assert result.exit_code == 2
    assert "write options behind `dead-letters`" in result.stderr


def test_a_shell_completes_the_names_of_sinks(journal: str, config: str) -> None:
    stored(journal)
    completion = ShellComplete(cli, {}, "pipetrail", "_X")
    words = completion.get_completions(["sinks", "test", "--journal", journal, "--config", config], "o")

    assert [word.value for word in words] == ["on-call"]


# ---- test


def test_a_probe_works_without_a_delivery_and_says_what_the_receiver_said(
    run: Run, journal: str, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(
        f"sinks: {{audit: {{type: file, path: {tmp_path}/out.jsonl}}}}\n", encoding="utf-8"
    )
    result = run("sinks", "test", "audit", "--journal", journal, "--config", str(tmp_path / "c.yaml"))

    assert result.exit_code == 0
    assert result.stdout.startswith("audit: ")
    assert not (tmp_path / "out.jsonl").exists() or not (tmp_path / "out.jsonl").stat().st_size


def test_a_probe_that_fails_says_why(run: Run, journal: str, tmp_path: Path) -> None:
    text = f"sinks: {{audit: {{type: file, path: {tmp_path}/nowhere/out.jsonl}}}}\n"
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    result = run("sinks", "test", "audit", "--journal", journal, "--config", str(tmp_path / "c.yaml"))

    assert result.exit_code == 1
    assert result.stderr.startswith("pipetrail: audit: ")


async def test_a_probe_over_http_shows_no_secret(
    run: Run, journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "hunter2-of-the-hook")
    async with ScriptedReceiver(UNAUTHORIZED) as receiver:
        text = f"sinks: {{hook: {{type: webhook, url: '{receiver.url}/x', auth: {{token: '${{HOOK_TOKEN}}'}}}}}}\n"
        (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
        args = ["sinks", "test", "hook", "--journal", journal, "--config", str(tmp_path / "c.yaml")]
        result = await asyncio.to_thread(run, *args)

    assert result.exit_code == 1
    assert "401" in result.stderr
    assert "hunter2" not in result.stderr
    assert receiver.requests[0].headers["authorization"] == "Bearer hunter2-of-the-hook"


def test_a_running_delivery_probes_with_its_own_secrets(run: Run, journal: str, config: str) -> None:
    with running(journal, probe={"said": "HTTP 200"}) as delivery_:
        result = run("sinks", "test", "audit", "--journal", journal)

    assert result.stdout == "audit: HTTP 200\n"
    assert delivery_.asked[-1] == {"do": "probe", "sink": "audit"}


def test_a_probe_of_an_unknown_sink_lists_the_known(run: Run, journal: str, config: str) -> None:
    result = run("sinks", "test", "nobody", "--journal", journal, "--config", config)

    assert result.exit_code == 1
    assert "nobody: no sink of this name; there are audit, lake-of-the-research-group, on-call" in result.stderr
