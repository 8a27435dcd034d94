"""``pipetrail config``: every mistake in the configuration file, before it matters; and its form, for editors."""

import click

from pipetrail.cli.failures import USAGE, Failure


@click.group()
def config() -> None:
    """Check the configuration file."""


@config.command()
@click.argument("file", envvar="PIPETRAIL_CONFIG", type=click.Path(), required=False)
@click.option("--config", "config_file", type=click.Path(), metavar="FILE", help="The same as FILE.")
def check(file: str | None, config_file: str | None) -> None:
    """Check a configuration file (or the one in PIPETRAIL_CONFIG) and print one line for each mistake.

    The variables and files that hold secrets of sinks are looked up too: check where the sinks will run.
    """
    from pipetrail.config import load

    path = config_file or file
    if not path:
        raise Failure("name the file: pipetrail config check FILE, or set PIPETRAIL_CONFIG", USAGE)
    load(path, thorough=True, sinks=True, warn=lambda text: click.echo(f"pipetrail: warning: {text}", err=True))
    click.echo(f"{path}: no mistakes")


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, with which editors complete and check it.

    \b
    pipetrail config schema > pipetrail.schema.json
    # yaml-language-server: $schema=pipetrail.schema.json      as the first line of the file
    """
    from pipetrail.config.schema import schema as found

    click.echo(found(), nl=False)
