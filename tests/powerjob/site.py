"""Three datacenters with real workers, the scheduler, the sidecar, and the routing document they follow."""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import grpc

from sidecar.pb.dcsidecar.v1 import routing_pb2
from tests.powerjob.scheduler import Scheduler
from tests.powerjob.worker import Run, Worker, places
from tests.servers.process import ServerProcess
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.powerjob.build import Artifacts

# dc3's workers say nothing of themselves: the sidecar knows them by their address. dc4 has no workers.
DATACENTERS = "datacenters: {dc1: {}, dc2: {}, dc3: {cidrs: [127.0.3.0/24]}, dc4: {}}\n"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM of a server's certificate and of whom to trust.

    With a `policy` clients need a certificate too: `NAME.pem` and `NAME.key` beside the policy. Tests are `operator`.
    """

    ca: Path
    certificate: Path
    key: Path
    policy: Path | None = None

    def credentials(self, name: str) -> grpc.ChannelCredentials:
        """Return what a client connects with."""
        if self.policy is None:
            return grpc.ssl_channel_credentials(self.ca.read_bytes())
        key, certificate = (self.policy.with_name(f"{name}.{end}").read_bytes() for end in ("key", "pem"))
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), key, certificate)

    def flags(self) -> list[str]:
        """Return the flags of the sidecar."""
        flags = ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]
        return flags if self.policy is None else [*flags, "--tls-client-ca", str(self.ca), "--policy", str(self.policy)]


class Sidecar(ServerProcess):
    """The sidecar as it is installed, following a file; with `reactions`, as JSON, it has a state directory too."""

    def __init__(
        self, folder: Path, *, listen: str, tls: Tls | None = None, reactions: object = None, http: str = ""
    ) -> None:
        self.document = folder / "routing.yaml"
        self.document.write_text(DATACENTERS + "default: dc1\n")
        self._listen = listen
        self._tls = tls
        command = [sys.executable, "-m", "sidecar", "serve", "--source", f"file:{self.document}", "--listen", listen]
        if tls is not None:
            command += tls.flags()
        if http:
            command += ["--http", http]
        self.state_dir = folder / "state"
        if reactions is not None:
            config = folder / "sidecar.yaml"
            config.write_text(json.dumps({"reactions": reactions}))
            command += ["--config", str(config), "--state-dir", str(self.state_dir)]
        super().__init__(command, ready=self._is_ready, log=folder / "sidecar.log", within=30)

    def status(self, caller: str = "operator") -> routing_pb2.SidecarStatus:
        """Return the status; with TLS `caller` is who asks."""
        with self._channel(caller) as channel:
            call = channel.unary_unary(
                "/dcsidecar.v1.RoutingService/GetStatus",
                request_serializer=routing_pb2.GetStatusRequest.SerializeToString,
                response_deserializer=routing_pb2.SidecarStatus.FromString,
            )
            status = call(routing_pb2.GetStatusRequest(), timeout=5)
            assert isinstance(status, routing_pb2.SidecarStatus)
            return status

    def decide(self, app: str, job: int, workers: Mapping[str, str], aliases: Iterable[str] = ()) -> str:
        """Ask past the scheduler in which datacenter a job runs; `workers` maps addresses to metrics."""
        request = routing_pb2.FilterWorkersRequest(
            app=app,
            app_aliases=aliases,
            job=str(job),
            candidates=[routing_pb2.Worker(address=address, metrics=where) for address, where in workers.items()],
        )
        with self._channel() as channel:
            call = channel.unary_unary(
                "/dcsidecar.v1.RoutingService/FilterWorkers",
                request_serializer=routing_pb2.FilterWorkersRequest.SerializeToString,
                response_deserializer=routing_pb2.FilterWorkersResponse.FromString,
            )
            return str(call(request, timeout=5).datacenter)

    def put(self, text: str) -> None:
        """Put a document in force, `datacenters` before it."""
        text = DATACENTERS + text
        fresh = self.document.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.document)
        revision = hashlib.sha256(text.encode()).hexdigest()[:12]
        eventually(lambda: self.status().revision == revision, f"the sidecar serves {revision}")

    def wait_until_followed(self, scheduler: Scheduler) -> None:
        """Wait until the adapter in a scheduler decides as this sidecar would now."""
        eventually(lambda: scheduler.metric("generation") == self.status().generation, "the adapter follows")

    def _channel(self, caller: str = "operator") -> grpc.Channel:
        if self._tls is None:
            return grpc.insecure_channel(self._listen)
        return grpc.secure_channel(self._listen, self._tls.credentials(caller))

    def _is_ready(self) -> bool:
        try:
            return bool(self.status().revision)
        except grpc.RpcError:
            return False


class Site:
    """Everything, started, with one job that a clock triggers each second (`clockwork`).

    `route` changes the document and returns when the scheduler's adapter follows it.
    """

    def __init__(self, artifacts: Artifacts, folder: Path) -> None:
        self._stack = ExitStack()
        self._artifacts = artifacts
        self._folder = folder
        listen = f"unix:{folder / 'sidecar.sock'}"
        self.sidecar = Sidecar(folder, listen=listen)
        self.database = folder / "database"
        self.scheduler = Scheduler(
            artifacts,
            folder / "scheduler",
            database=self.database,
            dc_sidecar__target=listen,
            dc_sidecar__on_no_worker="hold",
            # Where the tests' machine is busy, a job that goes anywhere after 200 ms would look like a wrong route.
            dc_sidecar__timeout="10s",
        )
        self.app = 0
        self.app_name = "billing"
        self.clockwork = 0
        self.workers: dict[str, Worker] = {}

    def __enter__(self) -> Self:
        self.sidecar.start()
        self._stack.callback(self.sidecar.kill)
        self._stack.enter_context(self.scheduler)
        self.app = self.scheduler.register_app(self.app_name)
        # The scheduler looks for jobs of this kind every 15 s: made early, it runs when its test does.
        self.clockwork = self.scheduler.save_job(self.app, timeExpressionType="CRON", timeExpression="* * * * * ?")
        dc1 = self._folder / "podinfo"
        dc1.write_text("dc1\n")
        self._add("dc1-plain", "127.0.1.1", environment={"DC_SIDECAR_DATACENTER": "dc1"})
        self._add("dc1-spring", "127.0.1.2", main="SpringWorker", properties={"dc-sidecar.datacenter-file": str(dc1)})
        self._add("dc2-tag", "127.0.2.1", properties={"stock": "true", "tag": "dc2"})
        self._add("dc3-silent", "127.0.3.1", properties={"stock": "true"})
        for worker in self.workers.values():
            worker.process.start(wait=False)
            self._stack.callback(worker.process.kill)
        for worker in self.workers.values():
            worker.process.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def route(self, text: str) -> None:
        """Put a document in force, `datacenters` before it."""
        self.sidecar.put(text)
        self.wait_until_followed()

    def wait_until_followed(self) -> None:
        """Wait until the scheduler's adapter decides as the sidecar would now."""
        self.sidecar.wait_until_followed(self.scheduler)

    def ran(self, instances: int | Iterable[int], event: str = "begin") -> dict[int, list[str]]:
        """Return which workers began, or ended, each instance, in that order, by their own records; see `places`."""
        wanted = [instances] if isinstance(instances, int) else list(instances)
        return dict(zip(wanted, places(self.runs(), wanted, event), strict=True))

    def runs(self) -> list[Run]:
        """Return all that ran so far, oldest first."""
        return sorted((run for worker in self.workers.values() for run in worker.runs()), key=lambda run: run.at)

    def run(self, job: int) -> list[str]:
        """Run a job to its end; return the workers that began it."""
        instance = self.scheduler.run(self.app, job)
        self.scheduler.wait_for(instance)
        return self.ran(instance)[instance]

    def _add(
        self,
        name: str,
        address: str,
        *,
        main: str = "PlainWorker",
        properties: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder = self._folder / name
        folder.mkdir()
        self.workers[name] = Worker(
            name,
            self._artifacts,
            folder,
            self.scheduler,
            app=self.app,
            app_name=self.app_name,
            address=address,
            main=main,
            properties=properties,
            environment=environment,
        )
