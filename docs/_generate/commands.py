"""``cli.md``: every command, argument and option, as click knows them."""

import inspect
from collections.abc import Iterator

import click

from docs._generate.markdown import block, code, page, sentence, table
from pipetrail.cli.main import COMMANDS, cli

SOURCE = "the commands in src/pipetrail/cli"

_INTRO = """Every command and option. `kubectl pipetrail` has the same ones: the package installs `kubectl-pipetrail`,
which kubectl finds on `PATH`.

Options win over environment variables, these over the configuration file ([config.md](config.md)), and that over
the defaults. How commands end stands in [errors.md](errors.md), the shape of their JSON output in
[output.md](output.md)."""

_VALUES = """## How values are written

| Value | Written as |
| --- | --- |
| a time (`--since`, `--until`) | an age `2h`, `1d12h`; `now`, `today`, `yesterday`; a clock time `03:12` |
| … or | RFC 3339 `2026-11-24T03:12:00Z`; without a zone the machine's is meant |
| a length of time (`--event-ttl`, `--for`, `--max-age`) | `90s`, `30m`, `12h`, `7d`, `2w` and sums of them |
| a size (`--max-size`) | `500M`, `10Gi` |
| an object | `kind/name` or `namespace/kind/name`; kinds as kubectl has them: `po`, `pod`, `pods`, `jobs.batch` |
| a name in a filter | as it is, or `train-*` for all that begin so |
| words in the text (`--text`) | all must be in the message; each may be the beginning of a word |

Options that take several values may be repeated, or given once with commas: `--severity warning,error`. The filters
of different options must all hold."""

_ENVIRONMENT = """## Environment

| Variable | Meaning |
| --- | --- |
| `PIPETRAIL_JOURNAL` | The journal, where `--journal` is not given |
| `PIPETRAIL_CONFIG` | The configuration file, where `--config` is not given |
| those that the configuration names as `${NAME}` | Secrets of sinks, see [Sinks](../how-to/sinks.md#secrets) |
| `KUBECONFIG` | The kubeconfig; several files are merged as kubectl does |
| `PIPETRAIL_RUN`, `PIPETRAIL_STEP` | The run and step of emitted events, also from [Python](python.md) |
| `PIPETRAIL_KUBECONFIG` | The kubeconfig to which Python programs outside of a pod emit |
| `POD_NAME`, `POD_NAMESPACE`, `POD_UID`, `NODE_NAME` | The pod that emits, over what its token says |
| `XDG_STATE_HOME` | Where the default journal is: `$XDG_STATE_HOME/pipetrail/journal.db`, or below `~/.local/state` |
| `COLUMNS`, `NO_COLOR`, `TERM=dumb` | The width of tables in a pipe, and no colours |"""


def write() -> str:
    """The page."""
    context = click.Context(cli, info_name="pipetrail")
    overview = table(
        ("Command", "What it does"), ((f"[`{name}`](#{_anchor(name)})", line) for name, (_, line) in COMMANDS.items())
    )
    sections = [_section(name, command, ctx) for name, command, ctx in commands(context)]
    return page("Command line", SOURCE, _INTRO, overview, _VALUES, _ENVIRONMENT, *sections)


def commands(context: click.Context, path: str = "") -> Iterator[tuple[str, click.Command, click.Context]]:
    """All commands below a group, in their order, each with the name that a person types after ``pipetrail``."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        full = f"{path} {name}".strip()
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield full, command, inner
        yield from commands(inner, full)


def options(command: click.Command) -> list[click.Parameter]:
    """The arguments and options that a command has of its own."""
    return [param for param in command.params if not (isinstance(param, click.Option) and param.hidden)]


def help_of(param: click.Parameter) -> str:
    """What an option says of itself; the variable has a column of its own."""
    text = (param.help or "") if isinstance(param, click.Option) else ""
    return sentence(text.partition(" [env:")[0]) if text else ""


def _section(name: str, command: click.Command, context: click.Context) -> str:
    usage = " ".join(["pipetrail", name, *command.collect_usage_pieces(context)])
    parts = [f"## {name}", block(usage), _prose(command.help or "")]
    rows = [
        (_names(param), _default(param, context), code(_variable(param)), help_of(param))
        for param in options(command)
        if isinstance(param, click.Option)
    ]
    if rows:
        parts.append(table(("Option", "Default", "Variable", "Meaning"), rows))
    return "\n\n".join(parts)


def _prose(text: str) -> str:
    """Help as Markdown: paragraphs, and those that click must not wrap as blocks of code."""
    parts = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            parts.append(block(paragraph.strip("\b\n")))
        else:
            parts.append(" ".join(paragraph.split()))
    return "\n\n".join(parts)


def _names(param: click.Option) -> str:
    names = [code(name) for name in param.opts] + [code(name) for name in param.secondary_opts]
    if param.is_flag or param.count:
        return ", ".join(names)
    if isinstance(param.type, click.Choice):
        return (
            ", ".join(names)
            + " "
            + " \\| ".join(code(str(choice)) for choice in param.type.choices).replace("\\|", "/")
        )
    return ", ".join(names) + " " + (param.metavar or param.type.name).upper()


def _default(param: click.Option, context: click.Context) -> str:
    found = param.get_default(context, call=False)
    if param.is_flag or param.multiple or found is None or callable(found) or str(found) in ("", "0"):
        return ""
    return code(str(found)) if isinstance(found, str | int | float) else ""


def _variable(param: click.Parameter) -> str:
    if not param.envvar:
        return ""
    return param.envvar if isinstance(param.envvar, str) else " ".join(param.envvar)


def _anchor(name: str) -> str:
    return {"config": "config-check"}.get(name, name)
