"""Kubernetes manifests whose weights are the shares of an application: Gateway API's HTTPRoute, Istio's VirtualService.

The manifest depends on the shares and the options alone, so it changes only when the shares do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.errors import ChangeRefused, ConfigError
from sidecar.routing.shares import Destination, Weights, shares_of, whole_shares
from sidecar.routing.state import State

TOTAL = 1000
"""The sum of the weights of a rule: shares are rounded to a tenth of a percent."""

Manifest = dict[str, Any]

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Names in the cluster: of the manifest, and of the Service of each datacenter, with `{app}` and `{datacenter}`."""

    app: str
    name: str = ""
    namespace: str = ""
    service: str = "{app}-{datacenter}"
    port: int = 80

    @property
    def metadata(self) -> Manifest:
        """The metadata of a manifest. Raises ConfigError."""
        name = self.name or self.app
        _check("the name of the manifest", name, "--name")
        if not self.namespace:
            return {"name": name}
        _check("the namespace", self.namespace, "--namespace")
        return {"name": name, "namespace": self.namespace}

    def service_of(self, datacenter: str) -> str:
        """Return the name of a datacenter's Service. Raises ConfigError."""
        name = self.service.replace("{app}", self.app).replace("{datacenter}", datacenter)
        _check(f"the Service of {datacenter}", name, "--service")
        return name


def weights(state: State, app: str) -> list[tuple[str, int]]:
    """Return the whole weights of all datacenters of an application's route, 0 for those without a share.

    They add up to TOTAL, and a datacenter with a share has at least 1. Raises ChangeRefused where no datacenter is
    left: then the manifest of before may stay.
    """
    resolved = state.resolve((app,), app, "")
    found = shares_of(resolved)
    names = dict.fromkeys((*(name for name, _ in resolved.weights), *resolved.route.backups))
    if found.destination is Destination.DATACENTERS:
        shares: Weights = found.by_datacenter
    else:
        every = state.document.datacenter_names()
        left = [name for name in every if found.destination is Destination.ANYWHERE or name not in resolved.out]
        if found.destination is Destination.NOWHERE or not left:
            raise ChangeRefused(f"{app}: no datacenter of its route is in service, so nothing is rendered")
        names |= dict.fromkeys(every)
        shares = tuple((name, 1 / len(left)) for name in left)
    whole = whole_shares(shares, TOTAL)
    return [(name, whole.get(name, 0)) for name in names]


def http_route(
    placement: Placement, weighted: Sequence[tuple[str, int]], *, gateways: Sequence[str], hosts: Sequence[str] = ()
) -> list[Manifest]:
    """Return an HTTPRoute. `gateways` are names, each optionally with its namespace before it: `infra/gateway`."""
    spec: Manifest = {"parentRefs": [_parent(each) for each in gateways]}
    if hosts:
        spec["hostnames"] = [_checked_host(each) for each in hosts]
    refs = [{"name": placement.service_of(name), "port": placement.port, "weight": weight} for name, weight in weighted]
    spec["rules"] = [{"backendRefs": refs}]
    return [
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": placement.metadata,
            "spec": spec,
        }
    ]


def virtual_service(
    placement: Placement,
    weighted: Sequence[tuple[str, int]],
    *,
    gateways: Sequence[str] = (),
    hosts: Sequence[str] = (),
    subset_label: str = "",
) -> list[Manifest]:
    """Return a VirtualService; with `subset_label` the datacenters are subsets of one Service, and a DestinationRule.

    A subset has the pods with that label, whose value is the datacenter.
    """
    routes: list[Manifest] = []
    for name, weight in weighted:
        destination: Manifest = {"host": placement.service_of(name), "port": {"number": placement.port}}
        if subset_label:
            destination["subset"] = _subset(name)
        routes.append({"destination": destination, "weight": weight})
    services = list(dict.fromkeys(each["destination"]["host"] for each in routes))
    if subset_label and len(services) > 1:
        raise ConfigError(
            "--service: found {datacenter} in it and --subset-label, expected one Service for all datacenters"
        )
    spec: Manifest = {"hosts": [_checked_host(each) for each in hosts or (placement.app,)]}
    if gateways:
        spec["gateways"] = list(gateways)
    spec["http"] = [{"route": routes}]
    head = {"apiVersion": "networking.istio.io/v1"}
    made = [{**head, "kind": "VirtualService", "metadata": placement.metadata, "spec": spec}]
    if subset_label:
        subsets = [{"name": _subset(name), "labels": {subset_label: _label_value(name)}} for name, _ in weighted]
        rule = {"host": services[0], "subsets": subsets}
        made.append({**head, "kind": "DestinationRule", "metadata": placement.metadata, "spec": rule})
    return made


def _parent(gateway: str) -> Manifest:
    namespace, _, name = gateway.rpartition("/")
    _check("a gateway", name, "--gateway")
    if not namespace:
        return {"name": name}
    _check("the namespace of a gateway", namespace, "--gateway")
    return {"name": name, "namespace": namespace}


def _subset(datacenter: str) -> str:
    _check(f"the subset of {datacenter}", datacenter, "the document")
    return datacenter


def _label_value(text: str) -> str:
    if not _LABEL_VALUE.fullmatch(text):
        raise ConfigError(f"{text!r} cannot be the value of a label")
    return text


def _checked_host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise ConfigError(f"--host: found {host!r}, expected a name such as shop.example, or *.example")
    return host


def _check(what: str, name: str, remedy: str) -> None:
    if not _LABEL.fullmatch(name):
        raise ConfigError(
            f"{what}: found {name!r}, expected up to 63 lowercase letters, digits and hyphens: change it with {remedy}"
        )
