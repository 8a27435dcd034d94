"""``pipetrail config``: what is wrong with the file, all at once, and its form for editors."""

import json
from pathlib import Path

import pytest

from pipetrail.config.schema import schema
from tests.cli.conftest import Run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pipetrail.yaml"


def test_a_file_without_mistakes_is_said_to_have_none(run: Run, path: Path) -> None:
    path.write_text("sinks: {audit: {type: file, path: /var/log/x}}\n", encoding="utf-8")
    result = run("config", "check", str(path))

    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{path}: no mistakes\n", "")


def test_every_mistake_is_told_the_sinks_and_their_secrets_too(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKE_PASSWORD", raising=False)
    path.write_text(
        "listen: nowhere\n"
        "sinks:\n"
        "  lake: {type: opensearch, url: 'https://h', auth: {username: a, password: '${LAKE_PASSWORD}'}}\n"
        "  audit: {type: fiel}\n",
        encoding="utf-8",
    )
    result = run("config", "check", str(path))

    assert result.exit_code == 2
    assert [line.removeprefix(f"pipetrail: {path}:")[:30] for line in result.stderr.splitlines()] == [
        "1: listen: 'nowhere' is no addre"[:30],
        "3: sinks.lake.auth.password: the"[:30],
        "4: sinks.audit.type: 'fiel' is n"[:30],
    ]


def test_a_password_in_the_file_is_a_warning_and_not_shown(run: Run, path: Path) -> None:
    text = "sinks: {lake: {type: opensearch, url: 'https://h', auth: {username: a, password: hunter2}}}\n"
    path.write_text(text, encoding="utf-8")
    result = run("config", "check", str(path))

    assert result.exit_code == 0
    assert f"pipetrail: warning: {path}:1: sinks.lake.auth.password: it stands in the file" in result.stderr
    assert "hunter2" not in result.output


def test_without_a_file_it_says_how_to_name_one(run: Run) -> None:
    assert run("config", "check").exit_code == 2


def test_the_schema_for_editors_is_printed(run: Run) -> None:
    result = run("config", "schema")

    assert result.stdout == schema()
    assert json.loads(result.stdout)["$schema"].startswith("https://json-schema.org/")
