"""What documents tell people to type exists: commands, options, make targets."""

import re
import shlex
from pathlib import Path

import click
import pytest

from pipetrail.cli.main import cli
from pipetrail.config import load
from tests.docs.pages import ROOT, documents, names

_CONSOLE = re.compile(r"^( *)```console\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_ENDS = {"|", "||", "&&", ";", ">", ">>", "<", "&", "2>"}
DOCUMENTS = [path for path in documents() if "```console" in path.read_text(encoding="utf-8")]


def typed(text: str) -> list[str]:
    """The lines after a prompt in the console blocks, those that end in a backslash with what follows."""
    found = []
    for _, block in _CONSOLE.findall(text):
        joined = block.replace("\\\n", " ")
        found += [line.strip()[2:] for line in joined.splitlines() if line.strip().startswith("$ ")]
    return found


def mistake(line: str) -> str:
    """What is wrong with a line that calls pipetrail or make; empty where nothing is."""
    words = shlex.split(line, comments=True)
    while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in ("sudo", "exec", "time")):
        words = words[1:]
    if words[:2] == ["kubectl", "pipetrail"]:
        words = words[1:]
    end = next((number for number, word in enumerate(words) if word in _ENDS), len(words))
    words, rest = words[:end], words[end + 1 :]
    wrong = ""
    if words and Path(words[0]).name == "pipetrail":
        wrong = _wrong_call(words[1:])
    elif words[:1] == ["make"]:
        wrong = _wrong_target(words[1:])
    return wrong or (mistake(shlex.join(rest)) if rest else "")


def _wrong_call(arguments: list[str]) -> str:
    context = click.Context(cli, info_name="pipetrail", resilient_parsing=True)
    command: click.Command = cli
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name!r}"
        command, context = found, click.Context(found, info_name=name, parent=context, resilient_parsing=True)
    try:
        command.make_parser(click.Context(command)).parse_args(list(arguments))
    except click.UsageError as error:
        return error.format_message()
    return ""


def _wrong_target(arguments: list[str]) -> str:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    missing = [word for word in arguments if "=" not in word and not word.startswith("-") and word not in targets]
    return f"no target {missing[0]!r}" if missing else ""


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_what_a_document_tells_to_type_exists(path: Path) -> None:
    wrong = {line: told for line in typed(path.read_text(encoding="utf-8")) if (told := mistake(line))}

    assert wrong == {}


@pytest.mark.parametrize("page", ["docs/reference/config.md", "docs/how-to/many-clusters.md"])
def test_the_configurations_in_documents_have_no_mistakes(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in blocks:
        (tmp_path / "config.yaml").write_text(block, encoding="utf-8")

        assert load(str(tmp_path / "config.yaml")).clusters

    assert blocks


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_these_tell_what_to_type(page: str) -> None:
    assert ROOT / page in DOCUMENTS


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("pipetrail events --since 2h", ""),
        ("PIPETRAIL_JOURNAL=j.db .venv/bin/pipetrail events -o json | jq .reason", ""),
        ("pipetrail status && pipetrail nothing", "no command 'nothing'"),
        ("pipetrail events --sinse 2h", "No such option"),
        ("pipetrail config check file.yaml", ""),
        ("kubectl pipetrail evnts", "no command 'evnts'"),
        ("make run JOURNAL=j.db", ""),
        ("make rnu", "no target 'rnu'"),
        ("kubectl get pods", ""),
    ],
)
def test_a_wrong_line_is_seen(line: str, told: str) -> None:
    assert mistake(line).startswith(told)
    assert bool(mistake(line)) == bool(told)
