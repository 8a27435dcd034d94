"""``pipetrail completion``: the script that makes a shell complete commands and options."""

import click

_INSTALL = {
    "bash": """pipetrail completion bash > ~/.local/share/bash-completion/completions/pipetrail""",
    "zsh": """pipetrail completion zsh > "${fpath[1]}/_pipetrail\"""",
    "fish": """pipetrail completion fish > ~/.config/fish/completions/pipetrail.fish""",
}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_INSTALL)))
def completion(shell: str) -> None:
    """Print the completion script for a shell, and how to install it.

    \b
    bash   pipetrail completion bash > ~/.local/share/bash-completion/completions/pipetrail
    zsh    pipetrail completion zsh > "${fpath[1]}/_pipetrail"
    fish   pipetrail completion fish > ~/.config/fish/completions/pipetrail.fish
    """
    from click.shell_completion import get_completion_class

    from pipetrail.cli.main import COMPLETE_VAR, cli

    kind = get_completion_class(shell)
    if kind is None:  # the choice allows no other
        raise click.UsageError(f"no completion for {shell}")
    script = kind(cli, {}, "pipetrail", COMPLETE_VAR)
    text = (script.source_template % script.source_vars()).strip()
    comment = f"# To install it (then open a new shell):\n#   {_INSTALL[shell]}\n"
    first, _, rest = text.partition("\n")
    # zsh finds a completion by its first line.
    click.echo(f"{first}\n{comment}{rest}" if first.startswith("#compdef") else comment + text)
