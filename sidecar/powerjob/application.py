"""An application of a PowerJob cluster: its runs, jobs, workflows and workers, by PowerJob's OpenAPI."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from sidecar.errors import PowerJobRefused, PowerJobUnavailable
from sidecar.powerjob.http import ApiResponse, PowerJobServers
from sidecar.powerjob.model import Instance, Job, PowerJobWorker, Workflow, instance_of, job_of, worker_of, workflow_of

T = TypeVar("T")

_PAGE = 100
# PowerJob itself considers a worker lost after this time without a heartbeat.
_LOST_MS = 60_000


class PowerJobApp:
    """An application by its name, and its password if PowerJob's OpenAPI requires one.

    Without a password the name may also be PowerJob's id. Each call raises PowerJobUnavailable if no server answers,
    and PowerJobRefused if PowerJob answers with a failure, such as for a wrong password.
    """

    def __init__(self, servers: PowerJobServers, name: str, password: str = "") -> None:
        self.name = name
        self._servers = servers
        self._password = password
        self._id: int | None = None
        self._headers: dict[str, str] = {}

    @property
    def id(self) -> int:
        """PowerJob's id of the application."""
        if self._id is None:
            self._id = self._sign_in()
        return self._id

    def sign_in(self) -> None:
        """Sign in before the first call, which makes a wrong password known for what it is."""
        self._id = self._sign_in()

    def instances(self, statuses: Sequence[int], *, since_ms: int | None = None) -> Iterator[Instance]:
        """Yield the runs with these statuses, oldest first; those changed since `since_ms` (Unix milliseconds)."""
        query: dict[str, Any] = {"appIdEq": self.id, "statusIn": [int(status) for status in statuses]}
        query |= {"sortBy": "instanceId", "asc": True, "pageSize": _PAGE, "index": 0}
        if since_ms is not None:
            query["gmtModifiedGt"] = since_ms
        while True:
            # Pages are by the last id, not by number: runs that are moved meanwhile drop out of the result.
            try:
                page = self._call("queryInstance", _page, body=query)
            except PowerJobRefused:
                self._check_version()
                raise
            yield from page
            if len(page) < _PAGE:
                return
            query["instanceIdGt"] = page[-1].id

    def instance(self, instance: int) -> Instance:
        """Return a run."""
        return self._call("fetchInstanceInfo", instance_of, instanceId=instance)

    def job(self, job: int) -> Job:
        """Return a job."""
        return self._call("fetchJob", job_of, jobId=job)

    def workflow(self, workflow: int) -> Workflow:
        """Return a run of a workflow."""
        return self._call("fetchWfInstanceInfo", workflow_of, wfInstanceId=workflow)

    def retry(self, instance: int) -> None:
        """Retry a run that has ended, under the same id."""
        self._call("retryInstance", _nothing, instanceId=instance)

    def stop(self, instance: int) -> None:
        """Mark a run as stopped, and stop it on its worker, if that is reachable."""
        self._call("stopInstance", _nothing, instanceId=instance)

    def retry_workflow(self, workflow: int) -> None:
        """Retry a workflow that failed or was stopped: the steps that did not succeed run again."""
        self._call("retryWfInstance", _nothing, wfInstanceId=workflow)

    def workers(self) -> list[PowerJobWorker]:
        """Return the workers that PowerJob considers alive."""
        found = {}
        # Each server knows only the workers that are connected to it.
        for answer in self._servers.get_from_each("server/hello", debug="true"):
            for worker in self._read(answer, partial(_live_workers, str(self.id))):
                found[worker.address] = worker
        return list(found.values())

    def _check_version(self) -> None:
        """Raise PowerJobUnavailable for a PowerJob that cannot list instances by status and time."""
        server = (self._servers.get("server/hello").data or {}).get("serverInfo") or {}
        version = str(server.get("version") or "")
        if version.startswith("4."):
            raise PowerJobUnavailable(
                f"PowerJob {version} cannot list instances by status and time: expected PowerJob 5.1 or later; "
                "retry them in PowerJob's console"
            )

    def _sign_in(self) -> int:
        if not self._password:
            if self.name.isdecimal():
                return int(self.name)
            return self._read(self._servers.get("server/assert", appName=self.name), int)
        # The form of the password that PowerJob requires.
        digest = hashlib.md5(self._password.encode(), usedforsecurity=False).hexdigest()
        proof = {"appName": self.name, "encryptedPassword": digest, "encryptType": "md5"}
        number, token = self._read(self._servers.post("openApi/authApp", body=proof), _login_of)
        self._headers = {"X-POWERJOB-APP-ID": str(number), "X-POWERJOB-ACCESS-TOKEN": token}
        return number

    def _call(self, name: str, read: Callable[[Any], T], *, body: object = None, **form: object) -> T:
        path = f"openApi/{name}"
        fields = {"appId": self.id, **form} if body is None else None
        answer = self._servers.post(path, form=fields, body=body, headers=self._headers)
        if not answer.signed_in and self._password:
            # The token has expired, or another server signed it.
            self._id = self._sign_in()
            answer = self._servers.post(path, form=fields, body=body, headers=self._headers)
        return self._read(answer, read)

    def _read(self, answer: ApiResponse, read: Callable[[Any], T]) -> T:
        if not answer.success:
            if not answer.signed_in and not self._password:
                raise PowerJobRefused(f"application {self.name}: PowerJob asks for its password: name its file")
            raise PowerJobRefused(f"application {self.name}: PowerJob says: {answer.message or 'no'}")
        try:
            return read(answer.data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PowerJobUnavailable(
                "PowerJob's server answers in another form than PowerJob 5.1: expected PowerJob 5.1 or later"
            ) from error


def _page(data: Any) -> list[Instance]:  # noqa: ANN401 - JSON
    return [instance_of(entry) for entry in data["data"]]


def _login_of(data: Any) -> tuple[int, str]:  # noqa: ANN401 - JSON
    return int(data["appId"]), str(data["token"])


def _nothing(_: object) -> None:
    return None


def _live_workers(app: str, data: Any) -> list[PowerJobWorker]:  # noqa: ANN401 - JSON
    """Return the workers of an application with a heartbeat within the last minute."""
    workers = (data["appId2ClusterInfo"].get(app) or {}).get("allWorkers") or {}
    now_ms = data.get("serverTimeTs")
    return [
        worker_of(entry)
        for entry in workers.values()
        if now_ms is None or now_ms - entry.get("lastActiveTime", now_ms) < _LOST_MS
    ]
