"""Apollo's test server, as it is started for the tests, and what an operator does with it through the open API."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers.maven import runtime_jars
from tests.servers.process import LOOPBACK, ServerProcess, free_port
from tests.waiting import eventually

_POM = Path(__file__).with_name("pom.xml")
_SOURCE = Path(__file__).with_name("ApolloServer.java")
TOKEN = "open-api-token"
APP = "dispatch"


def classes() -> Path:
    """Return the folder with the compiled server, in the cache of its jars; compile it where it is not there yet."""
    jars = runtime_jars(_POM)
    folder = jars.with_name(f"{jars.name}-{hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]}")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ApolloServer.class").exists():
            command = ["javac", "-cp", f"{jars}/*", "-d", str(folder), str(_SOURCE)]
            subprocess.run(command, check=True, timeout=120)
    return folder


class ApolloServer(ServerProcess):
    """One server on loopback: config service, admin service and portal. Servers of one folder share its database.

    `scan_ms` is how often it looks for new releases: a real one does each second.
    """

    def __init__(self, folder: Path, *, port: int | None = None, scan_ms: int = 20) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        self.operator = Operator(self.port)
        jars = runtime_jars(_POM)
        super().__init__(
            [
                *("java", "-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
                *("-cp", f"{classes()}:{jars}/*", "ApolloServer", str(folder), str(self.port), str(scan_ms)),
            ],
            ready=self.operator.ready,
            log=folder / f"server-{self.port}.log",
        )

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def http(self) -> str:
        return f"http://{self.address}"


class Operator:
    """Works with an Apollo as the portal does, in the name of a user; `namespace` is made before its first release."""

    def __init__(self, port: int, *, user: str = "lin", cluster: str = "default", app: str = APP) -> None:
        self.port = port
        self.user = user
        self.cluster = cluster
        self.app = app

    def within(self, cluster: str, *, app: str = APP) -> Operator:
        """Return one who works in another cluster or application."""
        return Operator(self.port, user=self.user, cluster=cluster, app=app)

    def ready(self) -> bool:
        try:
            return self._ask("GET", "/services/config")[0] == 200
        except OSError:
            return False

    def release(self, namespace: str, text: str, *, key: str = "content", title: str = "by hand") -> int:
        """Edit and release; return the release's id."""
        self.edit(namespace, text, key=key)
        return self.publish(namespace, title=title)

    def edit(self, namespace: str, text: str, *, key: str = "content") -> None:
        self.settle("namespace", name=self._name(namespace))
        fields = {"key": key, "value": text, "dataChangeCreatedBy": self.user, "dataChangeLastModifiedBy": self.user}
        self._do("PUT", f"{self._path(namespace)}/items/{key}?createIfNotExists=true", fields)

    def publish(self, namespace: str, *, title: str = "by hand") -> int:
        fields = {"releaseTitle": title, "releaseComment": "", "releasedBy": self.user}
        return int(self._do("POST", f"{self._path(namespace)}/releases", fields)["id"])

    def item(self, namespace: str, key: str = "content") -> str:
        """Return the value that is edited, released or not."""
        return str(self._do("GET", f"{self._path(namespace)}/items/{key}")["value"])

    def latest(self, namespace: str) -> Any:  # noqa: ANN401 - JSON
        """Return the newest release, None without one."""
        return self._do("GET", f"{self._path(namespace)}/releases/latest")

    def roll_back(self, release: int) -> None:
        self._do("PUT", f"/openapi/v1/envs/LOCAL/releases/{release}/rollback?operator={self.user}", {})

    def delete(self, namespace: str) -> None:
        self.settle("delete", name=self._name(namespace))

    def release_gray(self, namespace: str, text: str, *, ips: str = "", labels: str = "", key: str = "content") -> None:
        fields = {"text": text, "ips": ips, "labels": labels, "key": key}
        self.settle("gray", name=self._name(namespace), **fields)

    def end_gray(self, namespace: str) -> None:
        self.settle("endGray", name=self._name(namespace))

    def settle(self, what: str, **fields: object) -> None:
        """Do what only the tests may do: see `test` of ApolloServer.java."""
        self._do("POST", f"/test/{what}", fields)

    def _name(self, namespace: str) -> str:
        return f"{self.app}+{self.cluster}+{namespace}"

    def _path(self, namespace: str) -> str:
        return f"/openapi/v1/envs/LOCAL/apps/{self.app}/clusters/{self.cluster}/namespaces/{namespace}"

    def _do(self, method: str, path: str, fields: object = None) -> Any:  # noqa: ANN401 - JSON
        status, body = self._ask(method, path, fields)
        assert status == 200, f"{method} {path}: {status} {body}"
        return json.loads(body) if body else None

    def _ask(self, method: str, path: str, fields: object = None) -> tuple[int, str]:
        data = None if fields is None else json.dumps(fields).encode()
        headers = {"Authorization": TOKEN, "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def thawed(server: ApolloServer) -> None:
    """Wait until a server answers again."""
    eventually(server.operator.ready, "Apollo to answer again", within=30)


def source_url(
    *servers: ApolloServer, namespace: str = "routing.yaml", cluster: str = "default", app: str = APP
) -> str:
    """Return the URL under which a sidecar finds the namespace's text."""
    return f"apollo://{','.join(server.address for server in servers)}/{app}/{cluster}/{namespace}"


def portal_options(server: ApolloServer, *, operator: str = "lin") -> dict[str, str]:
    """Return the options of the command line for writing."""
    return {"apollo-portal": server.http, "apollo-token": TOKEN, "apollo-operator": operator}
