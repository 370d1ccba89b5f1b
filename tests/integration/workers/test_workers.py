"""`--workers 2` with real processes: one State, one set of metrics, and calls survive the end of a process."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.request import urlopen

import grpc
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families as read_metrics

from tests.harness import Caller, Client, SidecarProcess, a_request, code_of
from tests.servers.process import LOOPBACK, free_port
from tests.waiting import eventually

DOCUMENT = "default: {active: dc1, backups: [dc2]}\n"
# A busy machine starts processes slowly.
SOON_S = 30.0


class Crew:
    """A sidecar with two worker processes and HTTP, its document, and clients of it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.document = folder / "routing.yaml"
        self.document.write_text(DOCUMENT)
        self.port, self._http = free_port(), free_port()
        self.sidecar = SidecarProcess(
            f"file:{self.document}",
            *("--workers", "2", "--http", f"{LOOPBACK}:{self._http}", *arguments),
            listen=f"{LOOPBACK}:{self.port}",
            folder=folder,
            within=60,
        )

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that are there."""
        return [each for each in psutil.Process(self.sidecar.pid).children() if not has_ended(each)]

    def clients(self, stack: ExitStack) -> list[Client]:
        """Return clients, at least one of them connected to each of the worker processes."""
        found: list[Client] = []

        def each_has_one() -> bool:
            found.append(stack.enter_context(Client(self.sidecar.address, within=10)))
            found[-1].status()
            return all(self._connections(worker) for worker in self.workers())

        eventually(each_has_one, "a connection with each worker process", within=SOON_S)
        return found

    def decisions(self) -> float:
        """Return the number of decisions in the metrics."""
        return self.metric("dc_sidecar_decisions_total")

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples."""
        with urlopen(f"http://{LOOPBACK}:{self._http}/metrics", timeout=10) as response:
            families = list(read_metrics(response.read().decode()))
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    def _connections(self, worker: psutil.Process) -> int:
        with suppress(psutil.NoSuchProcess):
            found = worker.net_connections("tcp")
            return sum(each.laddr.port == self.port and each.status == psutil.CONN_ESTABLISHED for each in found)
        return 0


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended, reaped or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Crew]:
    """Return a sidecar with two worker processes that serve."""
    supervisor = Crew(tmp_path)
    with supervisor.sidecar:
        yield supervisor


def test_all_decide_by_the_same_state(supervisor: Crew) -> None:
    """Each process decides by what a watcher of any process knows, or newer; all report the same status."""
    with ExitStack() as stack:
        clients = supervisor.clients(stack)
        watches = [client.watch() for client in clients]
        for watch in watches:
            assert next(watch).default_route.weights[0].datacenter == "dc1"
        for number in range(8):
            supervisor.document.write_text(f"dc{2 + number % 2}")
            for watch in watches:
                told = next(watch)
                for client in clients:
                    answer = client.filter()
                    assert answer.generation >= told.generation
                    assert answer.datacenter == f"dc{2 + number % 2}"
        eventually(lambda: len({client.status().SerializeToString() for client in clients}) == 1, "one status")


def test_they_start_from_what_is_there(tmp_path: Path) -> None:
    """An override decides in all of them from the first call on, and the source's document when it is gone."""
    (tmp_path / "override.yaml").write_text("dc3")
    supervisor = Crew(tmp_path, "--override", str(tmp_path / "override.yaml"), "--state-dir", str(tmp_path / "state"))
    with supervisor.sidecar, ExitStack() as stack:
        clients = supervisor.clients(stack)
        assert {client.filter().datacenter for client in clients} == {"dc3"}
        assert all("OVERRIDDEN" in client.status().source_error for client in clients)
        (tmp_path / "override.yaml").unlink()
        watch = clients[0].watch()
        next(update for update in watch if update.default_route.weights[0].datacenter == "dc1")
        assert {client.filter().datacenter for client in clients} == {"dc1"}


def test_what_requests_show_counts_for_all(supervisor: Crew) -> None:
    """A fault that one process sees makes the failover of all of them, and its end is the end for all."""
    route = "{active: dc1, backups: [dc2], min_workers: 2, failover: {after: 300ms}}"
    supervisor.document.write_text(f"apps: {{billing: {route}}}\n")
    faulty = a_request(candidates={"dc1": 1, "dc2": 2}, dispatch=True)
    well = a_request(candidates={"dc1": 2, "dc2": 2}, dispatch=True)
    with ExitStack() as stack:
        one, *others = supervisor.clients(stack)
        eventually(lambda: one.filter(faulty).datacenter == "dc2", "the failover", every=0.05)
        for other in others:
            assert other.status().outages[0].reason == one.status().outages[0].reason
            assert other.filter(faulty).datacenter == "dc2"
        eventually(lambda: one.filter(well).datacenter == "dc1", "the return", every=0.05)


def test_one_that_is_killed_is_replaced(supervisor: Crew) -> None:
    """After kill -9 of a process the other one answers, a new one has the current view, and no metric decreases."""
    with ExitStack() as stack:
        clients = supervisor.clients(stack)
        for client in clients:
            client.filter()
        before = eventually(lambda: supervisor.decisions() >= len(clients) and supervisor.decisions(), "all counted")
        victim, survivor = supervisor.workers()
        victim.kill()
        seen = [before]

        def replaced() -> bool:
            with suppress(grpc.RpcError):
                for client in clients:
                    client.filter()
            seen.append(supervisor.decisions())
            return (
                supervisor.metric("dc_sidecar_workers_serving") == 2
                and supervisor.metric("dc_sidecar_workers_lost_total") == 1
            )

        eventually(replaced, "another in its place", within=SOON_S)
        assert seen == sorted(seen)
        now = supervisor.workers()
        assert survivor in now
        assert victim not in now
        clients = supervisor.clients(stack)
        for client in clients:
            assert next(client.watch()).default_route.weights[0].datacenter == "dc1"
        supervisor.document.write_text("dc2")
        for client in clients:
            eventually(lambda client=client: client.filter().datacenter == "dc2", "the change")  # type: ignore[misc]
        assert "it is replaced" in supervisor.sidecar.log_text()


def test_one_that_hangs_holds_up_nobody_for_long(supervisor: Crew) -> None:
    """A process that does not answer is replaced, and the change that it held up reaches the others."""
    with ExitStack() as stack:
        supervisor.clients(stack)
        stopped = supervisor.workers()[0]
        stopped.send_signal(signal.SIGSTOP)
        supervisor.document.write_text("dc2")
        eventually(lambda: has_ended(stopped), "its end", within=SOON_S)
        eventually(lambda: supervisor.metric("dc_sidecar_workers_serving") == 2, "another in its place", within=SOON_S)
        for client in supervisor.clients(stack)[-1:]:
            assert client.filter().datacenter == "dc2"


def test_a_slow_machine_costs_no_process(supervisor: Crew) -> None:
    """Where no process acknowledges a change in time, none is replaced, and all decide by it when they run again."""
    with ExitStack() as stack:
        clients = supervisor.clients(stack)
        workers = supervisor.workers()
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        supervisor.document.write_text("dc2")
        time.sleep(6)
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
        for client in clients:
            eventually(lambda client=client: client.filter().datacenter == "dc2", "the change")  # type: ignore[misc]
        assert supervisor.workers() == workers
    assert "it is replaced" not in supervisor.sidecar.log_text()


def test_none_outlives_the_sidecar(supervisor: Crew) -> None:
    """The worker processes of a sidecar that was killed (kill -9) end too."""
    workers = supervisor.workers()
    assert len(workers) == 2
    supervisor.sidecar.kill()
    eventually(lambda: all(has_ended(worker) for worker in workers), "their end", within=SOON_S)


def test_a_terminated_sidecar_loses_no_call(supervisor: Crew) -> None:
    """SIGTERM under load: calls are answered or get UNAVAILABLE, watchers hear of it, all end; exit status 0."""
    workers = supervisor.workers()
    with ExitStack() as stack:
        watch = supervisor.clients(stack)[0].watch()
        next(watch)
        callers = [stack.enter_context(Caller(supervisor.sidecar.address, every=0.001)) for _ in range(3)]
        for caller in callers:
            caller.until(lambda answer: answer.datacenter == "dc1", "answers", within=SOON_S)
        assert supervisor.sidecar.end(signal.SIGTERM) == 0
        with pytest.raises(grpc.RpcError, match="shutting down") as ended:
            next(watch)
        assert code_of(ended.value) is grpc.StatusCode.UNAVAILABLE
        for caller in callers:
            caller.refused()
            caller.stop()
            assert {failure.code for failure in caller.failures} == {grpc.StatusCode.UNAVAILABLE}
    assert all(has_ended(worker) for worker in workers)


def test_signals_are_the_sidecars_business(supervisor: Crew) -> None:
    """A signal to the whole process group, as from a terminal, stops them as a signal to the sidecar alone."""
    workers = supervisor.workers()
    with ExitStack() as stack:
        clients = supervisor.clients(stack)
        for worker in workers:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                worker.send_signal(number)
        for client in clients:
            assert client.filter().datacenter == "dc1"
        assert supervisor.workers() == workers
        assert supervisor.sidecar.end(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("listen", "arguments", "words"),
    [
        ("unix:{folder}/s", (), "--workers: processes cannot share unix:"),
        ("127.0.0.1:0", ("--tls-cert", "{folder}/no", "--tls-key", "{folder}/no"), "/no cannot be read"),
    ],
)
def test_what_cannot_be_served_is_said(tmp_path: Path, listen: str, arguments: tuple[str, ...], words: str) -> None:
    """An address that cannot be shared, and files that no worker process can use, end the start with a sentence."""
    (tmp_path / "routing.yaml").write_text(DOCUMENT)
    given = [argument.format(folder=tmp_path) for argument in ("--workers", "2", *arguments)]
    source = f"file:{tmp_path}/routing.yaml"
    sidecar = SidecarProcess(source, *given, listen=listen.format(folder=tmp_path), folder=tmp_path, within=60)
    with pytest.raises(AssertionError, match="ended with status 78"):
        sidecar.start()
    assert words in sidecar.log_text()
