"""The reference says what the code does: all of it, and nothing else."""

from pathlib import Path

import click
import msgspec
import pytest

from docs import generate
from docs._generate import commands, errors, gaps, kinds, metrics, output, settings
from pipetrail.cli.main import cli
from pipetrail.kube.kinds import CORE, RUN_KINDS
from pipetrail.sources.gaps import REASONS
from tests.docs.pages import ROOT

COMMANDS = list(commands.commands(click.Context(cli, info_name="pipetrail")))


def read(page: str) -> str:
    return (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", generate.PAGES)
def test_a_generated_page_is_what_the_code_says(page: str) -> None:
    assert read(page) == generate.PAGES[page](), "run `make docs`"


def test_nothing_else_lies_in_the_folder_of_generated_pages() -> None:
    assert [name for name in generate.differing() if name not in generate.PAGES] == []


def test_check_names_a_page_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "gaps.md").write_text("old", encoding="utf-8")
    (tmp_path / "stray.md").touch()

    code = generate.main(["--check"])

    told = capsys.readouterr().err
    assert code == 1
    assert told.splitlines() == [
        "docs/reference/gaps.md differs from the code: run `make docs`",
        "docs/reference/stray.md differs from the code: run `make docs`",
    ]


@pytest.mark.parametrize(("name", "command"), [(name, command) for name, command, _ in COMMANDS])
def test_each_command_and_option_says_what_it_does(name: str, command: click.Command) -> None:
    page = read("cli.md")
    silent = [
        param.name
        for param in commands.options(command)
        if isinstance(param, click.Option) and not commands.help_of(param)
    ]

    assert command.help, f"pipetrail {name} has no docstring"
    assert silent == []
    assert f"\n## {name}\n" in page
    for param in commands.options(command):
        for option in param.opts if isinstance(param, click.Option) else ():
            assert f"`{option}`" in page


@pytest.mark.parametrize("struct", [struct for _, struct, _ in settings.SECTIONS])
def test_each_field_of_the_configuration_is_described(struct: type[msgspec.Struct]) -> None:
    fields = [field.name for field in msgspec.structs.fields(struct)]
    page = read("config.md")

    assert sorted(settings.field_docs(struct)) == sorted(fields)
    assert [name for name in fields if name not in page] == []


def test_each_metric_is_described() -> None:
    page = read("metrics.md")
    found = metrics.metrics()

    assert [name for name, _, metric in found if not metric.documentation] == []
    assert [name for name, _, _ in found if f"`{name}`" not in page] == []


def test_each_gap_reason_has_a_comment() -> None:
    assert sorted(gaps.COMMENTS) == sorted(REASONS)


def test_each_kind_is_listed_and_each_group_belongs_to_something() -> None:
    page = read("kinds.md")
    wanted = [resource.kind for resource in CORE] + [kind for group in RUN_KINDS.values() for kind in group]

    assert sorted(kinds.SYSTEMS) == sorted(RUN_KINDS)
    assert [kind for kind in wanted if f"`{kind}`" not in page] == []


@pytest.mark.parametrize("struct", list(output.MEANINGS))
def test_each_field_of_the_json_output_has_a_meaning(struct: type[msgspec.Struct]) -> None:
    assert sorted(output.MEANINGS[struct]) == sorted(field.encode_name for field in msgspec.structs.fields(struct))


def test_each_error_of_the_journal_and_of_the_api_has_a_remedy() -> None:
    assert sorted(errors.REMEDIES) == sorted(kind.__name__ for kind in errors.journal_errors())
    assert sorted(errors.MEANINGS) == sorted(kind.__name__ for kind in errors.api_errors())


def test_the_roles_of_the_reference_exist() -> None:
    """Each kind that is recorded has a rule in the roles that the how-to pages tell to apply."""
    text = (ROOT / "deploy" / "rbac.yaml").read_text(encoding="utf-8")

    assert [group for group in RUN_KINDS if f"[{group}]" not in text] == []
