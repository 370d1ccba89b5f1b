"""`dc-sidecar man`: the manual pages of all commands, made from their help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from sidecar import __version__
from sidecar.cli.render import print_lines, say
from sidecar.errors import ConfigError

_EPILOG = """\b
Examples:
  dc-sidecar man switch | man -l -
  dc-sidecar man --all ~/.local/share/man/man1"""

_MARK = re.compile(r"^\x08\n", re.MULTILINE)


@click.command("man", epilog=_EPILOG)
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.option("--all", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Write all pages to DIR.")
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], *, folder: Path | None) -> None:
    """Print the manual page of a command, or write those of all."""
    pages = {path: page(found) for path, found in _contexts(ctx.find_root())}
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path, text in pages.items():
                (folder / f"{'-'.join(path)}.1").write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
        say(f"{len(pages)} pages in {folder}")
        return
    path = ("dc-sidecar", *words)
    if path not in pages:
        raise click.UsageError(f"no such command: {' '.join(words)}", ctx)
    print_lines(pages[path].splitlines())


def _contexts(root: click.Context) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """Yield the context of each command, groups and their commands included, with its words."""
    waiting: list[tuple[tuple[str, ...], click.Context]] = [(("dc-sidecar",), root)]
    while waiting:
        path, ctx = waiting.pop(0)
        yield path, ctx
        if isinstance(ctx.command, click.Group):
            for name in ctx.command.list_commands(ctx):
                found = ctx.command.get_command(ctx, name)
                assert found is not None
                waiting.append(((*path, name), click.Context(found, info_name=name, parent=ctx)))


def page(ctx: click.Context) -> str:
    """Return a manual page in the man macros of roff."""
    command = ctx.command
    usage = " ".join(command.collect_usage_pieces(ctx))
    summary, _, rest = _text(command.help).partition("\n\n")
    title = ctx.command_path.replace(" ", "-")
    lines = [
        f'.TH "{title.upper()}" "1" "" "dc-sidecar {__version__}" "dc-sidecar"',
        ".ad l",  # Long words and URLs leave too few gaps for lines adjusted on both sides.
        ".SH NAME",
        f"{_roff(title)} \\- {_roff(' '.join(summary.split()).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_roff(ctx.command_path)}",
        _roff(usage),
        ".SH DESCRIPTION",
        *_paragraphs(f"{summary}\n\n{rest}"),
    ]
    records = [record for param in command.get_params(ctx) if (record := param.get_help_record(ctx)) and record[1]]
    if records:
        lines += [".SH OPTIONS"]
        for names, help_ in records:
            lines += [".TP", f".B {_roff(names)}", _roff(" ".join(help_.split()))]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS"]
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            lines += [".TP", f".BR {_roff(f'{title}-{name}')} (1)", _roff(found.get_short_help_str(200))]
    for block in _text(command.epilog).split("\n\n"):
        head, _, body = block.partition("\n")
        lines += [f".SH {_roff(head.partition(':')[0].upper())}"] if block else []
        lines += [".nf", *(_roff(line) for line in ([head] if not body else body.splitlines())), ".fi"] if block else []
    return "\n".join(lines) + "\n"


def _text(text: str | None) -> str:
    return _MARK.sub("", text or "").strip()


def _paragraphs(text: str) -> list[str]:
    return [line for part in text.split("\n\n") if part.strip() for line in (".PP", _roff(" ".join(part.split())))]


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
