"""A real Nacos 3, console included, as it is started for the tests, and what an operator does with it over HTTP."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.servers.maven import runtime_jars
from tests.servers.nacos.server import ACCESS_KEYS, NacosServer, NotFound, Operator, authentication
from tests.servers.process import LOOPBACK

_POM = Path(__file__).with_name("pom.xml")
_CONSOLE_OFFSET = -500


class Nacos3Server(NacosServer):
    """One Nacos 3 on loopback, standalone; its console has a port of its own. Without users unless told otherwise."""

    PORTS = (*NacosServer.PORTS, _CONSOLE_OFFSET, -1000)
    PUBLIC = "public"

    @property
    def console(self) -> str:
        return f"http://{LOOPBACK}:{self.port + _CONSOLE_OFFSET}/"

    def _operator(self, tls: ssl.SSLContext | None) -> Operator3:
        return Operator3(self.port, tls=tls)

    def _settings(self) -> dict[str, str]:
        return {
            "nacos.server.main.port": str(self.port),
            "nacos.console.port": str(self.port + _CONSOLE_OFFSET),
            "nacos.deployment.type": "merged",
            "nacos.core.auth.system.type": "nacos",
            "nacos.remote.grpc.listen.ip": LOOPBACK,
            **{f"nacos.core.auth.{part}enabled": "false" for part in ("", "admin.", "console.")},
        }

    @classmethod
    def _jars(cls) -> Path:
        return runtime_jars(_POM, ACCESS_KEYS, *sorted(ACCESS_KEYS.parent.glob("META-INF/services/*")))

    def _program(self) -> list[str]:
        jars = self._jars()
        # In this order, or it dies with NoSuchMethodError when it starts.
        first = [f"{jars}/{name}" for name in ("classes.jar", "hessian-4.0.63.jar", "nacos-config-3.1.0-bugfix.jar")]
        return ["-cp", ":".join([*first, f"{jars}/*"]), "Nacos3"]


class Operator3(Operator):
    """Works with a Nacos 3 over its administration's interface, as its console does."""

    def ready(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port + _CONSOLE_OFFSET), timeout=1):
                return self._ask("GET", "/v3/admin/core/state/readiness", {})[0] == 200
        except OSError:
            return False

    def log_in(self, user: str = "nacos", password: str = "nacos") -> None:
        answer = self._do("POST", "/v3/auth/user/login", {"username": user, "password": password})
        self._token = json.loads(answer)["accessToken"]

    def create_administrator(self) -> None:
        """Create the user nacos with the password nacos, whom Nacos 3 does not have before."""
        self._do("POST", "/v3/auth/user/admin", {"password": "nacos"})

    def publish(self, data_id: str, text: str, *, gray_for: str = "", **fields: str) -> None:
        headers = {"betaIps": gray_for} if gray_for else {}
        fields = {{"config_tags": "configTags", "src_user": "srcUser"}.get(name, name): fields[name] for name in fields}
        assert self._admin("POST", "cs/config", {**self._key(data_id), "content": text, **fields}, headers) is True

    def end_gray(self, data_id: str) -> None:
        self._admin("DELETE", "cs/config/beta", self._key(data_id))

    def delete(self, data_id: str) -> None:
        self._admin("DELETE", "cs/config", self._key(data_id))

    def stored(self, data_id: str) -> dict[str, Any]:
        with suppress(NotFound):
            return dict(self._admin("GET", "cs/config", self._key(data_id)))
        return {}

    def listeners(self, data_id: str) -> dict[str, str]:
        return dict(self._admin("GET", "cs/config/listener", self._key(data_id))["listenersStatus"])

    def create_namespace(self, identifier: str) -> None:
        self._admin("POST", "core/namespace", {"namespaceId": identifier, "namespaceName": identifier})

    def create_user(self, user: str, password: str, role: str, *, action: str, namespace: str = "") -> None:
        self._do("POST", "/v3/auth/user", {"username": user, "password": password})
        self._do("POST", "/v3/auth/role", {"role": role, "username": user})
        resource = f"{namespace or 'public'}:*:*"
        self._do("POST", "/v3/auth/permission", {"role": role, "resource": resource, "action": action})

    def change_password(self, user: str, password: str) -> None:
        """Replace the user: this server refuses its administrator a change of somebody else's password (403)."""
        self._do("DELETE", "/v3/auth/user", {"username": user})
        self._do("POST", "/v3/auth/user", {"username": user, "password": password})

    def _key(self, data_id: str) -> dict[str, str]:
        return {"dataId": data_id, "groupName": self.group, "namespaceId": self.namespace}

    def _admin(
        self, method: str, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Any:  # noqa: ANN401 - whatever the answer holds
        answer = json.loads(self._do(method, f"/v3/admin/{path}", fields, headers))
        assert answer["code"] == 0, answer
        return answer["data"]


def authentication3(*, token_life: int = 18_000, secret: bytes | None = None) -> dict[str, str]:
    """Return the settings of a server with users; `token_life` in seconds. It has none until its first is created."""
    on = {f"nacos.core.auth.{part}enabled": "true" for part in ("", "admin.", "console.")}
    return {**authentication(token_life=token_life, secret=secret), **on}
