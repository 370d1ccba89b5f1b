"""The settings of a ZooKeeper source: its URL, credentials, TLS, and the ACL of nodes that it creates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id, Permissions

from sidecar.errors import ConfigError

_EXPECTED = "expected zookeeper://HOST:PORT,HOST:PORT/PATH/TO/NODE"
# With credentials nodes belong to their creator. They stay readable, as sidecars may use others; without credentials
# there is nobody to whom they could belong.
_OWNED = (ACL(Permissions.ALL, Id("auth", "")), ACL(Permissions.READ, Id("world", "anyone")))
_RIGHTS = {
    "c": Permissions.CREATE,
    "d": Permissions.DELETE,
    "r": Permissions.READ,
    "w": Permissions.WRITE,
    "a": Permissions.ADMIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooKeeperSettings:
    """Where the node is, and how to connect; `repr` shows no secrets."""

    url: str
    hosts: str
    path: str
    digest: tuple[str, str] | None = field(default=None, repr=False)
    sasl: tuple[str, str] | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    acl: tuple[ACL, ...] = tuple(OPEN_ACL_UNSAFE)
    create_parents: bool = False

    @property
    def identity(self) -> str:
        """How ZooKeeper identifies this client, for messages."""
        names = []
        if self.digest:
            names.append(f"digest user {self.digest[0]!r}")
        if self.sasl:
            names.append(f"SASL user {self.sasl[0]!r}")
        if self.cert:
            names.append(f"the certificate {self.cert}")
        return " and ".join(names) or "a client without credentials"


def read_settings(url: str, options: Mapping[str, str]) -> ZooKeeperSettings:
    """Parse `url` and the options that begin with `zookeeper-`.

    The path starts at the root of ZooKeeper: a chroot is its first part, as in every ZooKeeper connect string. Raises
    ConfigError, also for credentials in the URL, without repeating them.
    """
    hosts, path = _split(url)
    ca, cert, key = (_file(options, name) for name in ("zookeeper-ca", "zookeeper-cert", "zookeeper-key"))
    if key and not cert:
        raise ConfigError("zookeeper-key is set without zookeeper-cert: a client certificate needs both")
    digest, sasl = _credentials(options, "zookeeper"), _sasl(options)
    default_acl = _OWNED if digest or sasl or cert else tuple(OPEN_ACL_UNSAFE)
    return ZooKeeperSettings(
        url=f"zookeeper://{hosts}{path}",
        hosts=hosts,
        path=unquote(path),
        digest=digest,
        sasl=sasl,
        tls=_switch(options, "zookeeper-tls") or bool(ca or cert),
        ca=ca,
        cert=cert,
        key=key,
        acl=parse_acl(options["zookeeper-acl"]) if options.get("zookeeper-acl") else default_acl,
        create_parents=_switch(options, "zookeeper-create-parents"),
    )


def parse_acl(text: str) -> tuple[ACL, ...]:
    """Parse an ACL as `zkCli.sh setAcl` takes it: `world:anyone:r,sasl:ops:cdrwa,auth::cdrwa,digest:bob:HASH:rw`."""
    return tuple(_acl_entry(entry.strip()) for entry in text.split(","))


def _acl_entry(entry: str) -> ACL:
    scheme, colon, rest = entry.partition(":")
    identity, second_colon, letters = rest.rpartition(":")
    if not (scheme and colon and second_colon and letters) or not (identity or scheme == "auth"):
        raise ConfigError(
            f"zookeeper-acl: found {entry!r}, expected SCHEME:ID:RIGHTS, as in world:anyone:r or auth::cdrwa"
        )
    if unknown := sorted(set(letters) - set(_RIGHTS)):
        raise ConfigError(
            f"zookeeper-acl: {entry!r} has the unknown right {unknown[0]!r}; rights are of the letters cdrwa"
        )
    return ACL(sum(_RIGHTS[letter] for letter in set(letters)), Id(scheme, identity))


def _split(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    hosts, slash, path = rest.partition("/")
    if "@" in hosts:
        raise ConfigError(
            "source zookeeper: the URL holds credentials; set zookeeper-username and zookeeper-password-file instead"
        )
    for character in "?#":
        if character in url:
            raise ConfigError(f"source {url.partition(character)[0]!r}: found {character!r} in the URL, {_EXPECTED}")
    if scheme != "zookeeper" or not slash or not path:
        raise ConfigError(f"source {url!r}: no path to a node, {_EXPECTED}")
    for host in hosts.split(","):
        _check_host(url, host)
    parts = unquote(path).split("/")
    if any(part in ("", ".", "..") or not part.isprintable() for part in parts) or parts[0] == "zookeeper":
        raise ConfigError(f"source {url!r}: {unquote('/' + path)!r} is not the path of a node of yours, {_EXPECTED}")
    return hosts, f"/{path}"


def _check_host(url: str, host: str) -> None:
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name = host
    bracketed = name.startswith("[") and name.endswith("]")
    if not name or name.strip() != name or (":" in name and not bracketed):
        raise ConfigError(f"source {url!r}: {host!r} is not a host, {_EXPECTED}")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"source {url!r}: {host!r} has no port between 1 and 65535, {_EXPECTED}")


def _credentials(options: Mapping[str, str], prefix: str) -> tuple[str, str] | None:
    user, password = options.get(f"{prefix}-username"), options.get(f"{prefix}-password")
    if not user and not password:
        return None
    if not user or not password:
        given, lacking = ("username", "password") if user else ("password", "username")
        raise ConfigError(f"{prefix}-{given} is set without {prefix}-{lacking}: set both or none")
    return user, password


def _sasl(options: Mapping[str, str]) -> tuple[str, str] | None:
    mechanism = options.get("zookeeper-sasl-mechanism")
    if mechanism and mechanism != "DIGEST-MD5":
        raise ConfigError(f"zookeeper-sasl-mechanism: found {mechanism!r}, the one supported is DIGEST-MD5")
    credentials = _credentials(options, "zookeeper-sasl")
    if mechanism and credentials is None:
        raise ConfigError("zookeeper-sasl-mechanism is set without zookeeper-sasl-username and zookeeper-sasl-password")
    return credentials


def _file(options: Mapping[str, str], name: str) -> str | None:
    path = options.get(name)
    if path and not Path(path).is_file():
        raise ConfigError(f"{name}: there is no file {path!r}; expected the path of a PEM file")
    return path or None


def _switch(options: Mapping[str, str], name: str) -> bool:
    value = options.get(name, "false").lower()
    if value not in ("true", "false"):
        raise ConfigError(f"{name}: found {value!r}, expected true or false")
    return value == "true"
