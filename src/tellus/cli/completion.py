"""``tellus completion``: scripts that let a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash  eval "$(tellus completion bash)"   in ~/.bashrc
    zsh   eval "$(tellus completion zsh)"    in ~/.zshrc
    fish  tellus completion fish > ~/.config/fish/completions/tellus.fish
    """  # noqa: D301 - \b keeps click from wrapping the lines
    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"{shell} is not known")
    root = click.get_current_context().find_root().command
    script = complete(root, {}, "tellus", "_TELLUS_COMPLETE")
    # The template alone: asking the installed shell for its version is not this command's business.
    click.echo(script.source_template % script.source_vars())
