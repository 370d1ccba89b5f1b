"""A PowerJob that answers as 5.1.1 does, by HTTP, from what a test puts into it; real ones are in tests/powerjob."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from sidecar.powerjob.model import ACTIVE, InstanceStatus, WorkflowStatus

APP = 7
NO_WORKER = "no worker available"
SILENT = "worker report timeout, maybe TaskTracker down"


class FakePowerJob:
    """One application, `billing`, number 7. `calls` has the names of all calls that were answered.

    `password` is what the OpenAPI asks for, if anything; `retried` says what becomes of a run at each retry; `refused`
    are calls with a run's number, such as "retryInstance 7".
    """

    def __init__(self, password: str = "") -> None:
        self.password = password
        self.token = "token-1"
        self.calls: list[str] = []
        self.instances: dict[int, dict[str, Any]] = {}
        self.jobs: dict[int, dict[str, Any]] = {}
        self.workflows: dict[int, dict[str, Any]] = {}
        self.workers: dict[str, dict[str, Any]] = {}
        self.retried: dict[int, list[tuple[InstanceStatus, str]]] = {}
        self.refused: set[str] = set()
        self.queries: list[dict[str, Any]] = []
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def job(self, job: int, **fields: Any) -> None:  # noqa: ANN401 - PowerJob's own
        self.jobs[job] = {"id": job, "jobName": f"job-{job}", "timeExpressionType": 1, "status": 1, **fields}

    def instance(self, number: int, status: InstanceStatus, result: str = "", *, job: int = 1, **fields: Any) -> None:  # noqa: ANN401
        if job not in self.jobs:
            self.job(job)
        self.instances[number] = {
            "instanceId": number,
            "jobId": job,
            "wfInstanceId": None,
            "status": int(status),
            "result": result,
            "taskTrackerAddress": "",
            "gmtModified": round(time.time() * 1000),
            **fields,
        }

    def workflow(self, number: int, status: WorkflowStatus, *nodes: dict[str, Any]) -> None:
        self.workflows[number] = {"status": int(status), "nodes": list(nodes)}

    def worker(self, address: str, where: str, **fields: Any) -> None:  # noqa: ANN401 - PowerJob's own
        now = round(time.time() * 1000)
        metrics = {"systemMetrics": {"extra": where}}
        self.workers[address] = {"address": address, "tag": None, "lastActiveTime": now, **metrics, **fields}

    def named(self, call: str) -> int:
        """Return how often something was called."""
        return self.calls.count(call)

    def answer(self, call: str, given: dict[str, Any]) -> object:
        """Return what a call is answered with. Raises ValueError with PowerJob's words."""
        if f"{call} {given.get('instanceId')}" in self.refused:
            raise ValueError("can't find job info")
        match call:
            case "authApp":
                if given["encryptedPassword"] != hashlib.md5(self.password.encode()).hexdigest():
                    raise ValueError("INCORRECT_PASSWORD")
                return {"appId": APP, "token": self.token}
            case "assert":
                return APP
            case "hello":
                clusters = {str(APP): {"allWorkers": self.workers}}
                return {"serverTimeTs": round(time.time() * 1000), "appId2ClusterInfo": clusters}
            case "queryInstance":
                return {"data": self._page(given)}
            case "fetchJob":
                return _known(self.jobs, given["jobId"], "job")
            case "fetchInstanceInfo":
                return _known(self.instances, given["instanceId"], "instance")
            case "fetchWfInstanceInfo":
                run = _known(self.workflows, given["wfInstanceId"], "workflow instance")
                dag = json.dumps({"nodes": run["nodes"], "edges": []})
                return {"wfInstanceId": int(given["wfInstanceId"]), "status": run["status"], "dag": dag}
            case "stopInstance":
                self._stop(_known(self.instances, given["instanceId"], "instance"))
                return None
            case "retryInstance":
                self._retry(_known(self.instances, given["instanceId"], "instance"))
                return None
            case "retryWfInstance":
                run = _known(self.workflows, given["wfInstanceId"], "workflow instance")
                if run["status"] == WorkflowStatus.RUNNING:
                    raise ValueError("workflow instance is running")
                run["status"] = int(WorkflowStatus.RUNNING)
                return None
        raise ValueError(f"no such call: {call}")

    def _page(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        self.queries.append(query)
        assert query["appIdEq"] == APP
        found = [
            entry
            for number, entry in sorted(self.instances.items())
            if entry["status"] in query["statusIn"]
            and number > query.get("instanceIdGt", 0)
            and entry["gmtModified"] > query.get("gmtModifiedGt", 0)
        ]
        return found[: query["pageSize"]]

    def _stop(self, entry: dict[str, Any]) -> None:
        if entry["status"] not in ACTIVE:
            raise ValueError("can't stop finished instance!")
        entry |= {"status": int(InstanceStatus.STOPPED), "result": "stopped by user"}
        if entry["wfInstanceId"] is not None:
            self.workflows[entry["wfInstanceId"]]["status"] = int(WorkflowStatus.STOPPED)

    def _retry(self, entry: dict[str, Any]) -> None:
        if entry["status"] in ACTIVE:
            raise ValueError("Only stopped instance can be retry!")
        becomes = self.retried.get(entry["instanceId"])
        status, result = becomes.pop(0) if becomes else (InstanceStatus.WAITING_WORKER, "")
        entry |= {"status": int(status), "result": result}


def _known(entries: dict[int, dict[str, Any]], number: str, what: str) -> dict[str, Any]:
    if int(number) not in entries:
        raise ValueError(f"can't find {what} by id: {number}")
    return entries[int(number)]


class _Handler(BaseHTTPRequestHandler):
    fake: FakePowerJob

    def do_GET(self) -> None:
        self._answer(dict(parse_qsl(urlsplit(self.path).query)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = self.headers["Content-Type"].startswith("application/x-www")
        self._answer(dict(parse_qsl(body.decode())) if form else json.loads(body))

    def _answer(self, given: dict[str, Any]) -> None:
        path = urlsplit(self.path).path
        call = path.rpartition("/")[2]
        self.fake.calls.append(call)
        passed = (
            not self.fake.password
            or call == "authApp"
            or not path.startswith("/openApi")
            or (self.headers.get("X-POWERJOB-ACCESS-TOKEN") == self.fake.token and self.headers["X-POWERJOB-APP-ID"])
        )
        try:
            if not passed:
                raise ValueError("token_is_empty")  # noqa: TRY301 - answered below
            said: dict[str, Any] = {"success": True, "data": self.fake.answer(call, given), "message": None}
        except ValueError as error:
            said = {"success": False, "data": None, "message": str(error)}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("X-POWERJOB-AUTH-PASSED", str(bool(passed)).lower())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep silent."""
