"""What the sidecar asks of Nacos over HTTP: read the key as a client, publish it, list its history; 2.x and 3.x."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from sidecar.errors import SourceError
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.http import HttpConnection, HttpResponse
from sidecar.sources.nacos.url import NacosAddress, NacosKey

T = TypeVar("T")

SERVER_LIMIT = 3.0
_MODIFIED_RETRIES = 20


@dataclass(frozen=True, slots=True)
class FoundConfig:
    """What the key holds for this client: the text, its MD5, whether it is a gray (beta) version for its address."""

    text: bytes
    version: str
    gray: bool = False


@dataclass(frozen=True, slots=True)
class AbsentConfig:
    """There is no such key, or it holds nothing but blanks."""

    reason: str
    version: str = ""


class AccessRefused(SourceError):
    """The server does not let us: another server of the cluster would not either."""


class NacosApi:
    """One client's view of the cluster: the servers in turn, the session's token, the generation of the interface.

    Not for several threads at once, `token` and `abort` excepted.
    """

    def __init__(
        self, target: NacosKey, credentials: NacosCredentials, tls: ssl.SSLContext | None, address: str = ""
    ) -> None:
        self.target = target
        self._credentials = credentials
        self._address = address
        self._connections = [HttpConnection(server, tls) for server in target.servers]
        self._current = 0
        self._v3: bool | None = None
        self._token = ""
        self._token_until = 0.0

    @property
    def token(self) -> str:
        """The access token of the last login, empty where none was needed."""
        return self._token

    @property
    def server(self) -> NacosAddress:
        """The server that is asked first, which is the one that answered last."""
        return self._connections[self._current].server

    def read(self, within: float, *, elsewhere: bool = False) -> FoundConfig | AbsentConfig:
        """Return what the key holds for a client of this address; asks each server for 3 s at most, `within` in all.

        With `elsewhere` another server than the last one is asked first, or the same over a new connection. Raises
        SourceError.
        """
        if elsewhere:
            self._connections[self._current].close()
            self._current = (self._current + 1) % len(self._connections)
        return self._in_turn(self._read, within)

    def close(self) -> None:
        """Let go of all connections; another request makes new ones."""
        for connection in self._connections:
            connection.close()

    def abort(self) -> None:
        """End what is under way, from another thread, for good."""
        for connection in self._connections:
            connection.abort()

    def call(
        self, method: str, path: str, parameters: Mapping[str, str], within: float, **headers: str
    ) -> HttpResponse:
        """Ask the server whose turn it is, as whoever we are; logs in where that is needed. Raises SourceError."""
        deadline = time.monotonic() + within
        if self._credentials.has_login and time.monotonic() > self._token_until:
            self._log_in(deadline)
        answer = self._send(method, path, parameters, deadline, headers)
        if answer.status in {401, 403} and self._credentials.has_login:
            self._log_in(deadline)
            answer = self._send(method, path, parameters, deadline, headers)
        if answer.status in {401, 403}:
            raise AccessRefused(f"{self.server} refuses {method} ({answer.status}): {self._whom()}")
        return answer

    def is_v3(self, within: float) -> bool:
        """Tell whether the server speaks the interface of Nacos 3; asked once, and again after a server was lost."""
        if self._v3 is None:
            connection = self._connections[self._current]
            probe = connection.request("GET", f"{self.target.context}/v3/client/cs/config", headers={}, within=within)
            if probe.status >= 500 and json_of(probe).get("code") is None:
                raise SourceError(f"{self.server} answers with status {probe.status}: {words_of(probe)}")
            # A server that does not know the path answers 404 without a code of its own.
            self._v3 = probe.status != 404 or "code" in json_of(probe)
        return self._v3

    def select_server(self, within: float) -> bool:
        """Find a server that answers, which `call` then asks; tell whether it speaks the interface of Nacos 3."""
        return self._in_turn(self.is_v3, within)

    def _in_turn(self, ask: Callable[[float], T], within: float) -> T:
        deadline = time.monotonic() + within
        failures = []
        for _ in self._connections:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return ask(min(left, SERVER_LIMIT))
            except AccessRefused:
                raise
            except SourceError as error:
                failures.append(str(error))
                self._v3 = None
                self._current = (self._current + 1) % len(self._connections)
        raise SourceError("; ".join(failures) or f"no time left to ask {self.server}")

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
        raise SourceError(f"{self.server} says again and again that the key is being modified")

    def _from_v1(self, answer: HttpResponse) -> FoundConfig | AbsentConfig | None:
        if answer.status == 200:
            return self._found(answer.body, gray=answer.headers.get("isbeta") == "true")
        if answer.status == 404 and b"config data not exist" in answer.body:
            return self._absent()
        if answer.status == 409:
            return None
        raise SourceError(f"{self.server} answers with status {answer.status}: {words_of(answer)}")

    def _from_v3(self, answer: HttpResponse) -> FoundConfig | AbsentConfig | None:
        content = json_of(answer)
        data = content.get("data")
        if content.get("code") == 0 and isinstance(data, dict) and isinstance(data.get("content"), str):
            return self._found(data["content"].encode(), gray=data.get("beta") is True)
        if content.get("code") == 20004:
            return self._absent()
        if content.get("code") == 20005:
            return None
        raise SourceError(f"{self.server} answers with status {answer.status}: {words_of(answer)}")

    def _found(self, text: bytes, *, gray: bool) -> FoundConfig | AbsentConfig:
        if not text.strip():
            return AbsentConfig(f"{self._name()} holds nothing")
        return FoundConfig(text, md5(text), gray)

    def _absent(self) -> AbsentConfig:
        return AbsentConfig(f"{self._name()} does not exist: publish it, or check the names and the namespace's id")

    def _name(self) -> str:
        target = self.target
        namespace = f"namespace {target.namespace}" if target.namespace else "the public namespace"
        return f"data id {target.data_id} of group {target.group} in {namespace}"

    def key(self) -> dict[str, str]:
        """Return the parameters that name the key."""
        target = self.target
        group, namespace = ("groupName", "namespaceId") if self._v3 else ("group", "tenant")
        named = {"dataId": target.data_id, group: target.group}
        return {**named, namespace: target.namespace} if target.namespace else named

    def _send(
        self, method: str, path: str, parameters: Mapping[str, str], deadline: float, headers: Mapping[str, str]
    ) -> HttpResponse:
        sent = dict(headers)
        if method == "GET" and self._address:
            # The address that the SDK reports over gRPC, so that both channels see the same gray version.
            sent["X-Real-IP"] = self._address
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        if self._credentials.has_keys:
            resource = "+".join(filter(None, (self.target.namespace, self.target.group)))
            sent |= self._credentials.signature(resource, str(time.time_ns() // 1_000_000))
        return self._exchange(method, path, parameters, deadline, sent)

    def _exchange(
        self, method: str, path: str, parameters: Mapping[str, str], deadline: float, headers: dict[str, str]
    ) -> HttpResponse:
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
            if answer.status in {0, 401, 403} or b"not found" in answer.body or b"unknown user" in answer.body:
                raise AccessRefused(f"{self.server} refuses the user {user!r} or the password: check both")
            raise SourceError(f"{self.server} answers the login of {user!r} with status {answer.status}")
        life = content.get("tokenTtl")
        self._token = token
        self._token_until = time.monotonic() + 0.8 * (life if isinstance(life, (int, float)) else 18_000)

    def _whom(self) -> str:
        if self._credentials.has_login:
            return f"the user {self._credentials.login()[0]!r} may not; give its role the permission"
        if self._credentials.has_keys:
            return "the access key may not, or its secret key is wrong"
        return "it wants credentials; set DC_SIDECAR_NACOS_USERNAME and DC_SIDECAR_NACOS_PASSWORD_FILE"


def stored_config(api: NacosApi, deadline: float) -> dict[str, Any]:
    """Return the key as the database has it, which a member's lag and gray versions do not touch; empty for none."""
    v3 = api.is_v3(remaining_s(deadline))
    path, more = ("/v3/admin/cs/config", {}) if v3 else ("/v1/cs/configs", {"show": "all"})
    answer = api.call("GET", path, {**api.key(), **more}, remaining_s(deadline))
    if json_of(answer).get("code") == 20004 or (answer.status in {200, 404} and not answer.body.strip(b" \r\nnul")):
        return {}
    return object_of(api, answer, v3=v3)


def object_of(api: NacosApi, answer: HttpResponse, *, v3: bool) -> dict[str, Any]:
    """Return the object that an answer carries, without the envelope of Nacos 3. Raises SourceError for none."""
    content = json_of(answer)
    data = content.get("data") if v3 else content
    if answer.status != 200 or not isinstance(data, dict) or not data:
        raise SourceError(f"{api.server} answers with status {answer.status}: {words_of(answer)}")
    return data


def remaining_s(deadline: float) -> float:
    """Return the seconds until a deadline of the monotonic clock, 0 once it has passed."""
    return max(deadline - time.monotonic(), 0.0)


def md5(text: bytes) -> str:
    """Return the digest that Nacos itself keeps of a text."""
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def json_of(answer: HttpResponse) -> dict[str, Any]:
    """Return the JSON object that an answer holds, empty for anything else."""
    try:
        content = json.loads(answer.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def words_of(answer: HttpResponse) -> str:
    """Return what an answer says in its own words, short and in one line."""
    content = json_of(answer)
    words = content.get("message") or content.get("error") or answer.body[:200].decode("utf-8", "replace")
    return " ".join(str(words).split())[:200] or "without a word"
