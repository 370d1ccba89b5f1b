"""The metrics for Prometheus, made at the moment of the scrape."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Sample

from sidecar import __version__
from sidecar.counters import BOUNDS, CallStats
from sidecar.gil import Yielder
from sidecar.lifecycle import SourceState
from sidecar.routing.model import Ramp
from sidecar.routing.schedule import ramp_step
from sidecar.routing.state import State
from sidecar.table import RoutingTable
from sidecar.view import View
from sidecar.web.page_data import PageData
from sidecar.web.routes import routes_of
from sidecar.web.status import CAUSES, Identity

if TYPE_CHECKING:
    from sidecar.followers.registry import Follower
    from sidecar.followers.xds_clients import XdsClients

_SECOND = 1e9
_FOLLOWING_NS = 60 * 10**9
_METHOD = ("grpc_type", "grpc_service", "grpc_method")


class DocumentMetrics:
    """Counts the documents that were taken over and those that were refused; to be subscribed to the table."""

    def __init__(self) -> None:
        self.applied = 0
        self.refused = 0

    def changed(self, before: View, after: View) -> None:
        """Take note of a change of view."""
        old, new = (view.state.document if view.state else None for view in (before, after))
        self.applied += new is not None and new is not old
        self.refused += after.status.refusal is not None and after.status.refusal is not before.status.refusal


class Metrics:
    """Renders the metrics of a table, of the calls and of the other parts, in the format that a scraper asks for."""

    def __init__(
        self,
        table: RoutingTable,
        stats: CallStats,
        documents: DocumentMetrics,
        page_data: PageData,
        identity: Identity,
    ) -> None:
        self._table = table
        self._stats = stats
        self._documents = documents
        self._page_data = page_data
        self._identity = identity
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the text and its content type. Takes a while where there are many applications: not for the loop."""
        try:
            encoder, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # The library compares the parts of a version without looking at their kind.
            encoder, content_type = choose_encoder("")
        return encoder(self._registry), content_type

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not render."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics but those of the process."""
        yield from self._calls()
        yield self._decisions()
        view = self._table.view
        yield from _source(view)
        yield CounterMetricFamily(
            "dc_sidecar_documents_applied", "Documents that were put in force.", value=self._documents.applied
        )
        yield CounterMetricFamily(
            "dc_sidecar_documents_refused", "Documents that were refused.", value=self._documents.refused
        )
        yield from _tasks(self._page_data)
        yield CounterMetricFamily(
            "dc_sidecar_audit_breaks",
            "Times that records of the audit were found missing or changed, since the start.",
            value=self._page_data.audit_breaks(),
        )
        yield GaugeMetricFamily(
            "dc_sidecar_memory_pressure",
            "1 while large requests and new streams are refused because memory is short.",
            value=self._page_data.memory_high(),
        )
        yield from _processes(self._stats)
        yield from _saved(self._page_data)
        yield _probes(self._page_data)
        if self._page_data.followers is not None:
            yield _followers(self._page_data.followers())
        if self._page_data.xds_clients is not None:
            yield from _xds(self._page_data.xds_clients)
        if view.state is not None:
            yield from _state(view.state, self._identity)
        yield InfoMetricFamily(
            "dc_sidecar_build",
            "Version of the sidecar and of Python.",
            value={"version": __version__, "python_version": platform.python_version()},
        )

    def _decisions(self) -> Metric:
        family = CounterMetricFamily(
            "dc_sidecar_decisions",
            "Decisions by application (other: not in the document), datacenter that serves and reason; NO_WORKERS of "
            "requests with dispatch only.",
            labels=("app", "datacenter", "reason"),
        )
        checkpoint = Yielder()
        for labels, number in self._stats.decisions.totals():
            checkpoint()
            family.add_metric(labels, number)
        family.samples = _YieldingRegistry(family.samples)
        return family

    def _calls(self) -> Iterator[Metric]:
        started = CounterMetricFamily("grpc_server_started", "Calls started.", labels=_METHOD)
        handled = CounterMetricFamily("grpc_server_handled", "Calls ended.", labels=(*_METHOD, "grpc_code"))
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds", "Duration of unary calls, without gRPC's own part.", labels=_METHOD
        )
        for method in self._stats.methods:
            labels = (method.kind, method.service, method.method)
            # Ended first: a reader of the two never sees more calls ended than started.
            for code, number in method.handled():
                handled.add_metric((*labels, code), number)
            started.add_metric(labels, method.started.read())
            if method.kind == "unary":
                buckets, total = method.times.totals()
                bounds = [*map(str, BOUNDS), "+Inf"]
                seconds.add_metric(labels, list(zip(bounds, buckets, strict=True)), total)
        yield from (started, handled, seconds)


class _YieldingRegistry(list[Sample]):
    """Samples that yield to decisions while an encoder iterates over them."""

    def __iter__(self) -> Iterator[Sample]:
        checkpoint = Yielder()
        for sample in super().__iter__():
            checkpoint()
            yield sample


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(f"dc_sidecar_{name}", description, value=value)


def _tasks(page_data: PageData) -> Iterator[Metric]:
    """Yield the status of the audit and of each reaction."""
    tasks = [task() for task in page_data.tasks]
    label = ("task",)
    waiting = GaugeMetricFamily(
        "dc_sidecar_task_waiting", "Changes that wait for a reaction or the audit.", labels=label
    )
    failing = GaugeMetricFamily("dc_sidecar_task_failing", "1 while the last attempt was a failure.", labels=label)
    counted = {
        "done": CounterMetricFamily("dc_sidecar_task_done", "Changes that were delivered or stored.", labels=label),
        "failed": CounterMetricFamily("dc_sidecar_task_failed", "Changes that were given up.", labels=label),
        "dropped": CounterMetricFamily(
            "dc_sidecar_task_dropped", "Changes that were dropped, as too many waited.", labels=label
        ),
    }
    rescheduling = GaugeMetricFamily(
        "dc_sidecar_rescheduling",
        "Runs of the change that a powerjob reaction works on: found, retried, stopped, waiting.",
        labels=("task", "state"),
    )
    for task in tasks:
        if task.rescheduling is not None:
            for state in ("found", "retried", "stopped", "waiting"):
                rescheduling.add_metric((task.name, state), getattr(task.rescheduling, state))
        waiting.add_metric((task.name,), task.waiting)
        failing.add_metric((task.name,), int(task.error != ""))
        for name, family in counted.items():
            family.add_metric((task.name,), getattr(task, name))
    yield from (waiting, failing, *counted.values(), rescheduling)


def _processes(stats: CallStats) -> Iterator[Metric]:
    """Yield the counts of the processes that answer calls."""
    processes = stats.processes()
    yield _gauge("workers", "Processes that are configured to answer calls.", processes.wanted)
    yield _gauge("workers_serving", "Processes that answer calls now.", processes.serving)
    yield CounterMetricFamily("dc_sidecar_workers_lost", "Processes that were replaced.", value=processes.lost)


def _saved(page_data: PageData) -> Iterator[Metric]:
    """Yield the status of the files of the state directory: the snapshot and the failovers."""
    saved = GaugeMetricFamily("dc_sidecar_saved_timestamp_seconds", "When it was last saved.", labels=("file",))
    failing = GaugeMetricFamily("dc_sidecar_save_failing", "1 while the last attempt was a failure.", labels=("file",))
    failures = CounterMetricFamily("dc_sidecar_save_failures", "Failed attempts to save it.", labels=("file",))
    for status in [saver() for saver in page_data.savers]:
        if status.saved_ns:
            saved.add_metric((status.name,), status.saved_ns / _SECOND)
        failing.add_metric((status.name,), int(status.failing))
        failures.add_metric((status.name,), status.failures)
    yield from (saved, failing, failures)


def _followers(followers: Iterable[Follower]) -> Metric:
    family = GaugeMetricFamily(
        "dc_sidecar_followers", "Followers of the shares that were seen within the last minute.", labels=("kind",)
    )
    since_ns = time.time_ns() - _FOLLOWING_NS
    for kind, number in Counter(each.kind.value for each in followers if each.seen_at_ns >= since_ns).items():
        family.add_metric((kind,), number)
    return family


def _probes(page_data: PageData) -> Metric:
    up = GaugeMetricFamily(
        "dc_sidecar_probe_up",
        "1 while a health check is up, as `rise` and `fall` have it.",
        labels=("datacenter", "probe"),
    )
    for datacenter, probe, well in page_data.probes():
        up.add_metric((datacenter, probe), int(well))
    return up


def _xds(clients: XdsClients) -> Iterator[Metric]:
    """Yield the clients of xDS, and the responses that they were sent."""
    connected = [each for each in clients.all() if each.connected]
    yield _gauge("xds_clients", "Streams of xDS clients that are connected.", len(connected))
    rejecting = GaugeMetricFamily(
        "dc_sidecar_xds_clients_rejecting",
        "Connected clients that rejected the newest resources of a type and keep what they had.",
        labels=("type",),
    )
    kinds = Counter(sub.type for each in connected for sub in each.subscriptions if sub.rejection is not None)
    for name in sorted({sub.type for each in connected for sub in each.subscriptions}):
        rejecting.add_metric((name,), kinds[name])
    yield rejecting
    responses = CounterMetricFamily(
        "dc_sidecar_xds_responses",
        "Responses to xDS clients, by type and outcome: sent, acknowledged, rejected.",
        labels=("type", "outcome"),
    )
    for labels, number in clients.responses():
        responses.add_metric(labels, number)
    yield responses
    if clients.endpoints is not None:
        status = clients.endpoints()
        yield _gauge("xds_endpoints", "Endpoints in the file for gRPC clients.", status.endpoints)
        yield _gauge(
            "xds_endpoints_refused",
            "1 while the newest content of the file cannot be used, and the last good one is in force.",
            bool(status.problem),
        )


def _source(view: View) -> Iterator[Metric]:
    """Yield the status of the source and its document."""
    status, state = view.status, view.state
    now = time.time()
    yield _gauge("ready", "1 while health checks say SERVING.", view.ready)
    states = GaugeMetricFamily(
        "dc_sidecar_source_state", "1 for the state that the config center is in, 0 for the others.", labels=("state",)
    )
    for each in SourceState:
        states.add_metric((each.name,), each is status.state)
    yield states
    yield _gauge(
        "source_state_since_timestamp_seconds", "When the source entered its state.", status.since_ns / _SECOND
    )
    yield _gauge(
        "stale",
        "1 while the config center is out of reach and an earlier document decides.",
        bool(state and state.stale),
    )
    yield _gauge("from_snapshot", "1 while a snapshot decides that the source has not confirmed.", status.from_snapshot)
    yield _gauge("overridden", "1 while a local document decides instead of the source's.", view.overridden)
    yield _gauge("gray", "1 while the config center serves a gray (beta) version here.", status.gray is not None)
    yield _gauge("document_refused", "1 while the newest text of the source is refused.", status.refusal is not None)
    yield _gauge(
        "health_checks_notice", "1 while health checks do not count, or not all are made.", view.health is not None
    )
    yield _gauge(
        "document_applied_timestamp_seconds", "When the document was put in force.", view.applied_at_ns / _SECOND
    )
    if status.confirmed_at_ns:
        age = max(0.0, now - status.confirmed_at_ns / _SECOND)
        yield _gauge("document_age_seconds", "Seconds since the source last confirmed its document.", age)
    yield _gauge(
        "generation",
        "Number of states that decisions were made from since the start.",
        state.generation if state else 0,
    )


def _state(state: State, identity: Identity) -> Iterator[Metric]:
    """Yield the metrics of a State: document, datacenters, drills, ramps."""
    document = state.document
    yield InfoMetricFamily(
        "dc_sidecar_document",
        "The document in force, and where it comes from.",
        value={"revision": document.revision, "source": identity.source, "environment": identity.environment},
    )
    yield _gauge("document_apps", "Applications with a route of their own.", len(document.apps))
    out = GaugeMetricFamily(
        "dc_sidecar_datacenter_out_of_service",
        "1 for each datacenter that is out of service for all applications; cause is mark, drill or health.",
        labels=("datacenter", "cause"),
    )
    for name in dict.fromkeys((*(document.datacenters or ()), *state.out)):
        outage = state.out.get(name)
        for kind, cause in CAUSES.items():
            out.add_metric((name, cause), outage is not None and outage.kind is kind)
    yield out
    drills = GaugeMetricFamily(
        "dc_sidecar_drill_active", "Drills that are on, by what they cover.", labels=("datacenter", "scope")
    )
    ends = GaugeMetricFamily(
        "dc_sidecar_drill_end_timestamp_seconds", "When the last of them ends.", labels=("datacenter",)
    )
    active = [drill for drill in document.drills if drill.active(state.now_ns)]
    for (name, scope), number in Counter((d.datacenter, "all" if d.apps is None else "some") for d in active).items():
        drills.add_metric((name, scope), number)
    for name in dict.fromkeys(drill.datacenter for drill in active):
        ends.add_metric((name,), max(d.until_ns for d in active if d.datacenter == name) / _SECOND)
    yield from (drills, ends)
    failed_over = GaugeMetricFamily(
        "dc_sidecar_routes_failed_over",
        "Routes whose work has failed over from this datacenter.",
        labels=("datacenter",),
    )
    for name, number in Counter(name for names in state.failed_over.values() for name in names).items():
        failed_over.add_metric((name,), number)
    yield failed_over
    ramps = GaugeMetricFamily(
        "dc_sidecar_ramp_position_ratio",
        "How far a ramp is, from 0 to 1; app is empty for the default route.",
        labels=("app", "from", "to"),
    )
    if document.ramps:
        for app, route in routes_of(state):
            if isinstance(route.selector, Ramp) and (not app or route.selector is not document.default.selector):
                ramp = route.selector
                ramps.add_metric((app, ramp.source, ramp.target), ramp_step(ramp, state.now_ns) / ramp.steps)
    yield ramps
