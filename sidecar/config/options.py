"""The table of options: flags, variables, file keys, help and `Settings` are all generated from it."""
# ruff: noqa: RUF009  # the calls below make dataclass fields

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, overload

from sidecar.config.hosts import HostPattern
from sidecar.config.kinds import (
    ADDRESS,
    APP_SIGNERS,
    CLUSTER,
    COUNT,
    DURATION,
    FEWER,
    HOSTS,
    HTTP_URL,
    LABEL,
    LIMIT,
    LIST,
    MODE,
    OWNER,
    PATH,
    SIZE,
    SWITCH,
    TEXT,
    URL,
    Kind,
    choice,
)
from sidecar.config.option import Option
from sidecar.config.source_options import SOURCE_OPTIONS
from sidecar.trust.app_signers import AppSigners
from sidecar.trust.limit_rules import LimitRule

T = TypeVar("T")


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
        "The key to watch: file:PATH, nacos://HOST:PORT/GROUP/DATA_ID?namespace=NS, zookeeper://HOST:PORT/PATH or "
        "apollo://META:PORT/APP_ID/CLUSTER/NAMESPACE. Required.",
    )
    environment: str | None = _option(
        LABEL,
        "Serving",
        "Name of the environment, such as prod: shown on the page, in status and in metrics. Sidecars that watch the "
        "same key need the same name.",
    )
    listen: tuple[str, ...] = _repeated(
        ADDRESS,
        "Serving",
        "gRPC listen address: HOST:PORT or unix:/PATH. Repeatable. A non-loopback address needs TLS or "
        "--allow-plaintext.",
        default="127.0.0.1:50051",
    )
    http: str | None = _option(
        ADDRESS,
        "Serving",
        "HTTP listen address for the status page, /metrics, health and the JSON API, such as 127.0.0.1:8080. Without "
        "it there is no HTTP server. A non-loopback address needs TLS or --allow-plaintext, and --http-token-file or "
        "--allow-anonymous-http.",
    )
    docs_url: str | None = _option(
        HTTP_URL,
        "Serving",
        "Address where you publish the documentation; the page links to it, and to its Chinese part under /zh/.",
    )
    http_token_file: Path | None = _option(
        PATH,
        "Serving",
        "File with the token that HTTP requests other than health must carry, as a bearer token or as the password of "
        "any user.",
    )
    allow_anonymous_http: bool = _option(
        SWITCH,
        "Serving",
        "Serve HTTP on a non-loopback address without --http-token-file: everybody who reaches it can read the routes.",
        default="false",
    )
    http_hosts: tuple[HostPattern, ...] = _repeated(
        HOSTS,
        "Serving",
        "Names by which HTTP may be called without a token, beside addresses and localhost: sidecar.example, *.svc, or "
        "* for any. Repeatable. Default: none.",
    )
    state_dir: Path | None = _option(
        PATH,
        "Serving",
        "Directory for the last good document, which a restart serves while the config center is down; also for the "
        "audit and failover states.",
    )
    allow_shared_state_dir: bool = _option(
        SWITCH,
        "Serving",
        "Use a --state-dir that other users can write to. Its files decide after a restart.",
        default="false",
    )
    max_stale: float | None = _option(
        DURATION,
        "Serving",
        "Report NOT_SERVING after the config center has been unreachable for this long. Calls are still answered. "
        "Default: never.",
    )
    override: Path | None = _option(
        PATH,
        "Serving",
        "Local document that decides instead of the source's while this file exists. For emergencies.",
    )
    status_key: bool = _option(
        SWITCH,
        "Serving",
        "Write a line for each change to a key beside the document's, with .status at its end: accepted, or refused "
        "with the place. Its credentials must be permitted to write that key.",
        default="false",
    )
    probe_hosts: tuple[HostPattern, ...] = _repeated(
        HOSTS,
        "Serving",
        "Hosts that the document's health checks may probe: gw.dc1, *.dc1.example, 10.1.0.0/16, each optionally with "
        ":PORT. Repeatable. Default: none.",
    )
    grace: float = _option(DURATION, "Serving", "Time for calls in progress to finish after SIGTERM.", default="10s")

    haproxy_agent: str | None = _option(
        ADDRESS,
        "Followers",
        "Listen address for HAProxy's agent checks, such as 127.0.0.1:8404: weights follow the shares. A non-loopback "
        "address needs --allow-plaintext.",
    )

    allow_plaintext: bool = _option(SWITCH, "TLS", "Serve without TLS on non-loopback addresses.", default="false")
    tls_cert: Path | None = _option(
        PATH, "TLS", "Server certificate chain (PEM). Renewed files are picked up without a restart."
    )
    tls_key: Path | None = _option(PATH, "TLS", "Private key of --tls-cert (PEM).")
    tls_client_ca: Path | None = _option(PATH, "TLS", "Require client certificates from these authorities (PEM).")

    allowed_signers: Path | None = _option(
        PATH,
        "Signatures",
        "Accept only signed documents, by keys in this file (OpenSSH's allowed_signers). Reloaded. Default: "
        "signatures are ignored.",
    )
    require_signatures: int = _option(
        COUNT, "Signatures", "How many signers of --allowed-signers a document needs.", default="1"
    )
    signers_for: tuple[AppSigners, ...] = _repeated(
        APP_SIGNERS,
        "Signatures",
        "Who must sign changes of applications: 'payments-*=alice,bob' counts only these for changes of payments-*. "
        "Names are separated by commas or blanks. Repeatable.",
    )
    fewer_signatures: tuple[tuple[str, int], ...] = _repeated(
        FEWER,
        "Signatures",
        "How many signers a change of one kind needs, instead of --require-signatures: drill=1, mark=1 (availability) "
        "or pin=1 (routes of jobs). Repeatable.",
    )
    override_signatures: int | None = _option(
        COUNT,
        "Signatures",
        "How many signers the --override needs. Default: none, as who can write it can also restart the sidecar.",
    )

    policy: Path | None = _option(
        PATH,
        "Callers",
        "File that says which callers may make which calls, for which applications, within which bounds (YAML). "
        "Reloaded. Default: everybody who can connect may do everything.",
    )
    tokens: Path | None = _option(
        PATH, "Callers", "File with the names and SHA-256 digests of bearer tokens, for --policy. Reloaded."
    )
    tls_crl: Path | None = _option(
        PATH,
        "Callers",
        "Lists of revoked client certificates (PEM), signed by --tls-client-ca, for --policy. Reloaded.",
    )
    socket_mode: int = _option(MODE, "Callers", "Permissions of Unix sockets: who may connect at all.", default="0660")
    socket_owner: str | None = _option(
        OWNER, "Callers", "Owner of Unix sockets: USER, USER:GROUP or :GROUP. Default: the process's own."
    )

    max_change: tuple[LimitRule, ...] = _repeated(
        LIMIT,
        "Changes",
        "Refuse documents that change more at once: apps=50 (applications that change datacenters), down=1 "
        "(datacenters out of service together), left=2 or left:payments-*=2 (datacenters left in service). Repeatable. "
        "Default: no limit.",
    )
    max_change_signatures: int | None = _option(
        COUNT,
        "Changes",
        "How many signers of --allowed-signers exempt a document from --max-change. Default: it holds for all.",
    )

    max_document_size: int = _option(SIZE, "Bounds", "Refuse larger routing documents.", default="1MiB")
    max_memory: int | None = _option(
        SIZE,
        "Bounds",
        "Memory that the sidecar may use; documents that need more are refused, bounds below are lowered to fit it. "
        "Default: the limit of its control group.",
    )
    max_message_size: int = _option(SIZE, "Bounds", "Refuse larger requests.", default="4MiB")
    max_candidates: int = _option(COUNT, "Bounds", "Refuse requests with more candidates.", default="20000")
    max_concurrent_calls: int = _option(
        COUNT, "Bounds", "Maximum concurrent unary calls; excess calls get RESOURCE_EXHAUSTED.", default="1000"
    )
    max_streams: int = _option(
        COUNT,
        "Bounds",
        "Maximum open streams, counted separately for decision streams, watches and xDS.",
        default="1000",
    )
    workers: int = _option(
        COUNT,
        "Bounds",
        "Processes that answer calls, each with these bounds. They share the port, so clients need several "
        "connections to use all of them.",
        default="1",
    )

    call_handling: str = _option(
        choice("auto", "direct", "threads"),
        "Bounds",
        "How gRPC calls are handled: direct (on gRPC's own thread, using private names of grpcio), threads (public API "
        "only, 1.5 times the CPU of a unary call), or auto: direct if a self-test at startup passes.",
        default="auto",
    )

    call_reading: str = _option(
        choice("auto", "direct", "threads"),
        "Bounds",
        "Which thread reads connections: direct (the one that answers calls), threads (gRPC's own: floods of "
        "frames on one connection delay no calls of others, 1.3 times the CPU of a call), or auto: threads if "
        "--listen has an address that is not loopback.",
        default="auto",
    )

    audit_size: int = _option(
        SIZE,
        "Audit",
        "Maximum size of the audit in --state-dir; the oldest records are removed first.",
        default="64MiB",
    )

    audit_db: str | None = _option(
        TEXT,
        "Audit",
        "Database for the shared audit of all sidecars: postgresql://user@host/database or any SQLAlchemy URL without "
        "a password. Needs --state-dir.",
    )
    audit_db_file: Path | None = _option(PATH, "Audit", "File with the URL of --audit-db, for a URL with a password.")

    anchor_key: Path | None = _option(
        PATH,
        "Audit",
        "Private Ed25519 key of this sidecar, which signs the newest record of the audit at each change, for webhooks, "
        "commands and --audit-db. Needs --state-dir.",
    )

    xds: bool = _option(
        SWITCH,
        "Followers",
        "Serve Envoy on the gRPC addresses: weights as runtime values (RTDS) and routes (RDS) of applications, by ADS "
        "or by themselves.",
        default="false",
    )
    xds_cluster: str = _option(
        CLUSTER,
        "Followers",
        "Name of Envoy's cluster for a datacenter, with {dc} and, where each application has clusters of its own, "
        "{app}.",
        default="{app}-{dc}",
    )
    xds_runtime_prefix: str = _option(
        LABEL,
        "Followers",
        "First part of the runtime keys: PREFIX.APP.DATACENTER holds a weight.",
        default="dc",
    )

    xds_endpoints: Path | None = _option(
        PATH,
        "Followers",
        "File with the endpoints of applications by datacenter (YAML), for gRPC clients of xds:///APP: served by LDS, "
        "RDS, CDS and EDS. Reloaded. Needs --xds.",
    )

    reactions: list[Any] | None = _option(
        LIST,
        "Reactions",
        "Webhooks, commands and PowerJob retries on switches, failovers, returns, drills and refused documents: a "
        "list in the file, or JSON.",
    )

    log_level: str = _option(
        choice("debug", "info", "warning", "error"),
        "Logs",
        "Minimum log level: debug, info, warning or error.",
        default="info",
    )
    log_format: str = _option(choice("console", "json"), "Logs", "Log format: console or json.", default="console")

    source_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()


CONFIG = Option(
    name="config", kind=PATH, help="Configuration file with any of these options (YAML).", section="Serving"
)

# Resolved where it is used, as only the command line may ask for addresses.
_SIDECAR: Kind[str] = Kind("ADDR", "host:port, unix:/path or @FILE", lambda text: text or None)

OPERATOR_OPTIONS: tuple[Option, ...] = (
    Option(
        name="hold-off",
        kind=DURATION,
        help="Minimum time between changes that move work; 0 disables the rule.",
        section="Rules",
        default=("60s",),
        operator=True,
    ),
    Option(
        name="require-workers",
        kind=COUNT,
        help="Minimum number of known live workers in a datacenter that gets jobs.",
        section="Rules",
        operator=True,
    ),
    Option(
        name="require-reason",
        kind=SWITCH,
        help="Refuse changes without --reason.",
        section="Rules",
        default=("false",),
        operator=True,
    ),
    Option(
        name="sign",
        kind=PATH,
        help="Sign the document with this SSH key: a private key, or the public key of one that ssh-agent or a "
        "security key has.",
        section="Signing",
        operator=True,
    ),
    Option(
        name="sidecar",
        kind=_SIDECAR,
        help="Sidecar to query and to wait for: HOST:PORT (every address of the host counts), unix:/PATH, or @FILE "
        "with one per line. Repeatable.",
        section="Sidecars",
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
