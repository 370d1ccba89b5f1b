"""One application of a PowerJob cluster, by PowerJob's OpenAPI."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from sidecar.powerjob.http import ApiResponse, PowerJobRefused, PowerJobServers, PowerJobUnavailable
from sidecar.powerjob.model import Instance, Job, PowerJobWorker, Workflow, instance_of, job_of, worker_of, workflow_of

T = TypeVar("T")

_PAGE = 100
# PowerJob itself takes a worker for lost after this time without a heartbeat.
_LOST_MS = 60_000


class PowerJobApp:
    """An application, by its name, and by its password where PowerJob's OpenAPI asks for one.

    Where it asks for none, the name may also be PowerJob's number of it. Every call raises PowerJobAway where no server
    answers, and PowerJobRefused where PowerJob says no; a wrong password is such a no.
    """

    def __init__(self, servers: PowerJobServers, name: str, password: str = "") -> None:
        self.name = name
        self._servers = servers
        self._password = password
        self._id: int | None = None
        self._headers: dict[str, str] = {}

    @property
    def id(self) -> int:
        """PowerJob's number of it."""
        if self._id is None:
            self._id = self._sign_in()
        return self._id

    def sign_in(self) -> None:
        """Sign in now, and not with the first call: what is refused later is not the password."""
        self._id = self._sign_in()

    def instances(self, statuses: Sequence[int], *, since_ms: int | None = None) -> Iterator[Instance]:
        """Yield the runs with these statuses, the oldest first; those that changed since a time (Unix milliseconds)."""
        query: dict[str, Any] = {"appIdEq": self.id, "statusIn": [int(status) for status in statuses]}
        query |= {"sortBy": "instanceId", "asc": True, "pageSize": _PAGE, "index": 0}
        if since_ms is not None:
            query["gmtModifiedGt"] = since_ms
        while True:
            # By the last id, not by the page's number: what is moved meanwhile leaves the pages.
            page = self._ask("queryInstance", _page, body=query)
            yield from page
            if len(page) < _PAGE:
                return
            query["instanceIdGt"] = page[-1].id

    def instance(self, instance: int) -> Instance:
        """Return how a run stands now."""
        return self._ask("fetchInstanceInfo", instance_of, instanceId=instance)

    def job(self, job: int) -> Job:
        """Return a job."""
        return self._ask("fetchJob", job_of, jobId=job)

    def workflow(self, workflow: int) -> Workflow:
        """Return how a run of a workflow stands now."""
        return self._ask("fetchWfInstanceInfo", workflow_of, wfInstanceId=workflow)

    def retry(self, instance: int) -> None:
        """Have a run that has ended run again, under the same number."""
        self._ask("retryInstance", _nothing, instanceId=instance)

    def stop(self, instance: int) -> None:
        """Take a run for stopped, and tell its worker, if that can hear it."""
        self._ask("stopInstance", _nothing, instanceId=instance)

    def retry_workflow(self, workflow: int) -> None:
        """Have a workflow that failed or was stopped go on: the steps that did not succeed run again."""
        self._ask("retryWfInstance", _nothing, wfInstanceId=workflow)

    def workers(self) -> list[PowerJobWorker]:
        """Return the workers that PowerJob takes for alive."""
        found = {}
        # Each server knows the workers that are connected to it.
        for answer in self._servers.get_of_each("server/hello", debug="true"):
            for worker in self._read(answer, partial(_alive, str(self.id))):
                found[worker.address] = worker
        return list(found.values())

    def _sign_in(self) -> int:
        if not self._password:
            if self.name.isdecimal():
                return int(self.name)
            return self._read(self._servers.get("server/assert", appName=self.name), int)
        # What PowerJob wants to see, over the connection that the operator chose.
        digest = hashlib.md5(self._password.encode(), usedforsecurity=False).hexdigest()
        proof = {"appName": self.name, "encryptedPassword": digest, "encryptType": "md5"}
        number, token = self._read(self._servers.post("openApi/authApp", body=proof), _pass_of)
        self._headers = {"X-POWERJOB-APP-ID": str(number), "X-POWERJOB-ACCESS-TOKEN": token}
        return number

    def _ask(self, call: str, read: Callable[[Any], T], *, body: object = None, **form: object) -> T:
        path = f"openApi/{call}"
        fields = {"appId": self.id, **form} if body is None else None
        answer = self._servers.post(path, form=fields, body=body, headers=self._headers)
        if not answer.signed_in and self._password:
            # The token's time is over, or another server signed it.
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
                "PowerJob's server answers otherwise than PowerJob 5.1 does: is it older?"
            ) from error


def _page(data: Any) -> list[Instance]:  # noqa: ANN401 - as it is told
    return [instance_of(entry) for entry in data["data"]]


def _pass_of(data: Any) -> tuple[int, str]:  # noqa: ANN401 - as it is told
    return int(data["appId"]), str(data["token"])


def _nothing(_: object) -> None:
    return None


def _alive(app: str, data: Any) -> list[PowerJobWorker]:  # noqa: ANN401 - as it is told
    """Return the workers of an application that were heard of within a minute."""
    workers = (data["appId2ClusterInfo"].get(app) or {}).get("allWorkers") or {}
    now_ms = data.get("serverTimeTs")
    return [
        worker_of(entry)
        for entry in workers.values()
        if now_ms is None or now_ms - entry.get("lastActiveTime", now_ms) < _LOST_MS
    ]
