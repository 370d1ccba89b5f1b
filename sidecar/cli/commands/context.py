"""`dc-sidecar context`: named environments, and which of them commands work on."""

from __future__ import annotations

from typing import Any

import click

from sidecar.cli.options import complete, contexts
from sidecar.cli.options.contexts import CliContext
from sidecar.cli.options.flags import output_option
from sidecar.cli.render import Style, columns, print_json, print_lines, say, styled
from sidecar.errors import ConfigError
from sidecar.yaml_reader import Tree


@click.group("context")
def command() -> None:
    """Choose the environment that commands work on."""


_LIST = """\b
Examples:
  dc-sidecar context list
  dc-sidecar context list -o json"""


@command.command("list", epilog=_LIST)
@output_option
def list_contexts(output: str) -> None:
    """List the contexts; * marks the current one."""
    known, current = contexts.contexts(), contexts.current()
    if output == "json":
        print_json([_entry(context, current) for context in known.values()])
    elif not known:
        say("There are no contexts: add one with `dc-sidecar context add NAME --source URL`.")
    else:
        rows = [("", "CONTEXT", "SOURCE", "SIDECARS", "")]
        rows += [
            (
                "*" if context.name == current else "",
                context.name,
                context.source or "-",
                ", ".join(context.options.get("sidecar", ())) or "-",
                styled("production", Style.RED) if context.production else "",
            )
            for context in known.values()
        ]
        print_lines(columns(rows))


_SHOW = """\b
Examples:
  dc-sidecar context show
  dc-sidecar context show prod -o json"""


@command.command("show", epilog=_SHOW)
@click.argument("name", required=False, shell_complete=complete.contexts)
@output_option
def show(name: str | None, output: str) -> None:
    """Show a context, by default the current one.

    Exits with 78 if there is none.
    """
    context = contexts.chosen(name)
    if context is None:
        raise ConfigError("there is no current context: choose one with `dc-sidecar context use NAME`")
    if output == "json":
        print_json(_entry(context, contexts.current()))
        return
    rows = [("context", context.name), ("production", "yes" if context.production else "no")]
    rows += [(key, ", ".join(texts)) for key, texts in context.options.items()]
    rows += [(f"{key}-env", variable) for key, variable in context.secrets.items()]
    rows += [(key.replace("_", "-"), text) for key, text in context.tls.items()]
    print_lines(columns(rows))


_USE = """\b
Examples:
  dc-sidecar context use staging
  dc-sidecar context use --none"""


@command.command("use", epilog=_USE)
@click.argument("name", required=False, shell_complete=complete.contexts)
@click.option("--none", is_flag=True, help="Use no context from now on.")
@click.pass_context
def use(ctx: click.Context, name: str | None, *, none: bool) -> None:
    """Make a context the current one, for all commands from now on."""
    if none == (name is not None):
        raise click.UsageError("expected a context, or --none", ctx)
    context = None if none else contexts.chosen(name)
    contexts.use(context.name if context else "")
    if context is None:
        say("No context is in use.")
    else:
        production = ", production: changes ask for its name" if context.production else ""
        say(f"Context {context.name}: {context.source or 'no source'}{production}.")


_ADD = """\b
Examples:
  dc-sidecar context add staging --source file:routing.yaml
  dc-sidecar context add prod --production \\
    --source nacos://nacos:8848/G/routing --sidecar sidecars:50051 \\
    --set nacos-username=ops --set nacos-password-file=~/.nacos-prod"""


@command.command("add", epilog=_ADD)
@click.argument("name")
@click.option("--source", metavar="URL", help="The key.")
@click.option("--sidecar", metavar="ADDR", multiple=True, help="A sidecar. Repeatable.")
@click.option("--production", is_flag=True, help="Changes ask for the context's name.")
@click.option(
    "--set", "options", metavar="KEY=VALUE", multiple=True, help="Any option of the --config file. Repeatable."
)
@click.pass_context
def add(
    ctx: click.Context,
    /,
    name: str,
    source: str | None,
    sidecar: tuple[str, ...],
    options: tuple[str, ...],
    *,
    production: bool,
) -> None:
    """Add a context to your file of contexts.

    Secrets have no place there: KEY is the option that names the secret's file,
    or, with -env in place of -file, the variable that holds it.
    """
    from sidecar.editing.yaml_writer import style_of, write_block, write_key

    entry: dict[str, Tree] = {"production": "true"} if production else {}
    if source:
        entry["source"] = source
    if sidecar:
        entry["sidecar"] = [*sidecar]
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not value:
            raise click.UsageError(f"--set: found {option!r}, expected KEY=VALUE", ctx)
        entry[key] = value
    if not entry:
        raise click.UsageError("expected at least --source or --sidecar", ctx)
    contexts.checked(name, entry)
    written = style_of("", is_json=False)
    text = f"{write_key(name, written)}:\n  {write_block(entry, 2, written)}\n"
    say(f"Added to {contexts.add(name, text)}.")


def _entry(context: CliContext, current: str) -> dict[str, Any]:
    return {
        "name": context.name,
        "current": context.name == current,
        "production": context.production,
        "source": context.source or None,
        "options": {key: list(texts) for key, texts in context.options.items()},
        "secrets_from": dict(context.secrets),
        "tls": {key.replace("_", "-"): text for key, text in context.tls.items()},
    }
