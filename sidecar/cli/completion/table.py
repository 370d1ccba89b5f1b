"""Which values commands take from the live document: what click knows too, held equal by a test.

An argument or option has the name of the function in `sidecar.cli.options.complete` that completes it.
"""

from __future__ import annotations

GROUPS = frozenset(("drill", "render"))
"""Commands whose own commands are listed here."""

ARGUMENTS = {
    "apps": "apps*",
    "watch": "apps*",
    "filter": "apps",
    "switch": "apps_and_datacenters* datacenters",
    "shift": "apps_and_weights*",
    "ramp": "apps*",
    "pin": "apps jobs datacenters",
    "drill start": "datacenters",
    "drill stop": "datacenters",
    "mark": "datacenters -",
    "failback": "apps*",
    "render httproute": "apps",
    "render virtualservice": "apps",
}
"""The arguments of each command in order; * takes all that remain, - is not completed from the document."""

OPTIONS = {
    "apps --datacenter": "datacenters",
    "ramp --to": "datacenters",
    "ramp --from": "datacenters",
    "drill start --app": "apps",
}
"""The options whose values are in the document."""

VALUED = frozenset(
    """
    --alias --apollo-access-key-file --apollo-admin-token-file --apollo-ca --apollo-cert --apollo-config-service
    --apollo-data-center --apollo-env --apollo-ip --apollo-item-limit --apollo-key --apollo-label
    --apollo-operator --apollo-portal --apollo-token-file --app --by --ca --candidates --cert --config --context
    --datacenter --for --force --from --gateway --hold-off --host --instance --job --key --moved-since
    --nacos-access-key --nacos-ca --nacos-cert --nacos-key --nacos-password-file --nacos-reread
    --nacos-secret-key-file --nacos-username --name --namespace --now --output --over --port --reason --redo
    --require-workers --server-name --service --sidecar --sign --source --start --state-dir --steps
    --subset-label --ticket --timeout --to --token-file --zookeeper-acl --zookeeper-ca --zookeeper-cert
    --zookeeper-key --zookeeper-password-file --zookeeper-sasl-mechanism --zookeeper-sasl-password-file
    --zookeeper-sasl-username --zookeeper-username -o
    """.split()  # noqa: SIM905 - a list of so many takes a page
)
"""The options of these commands that take a value."""

FLAGS = frozenset(
    """
    --abort --all --apollo-emergency-publish --default --dry-run --ended --failing --finish --help --meta
    --nacos-allow-plaintext --nacos-tls --new --no-apollo-emergency-publish --no-nacos-allow-plaintext
    --no-nacos-tls --no-require-reason --no-zookeeper-create-parents --no-zookeeper-tls --pause --propose
    --remove --require-reason --resume --tls --utc --wide --yes --zookeeper-create-parents --zookeeper-tls -h -y
    """.split()  # noqa: SIM905 - a list of so many takes a page
)
"""The options of these commands that take none."""
