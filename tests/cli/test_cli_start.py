"""Starting the program: what it imports, how it is called, how it ends."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from pipetrail.cli.main import COMMANDS, cli, program_name
from tests.cli.conftest import Run

HEAVY = {"aiohttp", "kubernetes_asyncio", "rich", "yaml", "pyarrow", "prometheus_client", "structlog"}


def imported_by(*args: str) -> set[str]:
    """The modules that a run of the program imports."""
    code = (
        "import sys\n"
        f"sys.argv = ['pipetrail', *{args!r}]\n"
        "from pipetrail.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_no_command_and_nothing_heavy() -> None:
    found = imported_by("--help")

    assert not found & HEAVY
    assert not {name for name in found if name.startswith("pipetrail.")} - {
        "pipetrail.cli",
        "pipetrail.cli.main",
        "pipetrail.cli.failures",
        "pipetrail.hangup",
    }


def test_json_output_imports_nothing_that_it_does_not_need(night_journal: str) -> None:
    assert not imported_by("events", "-o", "json", "--journal", night_journal) & HEAVY


@pytest.mark.parametrize("command", ["objects", "status"])
def test_the_other_readers_import_neither_http_nor_kubernetes(command: str, night_journal: str) -> None:
    assert not imported_by(command, "-o", "json", "--journal", night_journal) & HEAVY


def test_a_plain_table_needs_no_rich_but_a_wide_character_does(night_journal: str) -> None:
    assert "rich" not in imported_by("events", "--reason", "Scheduled", "--journal", night_journal)
    assert "rich" in imported_by("events", "--text", "画像を取得できません", "--journal", night_journal)


@pytest.mark.parametrize(
    ("called_as", "shown"),
    [
        ("/usr/bin/pipetrail", "pipetrail"),
        ("/usr/local/bin/kubectl-pipetrail", "kubectl pipetrail"),
        ("main.py", "pipetrail"),
    ],
)
def test_usage_names_the_program_as_it_was_called(called_as: str, shown: str) -> None:
    assert program_name(called_as) == shown


def test_the_kubectl_plugin_is_the_same_program() -> None:
    plugin = Path(sys.executable).with_name("kubectl-pipetrail")

    done = subprocess.run([plugin, "events", "--help"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("Usage: kubectl pipetrail events")


def test_version_is_printed(run: Run) -> None:
    assert run("--version").output.startswith("pipetrail 0.")


def test_an_unknown_command_names_the_nearest_one_and_exits_2(run: Run) -> None:
    result = run("evnts")

    assert result.exit_code == 2
    assert "Did you mean events?" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_has_a_help_text(name: str) -> None:
    module = COMMANDS[name][0].partition(":")[0]
    assert find_spec(f"pipetrail.cli.{module}") is not None

    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.help


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_names_each(name: str, run: Run) -> None:
    assert f"  {name} " in run("--help").output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_and_how_to_install_it(shell: str, run: Run) -> None:
    result = run("completion", shell)

    assert result.exit_code == 0
    assert "_PIPETRAIL_COMPLETE" in result.output
    assert f"pipetrail completion {shell} >" in result.output
    assert result.output.startswith("#compdef pipetrail\n" if shell == "zsh" else "# To install it")


def test_completion_knows_the_commands() -> None:
    words = {"COMP_WORDS": "pipetrail ev", "COMP_CWORD": "1", "_PIPETRAIL_COMPLETE": "bash_complete"}

    done = subprocess.run(
        [Path(sys.executable).with_name("pipetrail")], capture_output=True, text=True, env={**os.environ, **words}
    )

    assert done.stdout.split() == ["plain,events"]


def test_a_missing_journal_is_one_line_and_exit_code_3(run: Run, tmp_path: Path) -> None:
    result = run("events", "--journal", str(tmp_path / "none.db"))

    assert result.exit_code == 3
    assert result.output.startswith(f"pipetrail: {tmp_path}/none.db: no journal there")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("command", ["events", "objects", "status", "rejects", "export"])
def test_a_file_that_is_no_journal_is_one_line_and_exit_code_3(command: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear all,\n" * 1000)

    result = run(command, "--journal", str(file))

    assert result.exit_code == 3
    assert result.output.startswith("pipetrail: ")
    assert "no journal" in result.output


def test_the_journal_comes_from_the_option_then_the_environment_then_the_file_then_the_state_folder(
    run: Run, night_journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("journal: /from/the/file.db\n")

    assert f"{tmp_path}/state/pipetrail/journal.db: no journal" in run("status").output
    assert "/from/the/file.db: no journal" in run("status", "--config", str(config)).output
    monkeypatch.setenv("PIPETRAIL_CONFIG", str(config))
    assert "/from/the/file.db: no journal" in run("status").output
    monkeypatch.setenv("PIPETRAIL_JOURNAL", "/from/the/environment.db")
    assert "/from/the/environment.db: no journal" in run("status").output
    assert run("status", "--journal", night_journal).exit_code == 0


def test_a_bad_configuration_is_a_line_for_each_mistake_and_exit_code_2(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("jurnal: x\nretention: {size: much}\n")

    for result in (run("events", "--config", str(config)), run("config", "check", str(config))):
        assert result.exit_code == 2
        assert [line.partition(" ")[0] for line in result.output.splitlines()] == ["pipetrail:"] * 2
        assert "config.yaml:1: jurnal" in result.output
        assert "config.yaml:2: retention.size" in result.output


def test_config_check_says_that_a_good_file_is_good(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("journal: /var/lib/pipetrail/journal.db\n")

    assert run("config", "check", str(config)).output == f"{config}: no mistakes\n"
    assert run("config", "check", "--config", str(config)).exit_code == 0
    assert run("config", "check").exit_code == 2
    monkeypatch.setenv("PIPETRAIL_CONFIG", str(config))
    assert run("config", "check").exit_code == 0


def test_a_reader_that_goes_away_is_a_good_end(night_journal: str) -> None:
    program = Path(sys.executable).with_name("pipetrail")
    command = f"for i in 1 2 3; do '{program}' events -o json --journal '{night_journal}'; echo $? >&2; done | head -1"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert done.stdout.count("\n") == 1
    assert set(done.stderr.split()) == {"0"}
