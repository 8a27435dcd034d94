"""``pipetrail config check``: every mistake in the configuration file, before it matters."""

import click

from pipetrail.cli.failures import USAGE, Failure


@click.group()
def config() -> None:
    """Check the configuration file."""


@config.command()
@click.argument("file", envvar="PIPETRAIL_CONFIG", type=click.Path(), required=False)
@click.option("--config", "config_file", type=click.Path(), metavar="FILE", help="The same as FILE.")
def check(file: str | None, config_file: str | None) -> None:
    """Check a configuration file (or the one in PIPETRAIL_CONFIG) and print one line for each mistake."""
    from pipetrail.config import load

    path = config_file or file
    if not path:
        raise Failure("name the file: pipetrail config check FILE, or set PIPETRAIL_CONFIG", USAGE)
    load(path, thorough=True)
    click.echo(f"{path}: no mistakes")
