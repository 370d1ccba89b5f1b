"""What all commands that change the document have in common: their flags, and what these say."""

from __future__ import annotations

import os
import pwd
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from sidecar import config
from sidecar.cli.connection import DEFAULT_ADDRESS, Connect, connecting
from sidecar.cli.flags import Flag, SectionedCommand, changing_flags, flags_of
from sidecar.cli.inputs import TIMEOUT, CandidatesParam, KindParam
from sidecar.cli.sightings import PATIENCE, seen_by
from sidecar.client import Worker
from sidecar.config.kinds import Kind
from sidecar.editing.live_workers import LiveWorkersLookup
from sidecar.editing.placement import Counts
from sidecar.editing.safety_rules import RULES, SafetyRules
from sidecar.errors import ConfigError
from sidecar.routing.location import Locator
from sidecar.routing.model import RoutingDocument
from sidecar.routing.scalars import SECOND_NS, parse_duration
from sidecar.sources import open_source
from sidecar.sources.base import Source

_PEM = click.Path(dir_okay=False, path_type=Path)
_WORKERS_HELP = (
    "The live workers: counts (dc1=3,dc2=2), a JSON list of workers as `filter` takes it, or a file with one (- reads "
    "standard input).  [default: as the sidecars were told]"
)
# Seconds that a sidecar may take for its status, while it is waited for.
_CALL = 2.0


def _seconds(text: str) -> float | None:
    nanoseconds = parse_duration(text if text[-1:].isalpha() else f"{text}s")
    return nanoseconds / SECOND_NS if nanoseconds else None


_WAIT = KindParam(Kind("SECONDS", "seconds, or a duration such as 30s", _seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the flags and the configuration of a changing command say.

    `workers` are None where nobody tells them: `ask` then asks sidecars. `wait` are the seconds to wait for `sidecars`,
    None not to.
    """

    source: Source
    rules: SafetyRules
    max_bytes: int
    timeout: float
    by: str
    reason: str
    ticket: str
    full_document: bool
    workers: tuple[Worker, ...] | None
    ask: LiveWorkersLookup
    dry_run: bool
    yes: bool
    forced: frozenset[str]
    redo: int
    output: str
    wait: float | None
    sidecars: tuple[str, ...]
    connect: Connect

    def counts(self, document: RoutingDocument) -> Counts | None:
        """Return how many workers each datacenter has, if anybody told."""
        if self.workers is None:
            return None
        locate = Locator(document.datacenters).locate
        return Counter(worker.datacenter or locate(worker) for worker in self.workers)


class SourceCommand(SectionedCommand):
    """A command that reads the key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **kwargs)
        where: list[click.Parameter] = []
        rest: list[click.Parameter] = []
        for flag in changing_flags():
            (where if isinstance(flag, Flag) and flag.section == "Where" else rest).append(flag)
        self.params += [*where, *self._common(), *rest]

    def _common(self) -> list[click.Parameter]:
        return [
            _flag(
                ["--timeout"],
                "",
                "How long to wait for the config center.",
                type=TIMEOUT,
                default="10s",
                show_default=True,
            )
        ]


class ChangingCommand(SourceCommand):
    """A command that changes the document."""

    def _common(self) -> list[click.Parameter]:
        who = partial(_flag, section="Who and why")
        care = partial(_flag, section="Care")
        waiting = partial(_flag, section="Waiting")
        return [
            who(["--reason"], help="Why, for `meta` in the document.", default="", metavar="TEXT"),
            who(["--ticket"], help="The ticket, for `meta`.", default="", metavar="TEXT"),
            who(["--by"], help="Who, for `meta`.  [default: the user]", default="", metavar="NAME"),
            who(["--meta"], help="Turn a bare word into a document, so that it has room for `meta`.", is_flag=True),
            care(["--dry-run"], help="Show what would change and what that would do, and stop.", is_flag=True),
            care(["-y", "--yes"], help="Do not ask.", is_flag=True),
            care(
                ["--force", "forced"],
                help=f"Do it against a rule ({', '.join(RULES)}); repeatable.",
                type=click.Choice([*RULES]),
                metavar="RULE",
                multiple=True,
            ),
            care(
                ["--redo"],
                help="Do it again, up to N times, on top of what somebody else wrote meanwhile.",
                type=click.IntRange(0),
                metavar="N",
                default=0,
            ),
            care(["--candidates"], help=_WORKERS_HELP, type=CandidatesParam(), metavar="WORKERS"),
            waiting(
                ["--wait"],
                help="Afterwards wait until each --sidecar serves the new document, for 30 seconds or as long as said.",
                type=_WAIT,
                is_flag=False,
                flag_value="30s",
            ),
            *connection_flags(waiting),
            *super()._common(),
            _flag(
                ["-o", "--output"],
                "",
                "For people or for programs.",
                type=click.Choice(["text", "json"]),
                default="text",
                show_default=True,
            ),
        ]


def connection_flags(flag: Callable[..., Flag]) -> list[Flag]:
    """Return the flags of TLS connections to sidecars."""
    return [
        flag(["--tls"], help="Reach the sidecars with TLS, also without --ca.", is_flag=True),
        flag(["--ca"], help="Who signs their certificates (PEM).", type=_PEM, envvar="DC_SIDECAR_CA"),
        flag(["--cert"], help="Our certificate (PEM).", type=_PEM, envvar="DC_SIDECAR_CERT"),
        flag(["--key"], help="The key of --cert (PEM).", type=_PEM, envvar="DC_SIDECAR_KEY"),
        flag(["--server-name"], help="The name in their certificates, if not the host's.", default="", metavar="NAME"),
    ]


def _flag(names: list[str], section: str, help: str, **rest: Any) -> Flag:  # noqa: A002, ANN401 - as click calls it
    flag = Flag(names, help=help, **rest)
    flag.section = section
    return flag


@dataclass(frozen=True, slots=True)
class Opening:
    """The source that the flags and the configuration name, and what else they say."""

    source: Source
    max_bytes: int
    values: Mapping[str, config.OptionValue]

    def read(self, name: str) -> Any:  # noqa: ANN401 - what the option's kind reads
        """Return what an option says, None where it is not set."""
        value = self.values[name]
        return value.option.kind.read(value.texts[0]) if value.texts else None


def open_named(ctx: click.Context) -> Opening:
    """Open the source of a SourceCommand. Raises ConfigError where none is named, or what is said of it is wrong."""
    values = config.resolve(flags_of(ctx), os.environ)
    settings = config.settings_of(values)
    if settings.source is None:
        raise ConfigError(
            "which key? Name it with --source URL, DC_SIDECAR_SOURCE or `source` in the file given by --config"
        )
    source = open_source(settings.source, settings.source_options)
    return Opening(source, settings.max_document_size, {value.option.name: value for value in values})


def orders_of(ctx: click.Context) -> Orders:
    """Return what a ChangingCommand was told. Raises ConfigError and click's errors."""
    given = ctx.params
    opening = open_named(ctx)
    sidecars = opening.values["sidecar"].texts or tuple(os.environ.get("DC_SIDECAR_ADDRESS", "").split())
    if given["wait"] is not None and not sidecars:
        raise click.UsageError("--wait: for whom? Name them with --sidecar, or `sidecar` in the file of --config", ctx)
    secure = {name: given[name] for name in ("tls", "ca", "cert", "key", "server_name")}
    return Orders(
        source=opening.source,
        rules=SafetyRules(
            hold_off=opening.read("hold-off"),
            require_workers=opening.read("require-workers"),
            require_reason=opening.read("require-reason"),
        ),
        max_bytes=opening.max_bytes,
        timeout=given["timeout"],
        by=given["by"] or user(),
        reason=given["reason"],
        ticket=given["ticket"],
        full_document=given["meta"],
        workers=given["candidates"],
        ask=partial(seen_by, sidecars or (DEFAULT_ADDRESS,), connecting(timeout=PATIENCE, **secure)),
        dry_run=given["dry_run"],
        yes=given["yes"],
        forced=frozenset(given["forced"]),
        redo=given["redo"],
        output=given["output"],
        wait=given["wait"],
        sidecars=sidecars,
        connect=connecting(timeout=_CALL, **secure),
    )


def user() -> str:
    """Return who is at the terminal: behind sudo, the person who called it."""
    name = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    try:
        return name or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
