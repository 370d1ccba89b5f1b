from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_ACTIVE: _ClassVar[Reason]
    REASON_SPLIT: _ClassVar[Reason]
    REASON_FAILOVER: _ClassVar[Reason]
    REASON_DEGRADED: _ClassVar[Reason]
    REASON_ANY: _ClassVar[Reason]
    REASON_UNROUTED: _ClassVar[Reason]
    REASON_NO_WORKERS: _ClassVar[Reason]

class OutageKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTAGE_KIND_UNSPECIFIED: _ClassVar[OutageKind]
    OUTAGE_KIND_MARKED: _ClassVar[OutageKind]
    OUTAGE_KIND_DRILL: _ClassVar[OutageKind]
    OUTAGE_KIND_UNHEALTHY: _ClassVar[OutageKind]
    OUTAGE_KIND_FAILED_OVER: _ClassVar[OutageKind]

class FaultKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAULT_KIND_UNSPECIFIED: _ClassVar[FaultKind]
    FAULT_KIND_NO_WORKERS: _ClassVar[FaultKind]
    FAULT_KIND_TOO_FEW_WORKERS: _ClassVar[FaultKind]
    FAULT_KIND_PROBES: _ClassVar[FaultKind]
    FAULT_KIND_OTHER: _ClassVar[FaultKind]

class SourceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_STATE_UNSPECIFIED: _ClassVar[SourceState]
    SOURCE_STATE_CONNECTING: _ClassVar[SourceState]
    SOURCE_STATE_SYNCED: _ClassVar[SourceState]
    SOURCE_STATE_DISCONNECTED: _ClassVar[SourceState]
    SOURCE_STATE_REJECTED: _ClassVar[SourceState]
    SOURCE_STATE_MISSING: _ClassVar[SourceState]
REASON_UNSPECIFIED: Reason
REASON_ACTIVE: Reason
REASON_SPLIT: Reason
REASON_FAILOVER: Reason
REASON_DEGRADED: Reason
REASON_ANY: Reason
REASON_UNROUTED: Reason
REASON_NO_WORKERS: Reason
OUTAGE_KIND_UNSPECIFIED: OutageKind
OUTAGE_KIND_MARKED: OutageKind
OUTAGE_KIND_DRILL: OutageKind
OUTAGE_KIND_UNHEALTHY: OutageKind
OUTAGE_KIND_FAILED_OVER: OutageKind
FAULT_KIND_UNSPECIFIED: FaultKind
FAULT_KIND_NO_WORKERS: FaultKind
FAULT_KIND_TOO_FEW_WORKERS: FaultKind
FAULT_KIND_PROBES: FaultKind
FAULT_KIND_OTHER: FaultKind
SOURCE_STATE_UNSPECIFIED: SourceState
SOURCE_STATE_CONNECTING: SourceState
SOURCE_STATE_SYNCED: SourceState
SOURCE_STATE_DISCONNECTED: SourceState
SOURCE_STATE_REJECTED: SourceState
SOURCE_STATE_MISSING: SourceState

class Worker(_message.Message):
    __slots__ = ("address", "datacenter", "metrics", "tag")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DATACENTER_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    address: str
    datacenter: str
    metrics: str
    tag: str
    def __init__(self, address: _Optional[str] = ..., datacenter: _Optional[str] = ..., metrics: _Optional[str] = ..., tag: _Optional[str] = ...) -> None: ...

class FilterWorkersRequest(_message.Message):
    __slots__ = ("app", "job", "instance", "candidates", "indices_only", "app_aliases", "dispatch")
    APP_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    INDICES_ONLY_FIELD_NUMBER: _ClassVar[int]
    APP_ALIASES_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_FIELD_NUMBER: _ClassVar[int]
    app: str
    job: str
    instance: str
    candidates: _containers.RepeatedCompositeFieldContainer[Worker]
    indices_only: bool
    app_aliases: _containers.RepeatedScalarFieldContainer[str]
    dispatch: bool
    def __init__(self, app: _Optional[str] = ..., job: _Optional[str] = ..., instance: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ..., indices_only: bool = ..., app_aliases: _Optional[_Iterable[str]] = ..., dispatch: bool = ...) -> None: ...

class FilterWorkersResponse(_message.Message):
    __slots__ = ("addresses", "indices", "datacenter", "reason", "revision", "generation", "stale", "for_instance", "undecided")
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    DATACENTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    FOR_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    UNDECIDED_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedScalarFieldContainer[str]
    indices: _containers.RepeatedScalarFieldContainer[int]
    datacenter: str
    reason: Reason
    revision: str
    generation: int
    stale: bool
    for_instance: bool
    undecided: bool
    def __init__(self, addresses: _Optional[_Iterable[str]] = ..., indices: _Optional[_Iterable[int]] = ..., datacenter: _Optional[str] = ..., reason: _Optional[_Union[Reason, str]] = ..., revision: _Optional[str] = ..., generation: _Optional[int] = ..., stale: bool = ..., for_instance: bool = ..., undecided: bool = ...) -> None: ...

class GetRouteRequest(_message.Message):
    __slots__ = ("app", "job")
    APP_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    app: str
    job: str
    def __init__(self, app: _Optional[str] = ..., job: _Optional[str] = ...) -> None: ...

class WeightedDatacenter(_message.Message):
    __slots__ = ("datacenter", "weight")
    DATACENTER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    datacenter: str
    weight: float
    def __init__(self, datacenter: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class ProbeFailure(_message.Message):
    __slots__ = ("probe", "error")
    PROBE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    probe: str
    error: str
    def __init__(self, probe: _Optional[str] = ..., error: _Optional[str] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("kind", "workers", "needed", "probes", "since_ms", "text")
    KIND_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    kind: FaultKind
    workers: int
    needed: int
    probes: _containers.RepeatedCompositeFieldContainer[ProbeFailure]
    since_ms: int
    text: str
    def __init__(self, kind: _Optional[_Union[FaultKind, str]] = ..., workers: _Optional[int] = ..., needed: _Optional[int] = ..., probes: _Optional[_Iterable[_Union[ProbeFailure, _Mapping]]] = ..., since_ms: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class AppRoute(_message.Message):
    __slots__ = ("app", "weights", "backups", "unavailable", "min_workers", "revision", "generation", "outages", "workers", "workers_seen_at_ms", "job", "dispatch_app", "dispatch_aliases", "workers_runs")
    class Outage(_message.Message):
        __slots__ = ("datacenter", "app", "reason", "kind", "since_ms", "until_ms", "drill_reason", "fault")
        DATACENTER_FIELD_NUMBER: _ClassVar[int]
        APP_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        SINCE_MS_FIELD_NUMBER: _ClassVar[int]
        UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
        DRILL_REASON_FIELD_NUMBER: _ClassVar[int]
        FAULT_FIELD_NUMBER: _ClassVar[int]
        datacenter: str
        app: str
        reason: str
        kind: OutageKind
        since_ms: int
        until_ms: int
        drill_reason: str
        fault: Fault
        def __init__(self, datacenter: _Optional[str] = ..., app: _Optional[str] = ..., reason: _Optional[str] = ..., kind: _Optional[_Union[OutageKind, str]] = ..., since_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., drill_reason: _Optional[str] = ..., fault: _Optional[_Union[Fault, _Mapping]] = ...) -> None: ...
    class Workers(_message.Message):
        __slots__ = ("datacenter", "count", "fewest")
        DATACENTER_FIELD_NUMBER: _ClassVar[int]
        COUNT_FIELD_NUMBER: _ClassVar[int]
        FEWEST_FIELD_NUMBER: _ClassVar[int]
        datacenter: str
        count: int
        fewest: int
        def __init__(self, datacenter: _Optional[str] = ..., count: _Optional[int] = ..., fewest: _Optional[int] = ...) -> None: ...
    APP_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    BACKUPS_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    MIN_WORKERS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OUTAGES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_SEEN_AT_MS_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_APP_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_ALIASES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_RUNS_FIELD_NUMBER: _ClassVar[int]
    app: str
    weights: _containers.RepeatedCompositeFieldContainer[WeightedDatacenter]
    backups: _containers.RepeatedScalarFieldContainer[str]
    unavailable: _containers.RepeatedScalarFieldContainer[str]
    min_workers: int
    revision: str
    generation: int
    outages: _containers.RepeatedCompositeFieldContainer[AppRoute.Outage]
    workers: _containers.RepeatedCompositeFieldContainer[AppRoute.Workers]
    workers_seen_at_ms: int
    job: str
    dispatch_app: str
    dispatch_aliases: _containers.RepeatedScalarFieldContainer[str]
    workers_runs: int
    def __init__(self, app: _Optional[str] = ..., weights: _Optional[_Iterable[_Union[WeightedDatacenter, _Mapping]]] = ..., backups: _Optional[_Iterable[str]] = ..., unavailable: _Optional[_Iterable[str]] = ..., min_workers: _Optional[int] = ..., revision: _Optional[str] = ..., generation: _Optional[int] = ..., outages: _Optional[_Iterable[_Union[AppRoute.Outage, _Mapping]]] = ..., workers: _Optional[_Iterable[_Union[AppRoute.Workers, _Mapping]]] = ..., workers_seen_at_ms: _Optional[int] = ..., job: _Optional[str] = ..., dispatch_app: _Optional[str] = ..., dispatch_aliases: _Optional[_Iterable[str]] = ..., workers_runs: _Optional[int] = ...) -> None: ...

class WatchRoutesRequest(_message.Message):
    __slots__ = ("apps", "detail")
    APPS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    apps: _containers.RepeatedScalarFieldContainer[str]
    detail: bool
    def __init__(self, apps: _Optional[_Iterable[str]] = ..., detail: bool = ...) -> None: ...

class DatacenterInfo(_message.Message):
    __slots__ = ("name", "cidrs")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CIDRS_FIELD_NUMBER: _ClassVar[int]
    name: str
    cidrs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., cidrs: _Optional[_Iterable[str]] = ...) -> None: ...

class RouteUpdate(_message.Message):
    __slots__ = ("revision", "generation", "stale", "default_route", "routes", "datacenters", "job_routes", "outages", "detailed", "drained_workers")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_ROUTE_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    DATACENTERS_FIELD_NUMBER: _ClassVar[int]
    JOB_ROUTES_FIELD_NUMBER: _ClassVar[int]
    OUTAGES_FIELD_NUMBER: _ClassVar[int]
    DETAILED_FIELD_NUMBER: _ClassVar[int]
    DRAINED_WORKERS_FIELD_NUMBER: _ClassVar[int]
    revision: str
    generation: int
    stale: bool
    default_route: AppRoute
    routes: _containers.RepeatedCompositeFieldContainer[AppRoute]
    datacenters: _containers.RepeatedCompositeFieldContainer[DatacenterInfo]
    job_routes: _containers.RepeatedCompositeFieldContainer[AppRoute]
    outages: _containers.RepeatedCompositeFieldContainer[AppRoute.Outage]
    detailed: bool
    drained_workers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, revision: _Optional[str] = ..., generation: _Optional[int] = ..., stale: bool = ..., default_route: _Optional[_Union[AppRoute, _Mapping]] = ..., routes: _Optional[_Iterable[_Union[AppRoute, _Mapping]]] = ..., datacenters: _Optional[_Iterable[_Union[DatacenterInfo, _Mapping]]] = ..., job_routes: _Optional[_Iterable[_Union[AppRoute, _Mapping]]] = ..., outages: _Optional[_Iterable[_Union[AppRoute.Outage, _Mapping]]] = ..., detailed: bool = ..., drained_workers: _Optional[_Iterable[str]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GrayVersion(_message.Message):
    __slots__ = ("rule", "clients", "since_ms")
    RULE_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    rule: str
    clients: _containers.RepeatedScalarFieldContainer[str]
    since_ms: int
    def __init__(self, rule: _Optional[str] = ..., clients: _Optional[_Iterable[str]] = ..., since_ms: _Optional[int] = ...) -> None: ...

class SidecarStatus(_message.Message):
    __slots__ = ("version", "source", "source_state", "source_error", "revision", "generation", "applied_at_ms", "confirmed_at_ms", "from_snapshot", "outages", "gray", "environment")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_STATE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ERROR_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    FROM_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    OUTAGES_FIELD_NUMBER: _ClassVar[int]
    GRAY_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    version: str
    source: str
    source_state: SourceState
    source_error: str
    revision: str
    generation: int
    applied_at_ms: int
    confirmed_at_ms: int
    from_snapshot: bool
    outages: _containers.RepeatedCompositeFieldContainer[AppRoute.Outage]
    gray: GrayVersion
    environment: str
    def __init__(self, version: _Optional[str] = ..., source: _Optional[str] = ..., source_state: _Optional[_Union[SourceState, str]] = ..., source_error: _Optional[str] = ..., revision: _Optional[str] = ..., generation: _Optional[int] = ..., applied_at_ms: _Optional[int] = ..., confirmed_at_ms: _Optional[int] = ..., from_snapshot: bool = ..., outages: _Optional[_Iterable[_Union[AppRoute.Outage, _Mapping]]] = ..., gray: _Optional[_Union[GrayVersion, _Mapping]] = ..., environment: _Optional[str] = ...) -> None: ...
