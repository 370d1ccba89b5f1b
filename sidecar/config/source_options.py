"""The options of sources: addresses, credentials and TLS of each config center."""

from __future__ import annotations

from typing import Any

from sidecar.config.kinds import COUNT, DURATION, PATH, SWITCH, TEXT, Kind, choice
from sidecar.config.option import Option


def _of_source(name: str, kind: Kind[Any], help_: str, *, secret: bool = False) -> tuple[Option, ...]:
    """Declare an option of a source; a secret also gets the option that names a file to read it from."""
    section = {"apollo": "Apollo", "nacos": "Nacos", "zookeeper": "ZooKeeper"}[name.partition("-")[0]]
    option = Option(name=name, kind=kind, help=help_, section=section, secret=secret)
    if not secret:
        return (option,)
    words = f"File with {help_[:1].lower()}{help_[1:]} Or set {option.variable}."
    return option, Option(name=f"{name}-file", kind=PATH, help=words, section=section)


SOURCE_OPTIONS: tuple[Option, ...] = (
    *_of_source("nacos-username", TEXT, "Nacos user."),
    *_of_source("nacos-password", TEXT, "The user's password.", secret=True),
    *_of_source("nacos-access-key", TEXT, "Access key for signed requests."),
    *_of_source("nacos-secret-key", TEXT, "The secret key of --nacos-access-key.", secret=True),
    *_of_source("nacos-tls", SWITCH, "Connect with TLS; implied by --nacos-ca and --nacos-cert."),
    *_of_source(
        "nacos-allow-plaintext", SWITCH, "Send the user's password without TLS to servers that are not loopback."
    ),
    *_of_source("nacos-ca", PATH, "Authorities of the server's certificate (PEM)."),
    *_of_source("nacos-cert", PATH, "Client certificate (PEM)."),
    *_of_source("nacos-key", PATH, "Private key of --nacos-cert (PEM)."),
    *_of_source(
        "nacos-reread",
        DURATION,
        "Longest time between two reads while push works, 2s to 5m: a lost push is noticed within it. Default 10s.",
    ),
    *_of_source("zookeeper-username", TEXT, "User for digest authentication."),
    *_of_source("zookeeper-password", TEXT, "The user's password.", secret=True),
    *_of_source("zookeeper-sasl-mechanism", choice("DIGEST-MD5"), "SASL mechanism: DIGEST-MD5."),
    *_of_source("zookeeper-sasl-username", TEXT, "SASL user."),
    *_of_source("zookeeper-sasl-password", TEXT, "The SASL user's password.", secret=True),
    *_of_source("zookeeper-tls", SWITCH, "Connect with TLS; implied by --zookeeper-ca and --zookeeper-cert."),
    *_of_source("zookeeper-ca", PATH, "Authorities of the servers' certificates (PEM)."),
    *_of_source("zookeeper-cert", PATH, "Client certificate (PEM)."),
    *_of_source("zookeeper-key", PATH, "Private key of --zookeeper-cert (PEM)."),
    *_of_source(
        "zookeeper-acl", TEXT, "ACL of nodes that the command line creates, such as world:anyone:r,auth::cdrwa."
    ),
    *_of_source("zookeeper-create-parents", SWITCH, "Let the command line create missing parent nodes."),
    *_of_source("apollo-access-key", TEXT, "The application's access key, which signs requests.", secret=True),
    *_of_source(
        "apollo-config-service",
        TEXT,
        "URLs of the config services, comma-separated; the meta servers are not used then.",
    ),
    *_of_source(
        "apollo-data-center", TEXT, "Data center of this client: Apollo tries the cluster of that name second."
    ),
    *_of_source("apollo-ip", TEXT, "Address by which gray rules know this client. Default: the connection's."),
    *_of_source("apollo-label", TEXT, "Label by which gray rules know this client."),
    *_of_source("apollo-ca", PATH, "Authorities of the servers' certificates (PEM)."),
    *_of_source("apollo-cert", PATH, "Client certificate (PEM)."),
    *_of_source("apollo-key", PATH, "Private key of --apollo-cert (PEM)."),
    *_of_source("apollo-portal", TEXT, "URL of the portal, through which the command line writes."),
    *_of_source("apollo-token", TEXT, "The token of the portal's open API.", secret=True),
    *_of_source("apollo-env", TEXT, "Environment in the portal. Default: the only one that has the application."),
    *_of_source("apollo-operator", TEXT, "Portal user who edits and releases. Default: the author of the change."),
    *_of_source(
        "apollo-emergency-publish", SWITCH, "Release as an emergency publish, past a namespace lock of one's own."
    ),
    *_of_source(
        "apollo-item-limit",
        COUNT,
        "Maximum characters of a value: the server's item.value.length.limit. Default: 20000.",
    ),
    *_of_source("apollo-admin-token", TEXT, "The token of the admin services, if they require one.", secret=True),
)
