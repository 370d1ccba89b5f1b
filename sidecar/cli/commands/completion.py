"""`dc-sidecar completion SHELL`: print the script for shell completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sidecar.cli.render import print_lines

_EPILOG = """\b
Examples:
  eval "$(dc-sidecar completion bash)"    # in ~/.bashrc
  dc-sidecar completion zsh > "${fpath[1]}/_dc-sidecar"
  dc-sidecar completion fish > ~/.config/fish/completions/dc-sidecar.fish"""


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell."""
    completion = get_completion_class(shell)
    assert completion is not None
    script = completion(ctx.find_root().command, {}, "dc-sidecar", "_DC_SIDECAR_COMPLETE")
    print_lines(script.source().split("\n"))
