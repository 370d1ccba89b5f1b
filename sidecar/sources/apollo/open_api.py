"""The portal's open API, through which the command line reads, edits and releases a namespace."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.errors import AccessRefused, PortalRefused, SourceError
from sidecar.sources.apollo.settings import ApolloSettings, PortalSettings
from sidecar.sources.apollo.web import connection_to, json_of, message_of, path_of, query_of, unexpected


@dataclass(frozen=True, slots=True)
class PortalRelease:
    """A release of a cluster: its id, its values by key, and who made it."""

    id: int
    values: Mapping[str, str]
    by: str
    title: str

    @property
    def label(self) -> str:
        """The release in messages."""
        return f"release {self.id} ({self.title!r} by {self.by})"


@dataclass(frozen=True, slots=True)
class Item:
    """The value of a key as it was edited last, released or not, and by whom."""

    value: str
    by: str


class Portal:
    """One namespace of an application in the portal; each request has a connection of its own, until `deadline`."""

    def __init__(self, settings: ApolloSettings, portal: PortalSettings, deadline: float) -> None:
        self._settings = settings
        self._portal = portal
        self._deadline = deadline
        self._environment = portal.environment

    def in_force(self) -> tuple[str, PortalRelease | None]:
        """Return the cluster whose release clients get, and that release; the URL's cluster where there is none."""
        for cluster in self._settings.ordinary_clusters():
            release = self.latest(cluster)
            if release is not None:
                return cluster, release
        return self._settings.key.cluster, None

    def latest(self, cluster: str) -> PortalRelease | None:
        """Return the release in force in a cluster or a branch, None where there is none."""
        found = self._call("GET", self._namespace(cluster, "releases", "latest"))
        return _release(found) if isinstance(found, dict) else None

    def items(self, cluster: str) -> dict[str, Item]:
        """Return the values as edited. Raises PortalRefused where the cluster has no such namespace."""
        found = self._object("GET", self._namespace(cluster))
        return {
            str(item["key"]): Item(str(item.get("value") or ""), str(item.get("dataChangeLastModifiedBy") or ""))
            for item in found.get("items") or ()
            if item.get("key")  # Comments and blank lines have none, and are not released.
        }

    def lock(self, cluster: str) -> str:
        """Return the user who has locked the namespace by an edit, "" for none."""
        found = self._object("GET", self._namespace(cluster, "lock"))
        return str(found.get("lockedBy") or "") if found.get("isLocked") else ""

    def put(self, cluster: str, value: str, operator: str) -> None:
        """Edit the key, without releasing it; create it where it does not exist."""
        key = self._settings.key.key
        body = {"key": key, "value": value, "dataChangeCreatedBy": operator, "dataChangeLastModifiedBy": operator}
        self._call("PUT", self._namespace(cluster, "items", key) + query_of(createIfNotExists="true"), body)

    def remove(self, cluster: str, operator: str) -> None:
        """Delete the key, without releasing that."""
        self._call("DELETE", self._namespace(cluster, "items", self._settings.key.key) + query_of(operator=operator))

    def release(self, cluster: str, title: str, comment: str, operator: str, *, emergency: bool) -> PortalRelease:
        """Release all edits of the namespace."""
        body = {
            "releaseTitle": title,
            "releaseComment": comment,
            "releasedBy": operator,
            "isEmergencyPublish": emergency,
        }
        return _release(self._object("POST", self._namespace(cluster, "releases"), body))

    def gray_branch(self, cluster: str) -> str:
        """Return the branch of the gray release beside that of a cluster, "" without one."""
        branch = self._call("GET", self._namespace(cluster, "branches"))
        name = str(branch.get("clusterName") or "") if isinstance(branch, dict) else ""
        return name if name and self.latest(name) is not None else ""

    def _namespace(self, cluster: str, *rest: str) -> str:
        key = self._settings.key
        names = ("apps", key.app, "clusters", cluster, "namespaces", key.namespace)
        return path_of("envs", self._env(), *names, *rest)

    def _env(self) -> str:
        if not self._environment:
            app = self._settings.key.app
            found = self._call("GET", path_of("apps", app, "envclusters"))
            names = [str(one.get("env")) for one in found] if isinstance(found, list) else []
            if len(names) != 1:
                raise SourceError(
                    f"{self._portal.address} has application {app} in {', '.join(names) or 'no environment'}: name the "
                    "environment with --apollo-env"
                )
            self._environment = names[0]
        return self._environment

    def _object(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        found = self._call(method, path, body)
        if not isinstance(found, dict):
            raise SourceError(f"{self._portal.address} answers {method} without a JSON object: is it Apollo's portal?")
        return found

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        address = self._portal.address
        headers = {"Authorization": self._portal.token.read()}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json;charset=UTF-8"
        connection = connection_to(address, self._settings)
        within = max(self._deadline - time.monotonic(), 0.0)
        try:
            answer = connection.request(
                method, f"{address.path}/openapi/v1{path}", headers=headers, body=data, within=within
            )
        finally:
            connection.close()
        match answer.status:
            case 200:
                return json_of(answer)
            case 401:
                raise AccessRefused(f"{address} refuses the token (401): is it expired, or of another portal?")
            case 403:
                raise AccessRefused(
                    f"{address} refuses {method} (403): give the token's application the permissions to modify and to "
                    f"release namespace {self._settings.key.namespace} of {self._settings.key.app}"
                )
            case 400 | 404:
                raise PortalRefused(f"{address} refuses {method} ({answer.status}): {message_of(answer)}")
            case _:
                raise unexpected(address, answer)


def _release(found: Mapping[str, Any]) -> PortalRelease:
    values = found.get("configurations")
    return PortalRelease(
        id=int(found["id"]),
        values={str(key): str(value) for key, value in (values if isinstance(values, dict) else {}).items()},
        by=str(found.get("dataChangeCreatedBy") or ""),
        title=str(found.get("name") or ""),
    )
