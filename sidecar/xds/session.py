"""One stream of xDS, in its two variants: the state of the world, and incremental (delta).

The rules are those of https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol. What a client rejects is not
sent again until it changes. A response has the resources that changed only, where variant and type allow it.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from sidecar.errors import BadRequest
from sidecar.followers.xds_clients import XdsClient
from sidecar.gil import Yielder
from sidecar.pb.dcsidecar.xds import messages_pb2 as messages
from sidecar.server import requests
from sidecar.trust.callers import Permit
from sidecar.xds.clients import Clients
from sidecar.xds.inputs import Inputs
from sidecar.xds.kinds import FOR_ENVOY, Kind
from sidecar.xds.resources import Resource, Resources
from sidecar.xds.subscription import Subscription

log = logging.getLogger(__name__)

# Envoy's first request lists its extensions: about 50 KiB.
_MAX_REQUEST = 512 * 1024
_MAX_TEXT = 256
_MAX_MESSAGE = 1000


class XdsSession(ABC):
    """The server's side of one stream.

    `inputs` returns what resources are made of now, None while there is no document; `kinds` are the types that are
    served, `kind` is that of a request that names none.
    """

    protocol: str
    sends_whole: bool
    """Whether a response has all resources of a type, where a missing one would be removed."""

    def __init__(
        self,
        inputs: Callable[[], Inputs | None],
        resources: Resources,
        clients: Clients,
        address: str,
        *,
        kind: Kind | None = None,
        kinds: Collection[Kind] = FOR_ENVOY,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._inputs = inputs
        self._resources = resources
        self._clients = clients
        self._kind = kind
        self._kinds = {each.value: each for each in kinds}
        self._clock = clock
        self._subscriptions: dict[Kind, Subscription] = {}
        self._unknown: set[str] = set()
        self._nonce = 0
        self._checkpoint = Yielder()
        now = clock()
        self._client = XdsClient(
            node="",
            cluster="",
            agent="",
            address=address[:_MAX_TEXT],
            protocol=self.protocol,
            connected=True,
            since_ns=now,
            seen_ns=now,
        )

    def receive(self, request: bytes, permit: Permit | None = None) -> None:
        """Take a request: a subscription, an acknowledgement or a rejection.

        Raises BadRequest, and PermissionRefused for an application that is not within the permit.
        """
        if len(request) > _MAX_REQUEST:
            raise BadRequest("request", f"found {len(request)} bytes, expected at most {_MAX_REQUEST}")
        asked = self._read(request)
        node = self._node(asked)
        kind = self._kinds.get(asked.type_url) if asked.type_url else self._kind
        if kind is None or (kind.whole and kind not in self._subscriptions and not self._named(asked)):
            self._ignore(asked.type_url)
        else:
            known = kind in self._subscriptions
            subscription = self._subscriptions.setdefault(kind, Subscription(kind))
            # A nonce of an earlier stream belongs to no response of this one.
            stale = bool(asked.response_nonce) and known and asked.response_nonce != subscription.nonce
            if asked.response_nonce:
                self._answered(subscription, asked)
            self._subscribe(subscription, asked, first=not known, stale=stale)
            if permit is not None:
                permit.check_apps([kind.app_of(name) for name in subscription.sent])
        self._report(**node, seen_ns=self._clock())

    def update(self) -> bytes | None:
        """Return the response with the resources of one type that have changed, None if there is none."""
        inputs = self._inputs()
        if inputs is None:
            return None
        for subscription in self._subscriptions.values():
            whole = self.sends_whole and subscription.kind.whole
            due = subscription.due(self._resources, inputs, self._checkpoint, whole=whole)
            if due:
                self._nonce += 1
                subscription.note_sent(due, inputs.version, str(self._nonce))
                self._clients.count(subscription.kind, "sent")
                self._report()
                return self._response(subscription, due)
        return None

    def close(self) -> None:
        """Show the client as one that left."""
        self._clients.leave(self)

    @abstractmethod
    def _read(self, request: bytes) -> Any:  # noqa: ANN401 - the messages have no types
        """Return a request. Raises BadRequest."""

    @abstractmethod
    def _named(self, asked: Any) -> bool:  # noqa: ANN401 - as above
        """Return whether a request names resources, and does not want all there are."""

    @abstractmethod
    def _subscribe(self, subscription: Subscription, asked: Any, *, first: bool, stale: bool) -> None:  # noqa: ANN401 - as above
        """Change the subscription as a request asks; `stale` means that the client had not read the newest."""

    @abstractmethod
    def _response(self, subscription: Subscription, due: Mapping[str, Resource]) -> bytes:
        """Return a response with some resources."""

    def _answered(self, subscription: Subscription, asked: Any) -> None:  # noqa: ANN401 - as above
        kind, now = subscription.kind, self._clock()
        if not asked.HasField("error_detail"):
            if subscription.accept(asked.response_nonce, now):
                self._clients.count(kind, "acknowledged")
            return
        message = asked.error_detail.message[:_MAX_MESSAGE]
        version = subscription.reject(asked.response_nonce, message, now)
        if version is not None:
            self._clients.count(kind, "rejected")
            self._clients.log_rejection(kind, self._client, version, message)

    def _node(self, asked: Any) -> dict[str, str]:  # noqa: ANN401 - as above
        """Return the client that a request names, which only the first need do."""
        if not asked.HasField("node"):
            return {}
        node = asked.node
        version = node.user_agent_build_version.version
        numbers = f"{version.major_number}.{version.minor_number}.{version.patch}"
        release = node.user_agent_version or (numbers if node.HasField("user_agent_build_version") else "")
        return {
            "node": node.id[:_MAX_TEXT],
            "cluster": node.cluster[:_MAX_TEXT],
            "agent": f"{node.user_agent_name} {release}".strip()[:_MAX_TEXT],
        }

    def _ignore(self, type_url: str) -> None:
        """Leave a type that is not served without an answer, as an empty one could remove what the client has."""
        if type_url not in self._unknown and len(self._unknown) < 16:
            self._unknown.add(type_url)
            log.warning(
                "%s at %s asks for %s, which is not served: expected %s; configure other types statically, or from "
                "another control plane%s",
                self._client.node or "a client",
                self._client.address,
                type_url[:_MAX_TEXT],
                ", ".join(f"{each.label} by names" if each.whole else each.label for each in self._kinds.values()),
                "" if Kind.LISTENERS in self._kinds.values() else "; gRPC clients need --xds-endpoints",
            )

    def _report(self, **changed: Any) -> None:  # noqa: ANN401 - fields of XdsClient
        subscriptions = tuple(each.status() for each in self._subscriptions.values())
        self._client = replace(self._client, subscriptions=subscriptions, **changed)
        self._clients.report(self, self._client)


class WorldSession(XdsSession):
    """State of the world: each request has all the names of its type."""

    protocol = "sotw"
    sends_whole = True

    def _read(self, request: bytes) -> Any:  # noqa: ANN401 - as above
        return requests.read(messages.DiscoveryRequest, request)

    def _named(self, asked: Any) -> bool:  # noqa: ANN401 - as above
        return bool(asked.resource_names)

    def _subscribe(self, subscription: Subscription, asked: Any, *, first: bool, stale: bool) -> None:  # noqa: ANN401 - as above
        # The request after the newest response has the names again.
        if (first or not stale) and [*asked.resource_names] != [*subscription.sent]:
            subscription.replace(asked.resource_names)

    def _response(self, subscription: Subscription, due: Mapping[str, Resource]) -> bytes:
        response = messages.DiscoveryResponse(
            version_info=subscription.version,
            resources=[resource.content for resource in due.values()],
            type_url=subscription.kind.value,
            nonce=subscription.nonce,
        )
        return requests.encoded(response)


class DeltaSession(XdsSession):
    """Incremental: each request has the names that are added and removed."""

    protocol = "delta"
    sends_whole = False

    def _read(self, request: bytes) -> Any:  # noqa: ANN401 - as above
        return requests.read(messages.DeltaDiscoveryRequest, request)

    def _named(self, asked: Any) -> bool:  # noqa: ANN401 - as above
        return bool(asked.resource_names_subscribe)

    def _subscribe(self, subscription: Subscription, asked: Any, *, first: bool, stale: bool) -> None:  # noqa: ANN401, ARG002 - as above; a stale request subscribes too
        known = dict(asked.initial_resource_versions) if first else {}
        if asked.resource_names_unsubscribe:
            subscription.remove(asked.resource_names_unsubscribe)
        if asked.resource_names_subscribe:
            subscription.add(asked.resource_names_subscribe, known)

    def _response(self, subscription: Subscription, due: Mapping[str, Resource]) -> bytes:
        response = messages.DeltaDiscoveryResponse(
            system_version_info=subscription.version,
            resources=[
                messages.Resource(name=name, version=resource.version, resource=resource.content)
                for name, resource in due.items()
            ],
            type_url=subscription.kind.value,
            nonce=subscription.nonce,
        )
        return requests.encoded(response)
