"""The HTTP API of Nacos 2 and 3: servers in turn, login, signatures, and reading the key as a client does."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from sidecar.errors import AccessRefused, RequestNotSent, SourceError
from sidecar.sources.http import HttpAnswer, HttpConnection, ServerAddress
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.directory import ServerDirectory
from sidecar.sources.nacos.url import NacosAddress, NacosKey

T = TypeVar("T")

SERVER_TIMEOUT_S = 3.0
_MODIFIED_RETRIES = 20


@dataclass(frozen=True, slots=True)
class FoundConfig:
    """The key's text for this client, its MD5, and whether it is a gray (beta) version for the client's address."""

    text: bytes
    version: str
    gray: bool = False


@dataclass(frozen=True, slots=True)
class AbsentConfig:
    """The key does not exist, or holds only blanks."""

    reason: str
    version: str = ""


class NacosApi:
    """A client of one cluster: it keeps a connection per server, the access token, and which API version they have.

    For one thread, but for `token`, `served` and `abort`.
    """

    def __init__(
        self, target: NacosKey, credentials: NacosCredentials, tls: ssl.SSLContext | None, address: str = ""
    ) -> None:
        self.target = target
        self._credentials = credentials
        self._address = address
        self._tls = tls
        self._directory = ServerDirectory(target)
        self._servers: tuple[NacosAddress, ...] = ()
        self._connections: list[HttpConnection] = []
        self._current = 0
        self._aborted = False
        self._v3: bool | None = None
        self._token = ""
        self._token_until = 0.0

    @property
    def token(self) -> str:
        """The access token of the last login, "" before one."""
        return self._token

    @property
    def served(self) -> NacosKey:
        """The key with the servers to call now, and its namespace as requests name it."""
        return replace(self.target, servers=self._servers, namespace=self._namespace)

    @property
    def _namespace(self) -> str:
        # Nacos 3 checks signatures of the public namespace under its own id.
        return self.target.namespace or ("public" if self._v3 and self._credentials.has_keys else "")

    @property
    def server(self) -> ServerAddress:
        """The server that is called first: the one that answered last."""
        return self._connections[self._current].server

    def read(self, within: float, *, other_server: bool = False) -> FoundConfig | AbsentConfig:
        """Read the key as a client of this address, within `within` seconds, of which each server gets 3 at most.

        With `other_server` another server than the last one is called first, or the only one over a new connection.
        Raises SourceError.
        """
        if other_server and self._connections:
            self._connections[self._current].close()
            self._current = (self._current + 1) % len(self._connections)
        return self._try_servers(self._read, within)

    def close(self) -> None:
        """Close all connections; the next request makes new ones."""
        self._directory.close()
        for connection in self._connections:
            connection.close()

    def abort(self) -> None:
        """Abort the request under way, from another thread, and refuse all later ones."""
        self._aborted = True
        self._directory.abort()
        for connection in self._connections:
            connection.abort()

    def call(self, method: str, path: str, parameters: Mapping[str, str], within: float, **headers: str) -> HttpAnswer:
        """Call the current server with our credentials, after a login if one is needed. Raises SourceError."""
        deadline = time.monotonic() + within
        if self._credentials.has_login and time.monotonic() > self._token_until:
            self._log_in(deadline)
        answer = self._send(method, path, parameters, deadline, headers)
        if answer.status in {401, 403} and self._credentials.has_login:
            self._log_in(deadline)
            answer = self._send(method, path, parameters, deadline, headers)
        if answer.status in {401, 403}:
            raise AccessRefused(f"{self.server} refuses {method} ({answer.status}): {self._permission_hint()}")
        return answer

    def is_v3(self, within: float) -> bool:
        """Return whether the server has the API of Nacos 3; it is asked once, and again after a server failed."""
        if self._v3 is None:
            connection = self._connections[self._current]
            probe = connection.request("GET", f"{self.target.context}/v3/client/cs/config", headers={}, within=within)
            if probe.status >= 500 and json_of(probe).get("code") is None:
                raise SourceError(f"{self.server} answers with status {probe.status}: {message_of(probe)}")
            # A server that does not know the path answers 404 without a code of its own.
            self._v3 = probe.status != 404 or "code" in json_of(probe)
        return self._v3

    def select_server(self, within: float) -> bool:
        """Make a server that answers the current one; return whether it has the API of Nacos 3. Raises SourceError."""
        return self._try_servers(self.is_v3, within)

    def _try_servers(self, call: Callable[[float], T], within: float) -> T:
        deadline = time.monotonic() + within
        self._use(self._directory.servers(within))
        failures = []
        for _ in self._connections:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return call(min(left, SERVER_TIMEOUT_S))
            except AccessRefused:
                raise
            except SourceError as error:
                failures.append(str(error))
                self._v3 = None
                self._current = (self._current + 1) % len(self._connections)
        self._directory.expire()
        raise SourceError("; ".join(failures) or f"no time left to call {self.server}")

    def _use(self, servers: tuple[NacosAddress, ...]) -> None:
        """Take these servers, with the connections and the choice of the ones that are known."""
        if servers == self._servers:
            return
        known = dict(zip(self._servers, self._connections, strict=True))
        current = self._servers[self._current] if self._servers else None
        self._connections = [
            known.pop(server) if server in known else HttpConnection(server, self._tls, "Nacos") for server in servers
        ]
        self._servers = servers
        if current not in servers:
            self._v3 = None
        self._current = servers.index(current) if current in servers else 0
        for connection in known.values():
            connection.close()
        if self._aborted:
            self.abort()

    def _read(self, within: float) -> FoundConfig | AbsentConfig:
        deadline = time.monotonic() + within
        for _ in range(_MODIFIED_RETRIES):
            if self.is_v3(deadline - time.monotonic()):
                answer = self.call("GET", "/v3/client/cs/config", self.key(), deadline - time.monotonic())
                found = self._from_v3(answer)
            else:
                answer = self.call("GET", "/v1/cs/configs", self.key(), deadline - time.monotonic())
                found = self._from_v1(answer)
            if found is not None:
                return found
            time.sleep(0.05)
        raise SourceError(f"{self.server} keeps answering that the key is being modified")

    def _from_v1(self, answer: HttpAnswer) -> FoundConfig | AbsentConfig | None:
        if answer.status == 200:
            return self._found(answer.body, gray=answer.headers.get("isbeta") == "true")
        if answer.status == 404 and b"config data not exist" in answer.body:
            return self.absent()
        if answer.status == 409:
            return None
        raise SourceError(f"{self.server} answers with status {answer.status}: {message_of(answer)}")

    def _from_v3(self, answer: HttpAnswer) -> FoundConfig | AbsentConfig | None:
        content = json_of(answer)
        data = content.get("data")
        if content.get("code") == 0 and isinstance(data, dict) and isinstance(data.get("content"), str):
            return self._found(data["content"].encode(), gray=data.get("beta") is True)
        if content.get("code") == 20004:
            return self.absent()
        if content.get("code") == 20005:
            return None
        raise SourceError(f"{self.server} answers with status {answer.status}: {message_of(answer)}")

    def _found(self, text: bytes, *, gray: bool) -> FoundConfig | AbsentConfig:
        if not text.strip():
            return AbsentConfig(f"{self._key_name()} holds nothing")
        return FoundConfig(text, md5(text), gray)

    def absent(self) -> AbsentConfig:
        """Return the report that there is no such key."""
        return AbsentConfig(f"{self._key_name()} does not exist: publish it, or check the names and the namespace's id")

    def _key_name(self) -> str:
        target = self.target
        namespace = f"namespace {target.namespace}" if target.namespace else "the public namespace"
        return f"data id {target.data_id} of group {target.group} in {namespace}"

    def key(self) -> dict[str, str]:
        """Return the parameters that name the key."""
        target = self.target
        group, namespace = ("groupName", "namespaceId") if self._v3 else ("group", "tenant")
        named = {"dataId": target.data_id, group: target.group}
        return {**named, namespace: self._namespace} if self._namespace else named

    def _send(
        self, method: str, path: str, parameters: Mapping[str, str], deadline: float, headers: Mapping[str, str]
    ) -> HttpAnswer:
        sent = dict(headers)
        if method == "GET" and self._address:
            # The address that the SDK reports over gRPC: both channels then get the same gray version.
            sent["X-Real-IP"] = self._address
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        if self._credentials.has_keys:
            resource = "+".join(filter(None, (self._namespace, self.target.group)))
            sent |= self._credentials.signature(resource, str(time.time_ns() // 1_000_000))
        return self._exchange(method, path, parameters, deadline, sent)

    def _exchange(
        self, method: str, path: str, parameters: Mapping[str, str], deadline: float, headers: dict[str, str]
    ) -> HttpAnswer:
        encoded = urlencode(parameters)
        body = None
        address = self.target.context + path
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
            body = encoded.encode()
        else:
            address += f"?{encoded}"
        within = max(deadline - time.monotonic(), 0.0)
        return self._connections[self._current].request(method, address, headers=headers, body=body, within=within)

    def _log_in(self, deadline: float) -> None:
        user, password = self._credentials.login()
        path = "/v3/auth/user/login" if self.is_v3(max(deadline - time.monotonic(), 0.0)) else "/v1/auth/login"
        answer = self._exchange("POST", path, {"username": user, "password": password}, deadline, {})
        content = json_of(answer)
        token = content.get("accessToken")
        if answer.status != 200 or not isinstance(token, str) or not token:
            self._token, self._token_until = "", 0.0
            raise self._login_error(user, answer)
        life = content.get("tokenTtl")
        self._token = token
        self._token_until = time.monotonic() + 0.8 * (life if isinstance(life, (int, float)) else 18_000)

    def _login_error(self, user: str, answer: HttpAnswer) -> SourceError:
        """Return the cause of a failed login: Nacos 3 answers right and wrong passwords alike in some states."""
        if self._v3 and answer.status == 500:
            return RequestNotSent(
                f"{self.server} answers the login of {user!r} with status 500, as Nacos 3 does for a wrong password: "
                "check user and password; if both are right, see the log of Nacos"
            )
        if self._v3 and answer.status == 403:
            return RequestNotSent(
                f"{self.server} refuses the login of {user!r} (403): check user and password; a Nacos 3 that has just "
                "started refuses right ones for some seconds too"
            )
        if answer.status in {0, 401, 403} or b"not found" in answer.body or b"unknown user" in answer.body:
            return AccessRefused(f"{self.server} refuses the user {user!r} or the password: check both")
        return SourceError(f"{self.server} answers the login of {user!r} with status {answer.status}")

    def _permission_hint(self) -> str:
        if self._credentials.has_login:
            return f"the user {self._credentials.login()[0]!r} may not; give its role the permission"
        if self._credentials.has_keys:
            return "the access key may not, or its secret key is wrong"
        return "it wants credentials; set DC_SIDECAR_NACOS_USERNAME and DC_SIDECAR_NACOS_PASSWORD_FILE"


def stored_config(api: NacosApi, deadline: float) -> dict[str, Any]:
    """Return the key as the database has it, unaffected by a lagging member and by gray versions; empty for none."""
    v3 = api.is_v3(remaining_s(deadline))
    path, more = ("/v3/admin/cs/config", {}) if v3 else ("/v1/cs/configs", {"show": "all"})
    answer = api.call("GET", path, {**api.key(), **more}, remaining_s(deadline))
    if json_of(answer).get("code") == 20004 or (answer.status in {200, 404} and not answer.body.strip(b" \r\nnul")):
        return {}
    return object_of(api, answer, v3=v3)


def ordinary_config(api: NacosApi, deadline: float) -> FoundConfig | AbsentConfig:
    """Return the key's ordinary version as the database has it, also where a gray version is served here."""
    content = str(stored_config(api, deadline).get("content") or "")
    return FoundConfig(content.encode(), md5(content.encode())) if content.strip() else api.absent()


def object_of(api: NacosApi, answer: HttpAnswer, *, v3: bool) -> dict[str, Any]:
    """Return the object in a response, without the envelope of Nacos 3. Raises SourceError if there is none."""
    content = json_of(answer)
    data = content.get("data") if v3 else content
    if answer.status != 200 or not isinstance(data, dict) or not data:
        raise SourceError(f"{api.server} answers with status {answer.status}: {message_of(answer)}")
    return data


def remaining_s(deadline: float) -> float:
    """Return the seconds until a deadline of the monotonic clock, 0 once it has passed."""
    return max(deadline - time.monotonic(), 0.0)


def md5(text: bytes) -> str:
    """Return the digest by which Nacos identifies a text."""
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def json_of(answer: HttpAnswer) -> dict[str, Any]:
    """Return the JSON object in a response, an empty one for anything else."""
    try:
        content = json.loads(answer.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def message_of(answer: HttpAnswer) -> str:
    """Return the server's own error message in one line of at most 200 characters."""
    content = json_of(answer)
    message = content.get("message") or content.get("error") or answer.body[:200].decode("utf-8", "replace")
    return " ".join(str(message).split())[:200] or "no message"
