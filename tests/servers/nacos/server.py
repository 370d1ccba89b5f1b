"""A real Nacos 2.3, console included, as it is started for the tests, and what an operator does with it over HTTP."""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from tests.servers.maven import class_archive, runtime_jars
from tests.servers.process import LOOPBACK, ServerProcess, free_port

_POM = Path(__file__).with_name("pom.xml")
ACCESS_KEYS = Path(__file__).with_name("AccessKeys.java")
GRPC_OFFSET = 1000
_STARTING = threading.Semaphore(2)
IDENTITY = {"tests": "tests"}
TOKEN_LIFE = 15
"""Seconds of a login at the shared servers: tests outlast it, and an operator in the console must not."""
_CLUSTER_OFFSET = 1001


class NotFound(AssertionError):
    """The server knows no such resource."""


class NacosServer(ServerProcess):
    """One Nacos on loopback, standalone, with its database in `folder`; it comes back to its ports and data."""

    PORTS: tuple[int, ...] = (GRPC_OFFSET, _CLUSTER_OFFSET)
    """What it takes beside its port, as offsets."""
    PUBLIC = ""
    """The id of the public namespace in its console."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        archive_to: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_port(*self.PORTS)
        self.operator = self._operator(tls)
        properties = {
            "derby.system.durability": "test",
            "derby.stream.error.file": f"{folder}/derby.log",
            "nacos.standalone": "true",
            "nacos.functionMode": "config",
            "nacos.home": str(folder),
            "user.home": str(folder),
            "nacos.server.ip": LOOPBACK,
            "server.address": LOOPBACK,
            "server.tomcat.accesslog.enabled": "false",
            "server.tomcat.basedir": f"{folder}/tomcat",
            **self._settings(),
            **(settings or {}),
        }
        if archive_to is None:
            archive = f"-XX:SharedArchiveFile={self.archive()}"
        else:
            archive = f"-XX:ArchiveClassesAtExit={archive_to}"
        super().__init__(
            [
                *("java", "-Xms128m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
                *(archive, "-Xlog:cds=off", "-Xlog:cds+dynamic=off"),
                *(f"-D{name}={value}" for name, value in properties.items()),
                *self._program(),
            ],
            ready=self.operator.ready,
            log=folder / "server.log",
            within=180,
        )

    def _operator(self, tls: ssl.SSLContext | None) -> Operator:
        return Operator(self.port, tls=tls)

    def _settings(self) -> dict[str, str]:
        return {"server.port": str(self.port)}

    @classmethod
    def archive(cls) -> Path:
        """Return the archive of its classes; fetch its jars and make it where the cache has none."""
        return class_archive(cls._jars(), cls._dump)

    @classmethod
    def _jars(cls) -> Path:
        return runtime_jars(_POM)

    def _program(self) -> list[str]:
        jars = self._jars()
        # This jar first, or it dies with NoSuchMethodError when it starts.
        return ["-cp", f"{jars}/hessian-4.0.63.jar:{jars}/*", "com.alibaba.nacos.Nacos"]

    @classmethod
    def _dump(cls, archive: Path) -> None:
        """Write the archive of the classes that a server has loaded when it is ready."""
        with tempfile.TemporaryDirectory() as folder, cls(Path(folder) / "nacos", archive_to=archive) as server:
            server.terminate(within=120)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def console(self) -> str:
        return f"http://{self.address}/nacos/"

    def start(self, *, wait: bool = True) -> None:
        """Start it, two servers at a time at most: the database does not come up on a machine busy with more."""
        if not wait:
            super().start(wait=False)
            return
        with _STARTING:
            super().start()

    def wait_ready(self) -> None:
        """Wait; where its database did not come up, as happens on a starved machine, try again with a new one."""
        for _ in range(3):
            try:
                super().wait_ready()
            except AssertionError as error:
                if "Login timeout exceeded" not in str(error):
                    raise
                shutil.rmtree(self.folder / "data", ignore_errors=True)
                super().start(wait=False)
            else:
                return
        super().wait_ready()


class Operator:
    """Works with a Nacos over its HTTP interface, as its console does: without compare-and-set, last writer wins."""

    def __init__(
        self, port: int, *, namespace: str = "", group: str = "dispatch", tls: ssl.SSLContext | None = None
    ) -> None:
        self.port = port
        self.namespace = namespace
        self.group = group
        self._tls = tls
        self._token = ""

    def within(self, namespace: str) -> Self:
        """Return one who works in another namespace."""
        return type(self)(self.port, namespace=namespace, group=self.group, tls=self._tls)

    def ready(self) -> bool:
        try:
            return self._ask("GET", "/v1/console/health/readiness", {})[0] == 200
        except OSError:
            return False

    def log_in(self, user: str = "nacos", password: str = "nacos") -> None:
        self._token = json.loads(self._do("POST", "/v1/auth/login", {"username": user, "password": password}))[
            "accessToken"
        ]

    def create_administrator(self) -> None:
        """Create the user nacos with the password nacos, whom Nacos 2.3 has from the start."""

    def publish(self, data_id: str, text: str, *, gray_for: str = "", **fields: str) -> None:
        """Publish `text`; with `gray_for`, as a gray (beta) version for that address."""
        headers = {"betaIps": gray_for} if gray_for else {}
        assert self._do("POST", "/v1/cs/configs", {**self._key(data_id), "content": text, **fields}, headers) == "true"

    def end_gray(self, data_id: str) -> None:
        self._do("DELETE", "/v1/cs/configs", {**self._key(data_id), "beta": "true"})

    def delete(self, data_id: str) -> None:
        self._do("DELETE", "/v1/cs/configs", self._key(data_id))

    def stored(self, data_id: str) -> dict[str, Any]:
        """Return the key with all that belongs to it, as the console shows it; {} while there is none."""
        return dict(json.loads(self._do("GET", "/v1/cs/configs", {**self._key(data_id), "show": "all"}) or "{}"))

    def serves(self, data_id: str) -> str:
        """Return the text that clients of this very server get now."""
        return self._do("GET", "/v1/cs/configs", self._key(data_id))

    def listeners(self, data_id: str) -> dict[str, str]:
        """Return address and MD5 of the clients that listen to the key."""
        parameters = {**self._key(data_id), "sampleTime": "1"}
        return dict(json.loads(self._do("GET", "/v1/cs/configs/listener", parameters))["lisentersGroupkeyStatus"])

    def create_namespace(self, identifier: str) -> None:
        fields = {"customNamespaceId": identifier, "namespaceName": identifier, "namespaceDesc": ""}
        assert self._do("POST", "/v1/console/namespaces", fields) == "true"

    def create_user(self, user: str, password: str, role: str, *, action: str, namespace: str = "") -> None:
        """Create a user whose role may do `action` (r, w, rw) on all keys of the namespace."""
        self._do("POST", "/v1/auth/users", {"username": user, "password": password})
        self._do("POST", "/v1/auth/roles", {"role": role, "username": user})
        resource = f"{namespace}:*:*"
        self._do("POST", "/v1/auth/permissions", {"role": role, "resource": resource, "action": action})

    def change_password(self, user: str, password: str) -> None:
        self.log_in()  # the servers' own identity is not enough for this
        self._do("PUT", "/v1/auth/users", {"username": user, "newPassword": password})
        self._token = ""

    def _key(self, data_id: str) -> dict[str, str]:
        return {"dataId": data_id, "group": self.group, "tenant": self.namespace}

    def _do(self, method: str, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> str:
        status, body = self._ask(method, path, fields, headers)
        if status == 500 and "A lock could not be obtained" in body:
            # Its database gave up on a starved machine, and changed nothing.
            status, body = self._ask(method, path, fields, headers)
        if status == 404:
            raise NotFound(f"{method} {path}: {body}")
        assert status == 200, f"{method} {path}: {status} {body}"
        return body

    def _ask(
        self, method: str, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        encoded = urlencode({**fields, **({"accessToken": self._token} if self._token else {})})
        url = f"{'http' if self._tls is None else 'https'}://{LOOPBACK}:{self.port}/nacos{path}"
        data = encoded.encode() if method == "POST" else None
        # Whoever knows the servers' own identity may do everything, which spares the operator a login.
        sent = {**IDENTITY, **(headers or {})} if not self._token else dict(headers or {})
        request = urllib.request.Request(url if data is not None else f"{url}?{encoded}", data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self._tls) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def authentication(*, token_life: int = 18_000, secret: bytes | None = None) -> dict[str, str]:
    """Return the settings of a server with users; `token_life` in seconds."""
    plugin = "nacos.core.auth.plugin.nacos.token"
    return {
        "nacos.core.auth.enabled": "true",
        "nacos.core.auth.system.type": "nacos",
        f"{plugin}.secret.key": base64.b64encode(secret or os.urandom(33)).decode(),
        f"{plugin}.expire.seconds": str(token_life),
        **{
            f"nacos.core.auth.server.identity.{part}": word
            for part, word in zip(("key", "value"), *IDENTITY.items(), strict=True)
        },
        "nacos.core.auth.caching.enabled": "false",
    }


def access_keys(secret: Path) -> dict[str, str]:
    """Return the settings of a server that takes requests signed with the access key "ak" and this file's secret.

    Nacos finds AccessKeyAuth by this name, and takes it for its own authentication, "nacos", where it decides whether
    Spring's protection against forged requests is on, which refuses every POST.
    """
    return {"nacos.core.auth.system.type": "NACOS", "tests.secret-key-file": str(secret)}


def source_url(servers: Sequence[NacosServer], data_id: str, *, group: str = "dispatch", namespace: str = "") -> str:
    """Return the URL under which a sidecar finds the key."""
    query = f"?namespace={namespace}" if namespace else ""
    return f"nacos://{','.join(server.address for server in servers)}/{group}/{data_id}{query}"
