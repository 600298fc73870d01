"""The program itself."""

from __future__ import annotations

import click

from webops_cli import __version__, options, output


@click.command()
@options.as_json
def version(json_: bool) -> None:
    """The version of this program."""
    if json_:
        output.as_json({"version": __version__})
    else:
        click.echo(f"webops {__version__}")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@options.as_json
@click.pass_context
def completion(ctx: click.Context, shell: str, json_: bool) -> None:
    """Completion for SHELL, to be read by it: eval "$(webops completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    script = found(ctx.find_root().command, {}, "webops", "_WEBOPS_COMPLETE").source()
    if json_:
        output.as_json({"shell": shell, "script": script})
    else:
        click.echo(script)
