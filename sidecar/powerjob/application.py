"""One application of a PowerJob cluster, by PowerJob's OpenAPI."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sidecar.powerjob.http import Answer, PowerJobRefused, Servers
from sidecar.powerjob.model import Instance, Job, Worker, Workflow, instance_of, job_of, node_of, worker_of

_PAGE = 100
# PowerJob itself takes a worker for lost after this time without a heartbeat.
_LOST_MS = 60_000


class Application:
    """An application, by its name, and by its password where PowerJob's OpenAPI asks for one.

    Where it asks for none, the name may also be PowerJob's number of it. Every call raises PowerJobAway where no server
    answers, and PowerJobRefused where PowerJob says no; a wrong password is such a no.
    """

    def __init__(self, servers: Servers, name: str, password: str = "") -> None:
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

    def instances(self, statuses: Sequence[int], *, since_ms: int | None = None) -> Iterator[Instance]:
        """Yield the runs with these statuses, the oldest first; those that changed since a time (Unix milliseconds)."""
        query: dict[str, Any] = {"appIdEq": self.id, "statusIn": [int(status) for status in statuses]}
        query |= {"sortBy": "instanceId", "asc": True, "pageSize": _PAGE, "index": 0}
        if since_ms is not None:
            query["gmtModifiedGt"] = since_ms
        while True:
            # By the last id, not by the page's number: what is moved meanwhile leaves the pages.
            page = [instance_of(entry) for entry in self._ask("queryInstance", body=query)["data"]]
            yield from page
            if len(page) < _PAGE:
                return
            query["instanceIdGt"] = page[-1].id

    def instance(self, instance: int) -> Instance:
        """Return how a run stands now."""
        return instance_of(self._ask("fetchInstanceInfo", instanceId=instance))

    def job(self, job: int) -> Job:
        """Return a job."""
        return job_of(self._ask("fetchJob", jobId=job))

    def workflow(self, workflow: int) -> Workflow:
        """Return how a run of a workflow stands now."""
        data = self._ask("fetchWfInstanceInfo", wfInstanceId=workflow)
        nodes = json.loads(data.get("dag") or "{}").get("nodes") or ()
        return Workflow(id=workflow, status=int(data["status"]), nodes=tuple(map(node_of, nodes)))

    def retry(self, instance: int) -> None:
        """Have a run that has ended run again, under the same number."""
        self._ask("retryInstance", instanceId=instance)

    def stop(self, instance: int) -> None:
        """Take a run for stopped, and tell its worker, if that can hear it."""
        self._ask("stopInstance", instanceId=instance)

    def retry_workflow(self, workflow: int) -> None:
        """Have a workflow that failed or was stopped go on: the steps that did not succeed run again."""
        self._ask("retryWfInstance", wfInstanceId=workflow)

    def workers(self) -> list[Worker]:
        """Return the workers that PowerJob takes for alive."""
        found = {}
        for answer in self._servers.get_of_each("server/hello", debug="true"):
            if not isinstance(answer.data, Mapping):
                continue
            # Each server knows the workers that are connected to it; they tell their own clock's time.
            cluster = (answer.data.get("appId2ClusterInfo") or {}).get(str(self.id)) or {}
            now_ms = answer.data.get("serverTimeTs")
            for entry in (cluster.get("allWorkers") or {}).values():
                if now_ms is None or now_ms - entry.get("lastActiveTime", now_ms) < _LOST_MS:
                    found[entry["address"]] = worker_of(entry)
        return list(found.values())

    def _sign_in(self) -> int:
        if not self._password:
            if self.name.isdecimal():
                return int(self.name)
            return int(self._told(self._servers.get("server/assert", appName=self.name)))
        # What PowerJob wants to see, over the connection that the operator chose.
        digest = hashlib.md5(self._password.encode(), usedforsecurity=False).hexdigest()
        proof = {"appName": self.name, "encryptedPassword": digest, "encryptType": "md5"}
        told = self._told(self._servers.post("openApi/authApp", body=proof))
        self._headers = {"X-POWERJOB-APP-ID": str(told["appId"]), "X-POWERJOB-ACCESS-TOKEN": told["token"]}
        return int(told["appId"])

    def _ask(self, call: str, *, body: object = None, **form: object) -> Any:  # noqa: ANN401 - as it is told
        path = f"openApi/{call}"
        fields = {"appId": self.id, **form} if body is None else None
        answer = self._servers.post(path, form=fields, body=body, headers=self._headers)
        if not answer.signed_in and self._password:
            # The token's time is over, or another server signed it.
            self._id = self._sign_in()
            answer = self._servers.post(path, form=fields, body=body, headers=self._headers)
        return self._told(answer)

    def _told(self, answer: Answer) -> Any:  # noqa: ANN401 - as it is told
        if answer.success:
            return answer.data
        if not answer.signed_in and not self._password:
            raise PowerJobRefused(f"application {self.name}: PowerJob asks for its password: name a file that holds it")
        raise PowerJobRefused(f"application {self.name}: PowerJob says: {answer.message or 'no'}")
