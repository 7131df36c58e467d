"""`devpi completion`: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

from stilton_client.command import command
from stilton_client.errors import Failure
from stilton_client.session import Session

SHELLS = ("bash", "zsh", "fish")


@command(
    "completion",
    example="""devpi completion bash >> ~/.bashrc
               devpi completion zsh >> ~/.zshrc
               devpi completion fish > ~/.config/fish/completions/devpi.fish""",
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion_(session: Session, shell: str) -> None:
    """Print the lines that make a shell complete `devpi`'s commands and options."""
    found = get_completion_class(shell)
    group = click.get_current_context().find_root().command
    if found is None:
        raise Failure(f"no completion for {shell}", f"There is one for {', '.join(SHELLS)}.")
    source = found(group, {}, "devpi", "_DEVPI_COMPLETE").source()
    session.terminal.line(source)
