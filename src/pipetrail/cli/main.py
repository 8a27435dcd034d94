"""The entry point, ``pipetrail`` and ``kubectl pipetrail``: finds the command, imports only that one, ends it well."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from pipetrail import __version__, hangup
from pipetrail.cli.failures import failure_of, hush

COMPLETE_VAR = "_PIPETRAIL_COMPLETE"

COMMANDS: Mapping[str, tuple[str, str]] = {
    "record": ("record:record", "Record a cluster into the journal."),
    "deliver": ("deliver:deliver", "Send what is recorded to the sinks of the configuration."),
    "events": ("events:events", "Show what happened."),
    "runs": ("runs:runs", "Show runs: what people started, rather than pods."),
    "run": ("run:run", "Show one run: its tree, and how long it waited, pulled, ran."),
    "why": ("why:why", "Say why a run failed or waits, whose turn it is, and what to do."),
    "nodes": ("nodes:nodes", "Rank nodes by the runs that failed on them, to find lemons."),
    "diff": ("diff:diff", "Say what differs between a run and the last good one."),
    "objects": ("objects:objects", "Show objects as they were, also after their deletion."),
    "emit": ("emit:emit", "Tell a fact as a Kubernetes Event."),
    "explain-link": ("explain_link:explain_link", "Say why an event belongs to its run."),
    "catalogue": ("catalogue:catalogue", "Explain a reason, or list what makes runs fail."),
    "status": ("status:status", "Show what is recorded, what was missed and what is lacking."),
    "sinks": ("sinks:sinks", "Show how far each sink is, and what is wrong with it."),
    "rejects": ("rejects:rejects", "Show input that could not be recorded."),
    "export": ("export:export", "Write events to a file, as JSON lines or Parquet."),
    "prune": ("prune:prune", "Take the oldest history away."),
    "backup": ("backup:backup", "Copy the journal while it is in use."),
    "capture": ("capture:capture", "Write what a cluster sends to a folder of recordings."),
    "play": ("play:play", "Play recordings into a journal."),
    "demo": ("demo:demo", "Play the recordings that come with pipetrail, and look at them."),
    "rules": ("rules:rules", "Print alerting rules for Prometheus, or a dashboard for Grafana."),
    "config": ("config:config", "Check the configuration file, or print its form for editors."),
    "completion": ("completion:completion", "Print the completion script for a shell."),
}
"""Each command: the module under ``pipetrail.cli`` with the name in it, and its line in the list of commands."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and turns what commands raise into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        where, summary = COMMANDS[cmd_name]
        module, _, name = where.partition(":")
        command: click.Command = getattr(import_module(f"pipetrail.cli.{module}"), name)
        command.short_help = summary
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant, or an error that names the nearest ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0] not in COMMANDS and not args[0].startswith("-"):
                from difflib import get_close_matches

                near = get_close_matches(args[0], COMMANDS)
                hint = f" Did you mean {' or '.join(near)}?" if near else ""
                raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx) from error
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Ctrl-C ends with 130; a reader that went away (``| head``) is a good end."""
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()
            return found
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(130)
        except BrokenPipeError:
            hush()
            ctx.exit(0)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            raise failure from error


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"pipetrail {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version and exit."
)
def cli() -> None:
    """Flight recorder for ML pipelines on Kubernetes.

    Keeps every event and every state change of a cluster, long after the cluster itself forgot them.

    \b
    pipetrail record                     record the current kubeconfig context
    pipetrail events --since yesterday   what happened since then
    pipetrail status                     is all of it being recorded?
    """


def program_name(called_as: str) -> str:
    """How the program is called in its own texts: kubectl runs a plug-in under the name of its file."""
    return "kubectl pipetrail" if Path(called_as).name.startswith("kubectl-") else "pipetrail"


def main(run: Callable[..., Any] = cli.main) -> None:
    """Run the command that the arguments name, and exit."""
    if sys.argv[1:2] in (["record"], ["deliver"]):
        hangup.hold()
    try:
        run(prog_name=program_name(sys.argv[0]), complete_var=COMPLETE_VAR)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
