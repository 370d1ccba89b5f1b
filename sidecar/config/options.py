"""The table of options: flags, variables, file keys, help and `Settings` are all generated from it."""
# ruff: noqa: RUF009  # the calls below make dataclass fields

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, overload

from sidecar.config.hosts import HostPattern
from sidecar.config.kinds import ADDRESS, COUNT, DURATION, HOSTS, LIST, PATH, SIZE, SWITCH, TEXT, URL, Kind, choice

T = TypeVar("T")

PREFIX = "DC_SIDECAR_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option; `name` is its key in the file, and gives its flag and its environment variable.

    `default` is the default as text, empty if the option is then not set. A `secret` has no flag, as everybody can read
    the list of processes, and no key in the file: it is in its variable or in a file of its own. An `operator` option
    belongs to the commands that change the document: `serve` has no flag for it, and ignores it in the shared file and
    in the environment.
    """

    name: str
    kind: Kind[Any]
    help: str
    section: str
    default: tuple[str, ...] = ()
    repeatable: bool = False
    secret: bool = False
    operator: bool = False

    @property
    def flag(self) -> str:
        """Its flag, as in `--max-message-size`."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """Its environment variable, as in `DC_SIDECAR_MAX_MESSAGE_SIZE`."""
        return PREFIX + self.name.upper().replace("-", "_")


@overload
def _option(kind: Kind[T], section: str, help_: str, *, default: str) -> T: ...
@overload
def _option(kind: Kind[T], section: str, help_: str) -> T | None: ...
def _option(kind: Kind[T], section: str, help_: str, *, default: str | None = None) -> T | None:
    """Declare an option with one value; without a default it is None if not set."""
    value = None if default is None else kind.read(default)
    shown = () if default is None else (default,)
    field_: T | None = field(
        default=value, metadata={"kind": kind, "section": section, "help": help_, "default": shown}
    )
    return field_


def _repeated(kind: Kind[T], section: str, help_: str, *, default: str | None = None) -> tuple[T, ...]:
    """Declare an option that may be repeated."""
    shown = () if default is None else (default,)
    metadata = {"kind": kind, "section": section, "help": help_, "default": shown, "repeatable": True}
    value = None if default is None else kind.read(default)
    field_: tuple[T, ...] = field(default=() if value is None else (value,), metadata=metadata)
    return field_


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a sidecar: durations in seconds, sizes in bytes, None for options that are not set.

    `source_options` is for `open_source`: the options of sources that were set, as texts, with secrets read from their
    files. `warnings` are for the log.
    """

    source: str | None = _option(
        URL,
        "Serving",
        "The key to watch: file:PATH, nacos://HOST:PORT/GROUP/DATA_ID?namespace=NS or zookeeper://HOST:PORT/PATH. "
        "Required.",
    )
    listen: tuple[str, ...] = _repeated(
        ADDRESS,
        "Serving",
        "Where to serve gRPC; may be given several times. An address other than loopback needs TLS or "
        "--allow-plaintext.",
        default="127.0.0.1:50051",
    )
    http: str | None = _option(
        ADDRESS,
        "Serving",
        "Where to serve the page, /metrics, health and the JSON API over HTTP, such as 127.0.0.1:8080; off where it is "
        "not given. An address other than loopback needs TLS or --allow-plaintext.",
    )
    http_token_file: Path | None = _option(
        PATH,
        "Serving",
        "Answer over HTTP, but for health, only those who show the token in this file: as a bearer token, or as the "
        "password of any user.",
    )
    state_dir: Path | None = _option(
        PATH,
        "Serving",
        "Where to keep the last good document, so that a restart has something to serve while the config center is "
        "down.",
    )
    max_stale: float | None = _option(
        DURATION,
        "Serving",
        "Tell health checks NOT_SERVING once the config center has been out of reach for so long; calls are answered "
        "all the same.",
    )
    override: Path | None = _option(
        PATH,
        "Serving",
        "A local document that decides instead of the source's for as long as this file exists: for emergencies.",
    )
    probe_hosts: tuple[HostPattern, ...] = _repeated(
        HOSTS,
        "Serving",
        "Whom the probes of the document's health checks may reach: gw.dc1, *.dc1.example, 10.1.0.0/16, any of them "
        "with :port; may be given several times. Nobody where it is not given.",
    )
    grace: float = _option(DURATION, "Serving", "How long calls under way may take after SIGTERM.", default="10s")

    allow_plaintext: bool = _option(
        SWITCH, "TLS", "Serve without TLS on addresses other than loopback too.", default="false"
    )
    tls_cert: Path | None = _option(
        PATH, "TLS", "The server's certificate chain (PEM). New files are taken up without a restart."
    )
    tls_key: Path | None = _option(PATH, "TLS", "The key of --tls-cert (PEM).")
    tls_client_ca: Path | None = _option(
        PATH, "TLS", "Serve only clients with a certificate of these authorities (PEM)."
    )

    max_document_size: int = _option(SIZE, "Bounds", "Refuse longer routing documents.", default="1MiB")
    max_message_size: int = _option(SIZE, "Bounds", "Refuse longer requests.", default="16MiB")
    max_candidates: int = _option(COUNT, "Bounds", "Refuse requests with more candidates.", default="100000")
    max_concurrent_calls: int = _option(
        COUNT, "Bounds", "Calls at work or waiting at once; one more is refused at once.", default="1000"
    )
    max_streams: int = _option(
        COUNT, "Bounds", "Streams open at once, of those that ask, and of those that watch.", default="1000"
    )
    workers: int = _option(
        COUNT,
        "Bounds",
        "Processes that answer calls, each with these bounds; they share the port, so clients need several "
        "connections to use them.",
        default="1",
    )

    call_handling: str = _option(
        choice("auto", "direct", "threads"),
        "Bounds",
        "How gRPC calls are handled: direct (on gRPC's own thread, with private names of grpcio), threads (public API "
        "only, 1.5 times the CPU of a unary call), or auto: direct where a check at start passes.",
        default="auto",
    )

    audit_size: int = _option(
        SIZE,
        "Audit",
        "How much of the audit, the record of all changes in --state-dir, is kept; the oldest goes first.",
        default="64MiB",
    )

    audit_db: str | None = _option(
        TEXT,
        "Audit",
        "A database that keeps the audit of all sidecars together: postgresql://user@host/database or any URL of "
        "SQLAlchemy, without a password. Needs --state-dir.",
    )
    audit_db_file: Path | None = _option(
        PATH, "Audit", "A file that holds the URL of --audit-db, for one with a password in it."
    )

    reactions: list[Any] | None = _option(
        LIST,
        "Reactions",
        "Webhooks and commands for switches, failovers, returns, drills and refused documents, and PowerJob's work "
        "brought back: a list in the file, or as JSON.",
    )

    log_level: str = _option(
        choice("debug", "info", "warning", "error"), "Logs", "The least that is worth a line.", default="info"
    )
    log_format: str = _option(choice("console", "json"), "Logs", "For people or for machines.", default="console")

    source_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()


def _of_source(name: str, kind: Kind[Any], help_: str, *, secret: bool = False) -> tuple[Option, ...]:
    """Declare an option of a source; a secret also gets the option that names a file to read it from."""
    section = {"nacos": "Nacos", "zookeeper": "ZooKeeper"}[name.partition("-")[0]]
    option = Option(name=name, kind=kind, help=help_, section=section, secret=secret)
    if not secret:
        return (option,)
    words = f"{help_.removesuffix('.')}, in a file. Or set {option.variable}."
    return option, Option(name=f"{name}-file", kind=PATH, help=words, section=section)


CONFIG = Option(name="config", kind=PATH, help="A file with any of these options (YAML).", section="Serving")

SOURCE_OPTIONS: tuple[Option, ...] = (
    *_of_source("nacos-username", TEXT, "The user to log in as."),
    *_of_source("nacos-password", TEXT, "The user's password.", secret=True),
    *_of_source("nacos-access-key", TEXT, "The access key, where requests are signed instead."),
    *_of_source("nacos-secret-key", TEXT, "The secret key of --nacos-access-key.", secret=True),
    *_of_source("nacos-tls", SWITCH, "Connect with TLS."),
    *_of_source("nacos-ca", PATH, "The authorities that sign the server's certificate (PEM)."),
    *_of_source("nacos-cert", PATH, "The client certificate (PEM)."),
    *_of_source("nacos-key", PATH, "The key of --nacos-cert (PEM)."),
    *_of_source("zookeeper-username", TEXT, "The user of digest authentication."),
    *_of_source("zookeeper-password", TEXT, "The user's password.", secret=True),
    *_of_source("zookeeper-sasl-mechanism", choice("DIGEST-MD5"), "Authenticate with SASL in this way."),
    *_of_source("zookeeper-sasl-username", TEXT, "The user of SASL."),
    *_of_source("zookeeper-sasl-password", TEXT, "The SASL user's password.", secret=True),
    *_of_source("zookeeper-tls", SWITCH, "Connect with TLS, also without --zookeeper-ca."),
    *_of_source("zookeeper-ca", PATH, "Connect with TLS; the authorities that sign the servers' certificates (PEM)."),
    *_of_source("zookeeper-cert", PATH, "The client certificate (PEM)."),
    *_of_source("zookeeper-key", PATH, "The key of --zookeeper-cert (PEM)."),
    *_of_source(
        "zookeeper-acl", TEXT, "The ACL of nodes that the command line creates, such as world:anyone:r,auth::cdrwa."
    ),
    *_of_source("zookeeper-create-parents", SWITCH, "Let the command line create the nodes above the key too."),
)

OPERATOR_OPTIONS: tuple[Option, ...] = (
    Option(
        name="hold-off",
        kind=DURATION,
        help="How long after a change no other may move work; 0 for no such rule.",
        section="Rules",
        default=("60s",),
        operator=True,
    ),
    Option(
        name="require-workers",
        kind=COUNT,
        help="How many live workers a datacenter must be known to have before it gets jobs.",
        section="Rules",
        operator=True,
    ),
    Option(
        name="require-reason",
        kind=SWITCH,
        help="Change nothing without --reason.",
        section="Rules",
        default=("false",),
        operator=True,
    ),
    Option(
        name="sidecar",
        kind=TEXT,
        help="A sidecar to wait for: host:port (each address of the host is one), unix:/path, or @FILE with one a "
        "line; repeatable.",
        section="Waiting",
        repeatable=True,
        operator=True,
    ),
)

OPTIONS: tuple[Option, ...] = (
    CONFIG,
    *(
        Option(name=row.name.replace("_", "-"), **row.metadata)
        for row in fields(Settings)
        if row.metadata and row.default is not MISSING
    ),
    *SOURCE_OPTIONS,
    *OPERATOR_OPTIONS,
)
