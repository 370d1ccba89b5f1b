"""Accepted requests and documents that delay the calls of others."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import grpc
import yaml

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from sidecar.routing.free_content import MAX_META_ENTRIES, MAX_REASON
from tests.attack.attack import Attack, Stage
from tests.attack.texts import LARGE, PLACEHOLDER, document, filled, largest, many_apps, workers, write_requests
from tests.harness import SERVICE, Client, code_of

_MIB = 1024**2
_BIG = 15 * 1000 * 1000
_FAILOVER = "{active: dc1, backups: [dc2, dc3], failover: {after: 1s, back_after: 5s}}"
# Longest permitted pause of the interpreter, ms.
_PIECE_MS = 50.0


def _call(stage: Stage, request: bytes, *, within: float = 0.0, compression: grpc.Compression | None = None) -> str:
    """Make one FilterWorkers call of raw bytes; return the name of its status."""
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(stage.sidecar.target, options=options) as channel:
        call = channel.unary_unary(SERVICE + "FilterWorkers", None, None)
        try:
            call(request, timeout=within or max(1.0, stage.left), compression=compression)
        except grpc.RpcError as error:
            return code_of(error).name
        return "OK"


def _repeat(request: Callable[[int], bytes], *, compression: grpc.Compression | None = None) -> Callable[[Stage], None]:
    """Return an attack that makes these calls in sequence."""

    def run(stage: Stage) -> None:
        ended: dict[str, int] = {}
        for number in stage.rounds():
            code = _call(stage, request(number), compression=compression)
            ended[code] = ended.get(code, 0) + 1
        stage.note(f"calls of the attack: {ended}")
        stage.expect(ended, "not one call of the attack was made")

    return run


def _distinct_names(stage: Stage) -> None:
    requests = [
        pb.FilterWorkersRequest(app=PLACEHOLDER, job=str(number), candidates=workers(["dc2"], 1), dispatch=True)
        for number in range(16)
    ]
    flood = stage.flood(write_requests(stage.folder / "flood", requests), rate=2000)
    time.sleep(stage.left / 3)
    stage.change_in_time(document(many_apps(1000), default=_FAILOVER))
    stage.flooded(flood)


def _mass_failover(stage: Stage) -> None:
    requests = [
        pb.FilterWorkersRequest(app=f"app-{number:05d}", job="1", candidates=workers(["dc2", "dc3"]), dispatch=True)
        for number in range(10_000)
    ]
    flood = stage.flood(write_requests(stage.folder / "flood", requests), rate=1000)
    time.sleep(stage.left / 3)
    stage.change_in_time(document(many_apps(10_001), default=_FAILOVER))
    stage.flooded(flood)


def _networks(kind: str) -> Iterator[str]:
    """Yield more networks than fit into a document."""
    match kind:
        case "v4":
            yield from (f"{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}.0/24" for n in range(1 << 16, 1 << 24, 7))
        case "v6":
            yield from (f"2{n >> 16:x}:{n & 65535:x}::/32" for n in range(0, 1 << 24, 3))
        case _:
            # Every prefix length, each network inside the one before, at many addresses.
            for place in range(1, 250):
                for length in range(9, 33):
                    address = (place << 24) | (((1 << (length - 8)) - 2) << (32 - length))
                    yield f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}/{length}"
            for place in range(1 << 16):
                for length in range(33, 129):
                    address = (0x2001 << 112) | (place << 96) | (((1 << (length - 32)) - 2) << (128 - length))
                    groups = ":".join(f"{address >> shift & 65535:x}" for shift in range(112, -1, -16))
                    yield f"'{groups}/{length}'"


def _cidrs(kind: str) -> str:
    quote = "'" if kind == "v6" else ""
    lines = (f"{quote}{network}{quote}," for network in _networks(kind))
    head = "datacenters: {dc1: {}, dc2: {}, dc3: {}, far: {cidrs: ["
    return filled(head, lines, "]}}\n" + document(), size=_MIB)


def _unknown_candidates(kind: str) -> Callable[[int], bytes]:
    def request(number: int) -> bytes:
        addresses = (
            (f"250.{number % 250}.{n >> 8 & 255}.{n & 255}:1" if kind != "v6" else f"[fd00:{number:x}::{n:x}]:1")
            for n in range(10_000)
        )
        return pb.FilterWorkersRequest(
            app="any", job="1", candidates=[pb.Worker(address=address) for address in addresses]
        ).SerializeToString()

    return request


def _one_worker(**fields: str) -> Callable[[int], bytes]:
    request = pb.FilterWorkersRequest(app="any", job="1", candidates=[pb.Worker(address="a:1", **fields)])
    encoded = request.SerializeToString()

    # Distinct each time, so it cannot be answered from a memo.
    return lambda number: encoded + pb.FilterWorkersRequest(instance=str(number)).SerializeToString()


def _json_candidates(number: int) -> bytes:
    return pb.FilterWorkersRequest(
        app="any",
        job="1",
        instance=str(number),
        candidates=[
            pb.Worker(address=f"a{n}:1", metrics=json.dumps({"cpu": n, "round": number, "datacenter": f"dc{n % 3}"}))
            for n in range(100_000)
        ],
    ).SerializeToString()


def _drills(count: int) -> str:
    drills = "".join(
        f"  - {{datacenter: dc{n % 40 + 10}, apps: [a{n}], until: 2999-01-01T00:00:00Z, reason: drill {n}}}\n"
        for n in range(count)
    )
    return document(rest=f"drills:\n{drills}")


def _status(stage: Stage) -> None:
    longest = 0.0
    for _ in stage.rounds(every=0.05):
        began = time.monotonic()
        status, body = stage.sidecar.get("/v1/status", within=20)
        longest = max(longest, time.monotonic() - began)
        stage.expect(status == 200, f"/v1/status answered {status}")
        names = [entry["name"] for entry in json.loads(body)["datacenters"]]
        if len(names) != len(set(names)) and not any("twice" in finding for finding in stage.findings):
            stage.find(f"/v1/status lists datacenters twice: {len(names)}, {len(set(names))} different")
    stage.note(f"/v1/status took {longest:.2f} s at most")
    stage.expect(longest < 1.0, f"/v1/status took {longest:.1f} s")


_PATHS = (
    "/v1/routes",
    "/v1/routes/app-00001",
    "/v1/status",
    "/metrics",
    "/v1/history",
    "/v1/changes",
    "/v1/rates",
    "/v1/explain?app=app-00001&job=1&candidates=dc1%3D2",
    "/openapi.json",
    "/",
)


def _all_paths(stage: Stage) -> None:
    """Request each path for a while; the longest wait of the independent caller is the pause that the path causes."""
    calls: dict[str, Callable[[], object]] = {path: partial(stage.sidecar.get, path, within=20) for path in _PATHS}
    client = stage.stack.enter_context(Client(stage.sidecar.target, within=20))
    calls |= {"GetStatus": client.status, "GetRoute": lambda: client.route("app-00001")}
    calls["WatchRoutes"] = lambda: _first_update(client)
    share = stage.seconds / len(calls)
    spans: dict[str, tuple[float, float]] = {}
    for name, call in calls.items():
        began = time.monotonic()
        while time.monotonic() < began + share and stage.sidecar.lived:
            try:
                call()
            except (OSError, grpc.RpcError) as error:
                if stage.sidecar.lived:
                    stage.find(f"{name} failed: {error}"[:300])
                break
        spans[name] = began, time.monotonic()
    time.sleep(0.3)
    for name, span in spans.items():
        worst = stage.caller.measured(*span).worst_ms
        stage.note(f"{name}: the caller waited {worst:.0f} ms at most")
        if worst > max(_PIECE_MS, 2 * stage.calm_worst_ms):
            stage.find(f"{name}: the caller waited {worst:.0f} ms, at most {_PIECE_MS:.0f} ms are allowed in one piece")


def _first_update(client: Client) -> None:
    updates = client.watch()
    next(updates)
    updates.cancel()


def _slow_texts() -> dict[str, str]:
    """Return documents at the size limit, valid or not, that are slow to parse."""
    routes = json.dumps(yaml.safe_load(document()))
    deep = "[" * 15 + "]" * 15 + ", "
    return {
        "deep": filled("meta: {a: [", (deep for _ in range(_MIB)), "]}\n" + document()),
        "nested": "[" * (_MIB - 1),
        "nested json": '{"a":' * (_MIB // 5 - 1),
        "anchors": filled("meta:\n", (f"  k{n:x}: &a{n:x} v\n" for n in range(200_000)), document()),
        "aliases": filled(f"x: &x {'y' * 1000}\n", (f"k{n:x}: *x\n" for n in range(200_000))),
        "tags": filled("", (f"k{n:x}: !!str v\n" for n in range(200_000))),
        "keys": filled("meta: {", (f"{n:x}: ," for n in range(500_000)), "}\n" + document()),
        "same keys": filled("meta: {", ("a: ," for _ in range(500_000)), "}\n" + document()),
        "long scalar": filled("meta: {a: '", ("x" * 1000 for _ in range(2000)), "'}\n" + document()),
        "escapes": filled('meta: {a: "', ("\\u0041" for _ in range(200_000)), '"}\n' + document()),
        "blanks": filled("", (" " * 1000 + "\n" for _ in range(2000)), document()),
        "comments": filled("", ("#" * 1000 + "\n" for _ in range(2000)), document()),
        "documents": filled("", ("---\na: b\n" for _ in range(200_000))),
        "most keys": "meta: {" + "".join(f"{n:x}: ," for n in range(MAX_META_ENTRIES)) + "}\n" + document(),
        "json keys": filled('{"meta": {', (f'"{n:x}":"",' for n in range(200_000)), '"":""}, ' + routes[1:]),
        "json applications": filled(
            routes.removesuffix("}}") + ",", (f'"{n:x}":"d",' for n in range(200_000)), '"last":"d"}}'
        ),
        "json lists": filled('{"meta": {"a": [', ("[]," for _ in range(_MIB)), "[]]}, " + routes[1:]),
        "blank reasons": filled(
            "drills: [",
            (
                "{datacenter: a, until: 2999-01-01T00:00:00Z, reason: '" + "x " * (MAX_REASON // 2) + "'},\n"
                for _ in range(1000)
            ),
            "]\n" + document(),
        ),
        "long reason": filled(
            "drills: [{datacenter: a, until: 2999-01-01T00:00:00Z, reason: '",
            ("x " for _ in range(_MIB)),
            "'}]\n" + document(),
        ),
        "unknown datacenters": filled(
            "datacenters: [dc1, dc2, dc3]\n" + document(), (f"  {n:x}: dd{n:x}\n" for n in range(200_000))
        ),
        "jobs": filled(document("  jobs: {active: dc1, jobs: {"), (f"{n:x}: d," for n in range(200_000)), "}}\n"),
        "drills": filled(
            "drills: [", ("{datacenter: a, until: 2999-01-01T00:00:00Z}," for _ in range(50_000)), "]\n" + document()
        ),
        "splits": filled(document(), (f"  {n:x}: {{split: {{a: 1, b: 2, c: 3, e: 4}}}}\n" for n in range(50_000))),
        "ramps": filled(
            document(),
            (
                f"  {n:x}: {{ramp: {{from: a, to: b, start: 2026-01-01T00:00:00Z, duration: {n + 1}s, steps: 9999}}}}\n"
                for n in range(50_000)
            ),
        ),
    }


def _slow_documents(stage: Stage) -> None:
    """Put each text in turn; it must be applied or refused within seconds, without delaying calls."""
    client = stage.stack.enter_context(Client(stage.sidecar.target, within=3))
    for number, (name, text) in enumerate(_slow_texts().items()):
        if not stage.sidecar.lived:
            stage.find(f"the sidecar died before the document `{name}` was put")
            return
        stage.expect(len(text.encode()) <= _MIB, f"{name}: the attack's text is too long")
        before = time.monotonic()
        handled = _handled(stage, client, stage.put(text), within=6)
        took = time.monotonic() - before
        if handled is None and stage.sidecar.lived:
            stage.find(f"{name}: neither taken over nor refused within {took:.0f} s")
        again = stage.change(document(rest=f"meta: {{after: {number}}}\n"), within=6)
        worst = stage.caller.measured(before, time.monotonic()).worst_ms
        stage.note(f"{name}: {handled or 'open'} after {took:.1f} s, the caller waited {worst:.0f} ms")
        if again is None and stage.sidecar.lived:
            stage.find(f"{name}: a good document after it does not decide within 6 s")


def _handled(stage: Stage, client: Client, revision: str, within: float) -> str | None:
    """Wait until a text is in force or refused; return which, None if neither."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and stage.sidecar.lived:
        with contextlib.suppress(grpc.RpcError):
            told = client.status()
            if told.revision == revision:
                return "in force"
            if told.source_state == pb.SOURCE_STATE_REJECTED:
                return "refused"
        time.sleep(0.03)
    return None


def _churn(stage: Stage) -> None:
    for number in stage.rounds(every=1 / 200):
        stage.put(document(f"  churn: {{active: dc{number % 3 + 1}}}\n", rest=f"meta: {{number: {number}}}\n"))
    took = stage.change(document(rest="meta: {last: one}\n"), within=5)
    stage.expect(took is not None, "after 200 changes a second the newest document does not decide within 5 s")


def _flapping(stage: Stage) -> None:
    """Remove, corrupt, empty and restore the key, 100 times a second."""
    path = stage.sidecar.document
    for number in stage.rounds(every=0.01):
        match number % 4:
            case 0:
                path.unlink(missing_ok=True)
            case 1:
                stage.put("{broken")
            case 2:
                stage.put("")
            case _:
                stage.put(document(rest=f"meta: {{number: {number}}}\n"))
    took = stage.change(document(rest="meta: {last: one}\n"), within=5)
    stage.expect(took is not None, "after the flapping the newest document does not decide within 5 s")


def _large_changes(stage: Stage) -> None:
    for number in stage.rounds(every=1.0):
        stage.put(document(many_apps(10_000, f"dc{number % 3 + 1}")))


def _many_updates(stage: Stage) -> None:
    """Watch all routes on 100 streams while documents change all applications."""
    client = stage.stack.enter_context(Client(stage.sidecar.target))
    watches = [client.watch() for _ in range(100)]
    for updates in watches:
        threading.Thread(target=_drain, args=(updates,), daemon=True).start()
    for number in stage.rounds(every=1.0):
        stage.put(document(many_apps(10_000, f"dc{number % 3 + 1}")))
    for updates in watches:
        updates.cancel()


def _drain(updates: Iterator[object]) -> None:
    with contextlib.suppress(grpc.RpcError):
        for _ in updates:
            pass


_BIG_JSON = '{"a": [' + "1," * (_BIG // 2) + '1], "datacenter": "dc1"}'

ATTACKS = [
    Attack(
        name="distinct-names",
        run=_distinct_names,
        item="2",
        product="2,000 calls/s with unknown names under a failover rule delay neither calls nor documents.",
        document=lambda: document(default=_FAILOVER),
        least=6.0,
    ),
    Attack(
        name="mass-failover",
        memory=LARGE,
        run=_mass_failover,
        item="2",
        product="10,000 applications that fail over at 1,000 dispatches/s delay neither calls nor documents.",
        document=lambda: document(many_apps(10_000), default=_FAILOVER),
        least=10.0,
    ),
    *(
        Attack(
            name=f"cidrs-{kind}",
            memory=LARGE,
            run=_repeat(_unknown_candidates(kind)),
            item="3",
            product=f"10,000 unknown addresses are located among all networks that fit ({words}) without a stall.",
            document=partial(_cidrs, kind),
        )
        for kind, words in (("v4", "IPv4"), ("v6", "IPv6"), ("lengths", "all prefix lengths"))
    ),
    Attack(
        name="tag-commas",
        run=_repeat(_one_worker(tag="," * (16 * _MIB - 1000)), compression=grpc.Compression.Gzip),
        item="4",
        product="A tag of 16 MiB of commas, 16 KB on the wire, is refused with INVALID_ARGUMENT that names the field.",
        document=lambda: document(rest="datacenters: [dc1, dc2, dc3]\n"),
    ),
    Attack(
        name="metrics-15mb",
        run=_repeat(_one_worker(metrics=_BIG_JSON)),
        item="4",
        product="A metrics value of 15 MB is refused with INVALID_ARGUMENT that names the field.",
    ),
    Attack(
        name="metrics-deep",
        run=_repeat(_one_worker(metrics='{"a":' * (_BIG // 5))),
        item="4",
        product="A metrics value that nests three million levels deep is refused likewise.",
    ),
    Attack(
        name="candidates-json",
        run=_repeat(_json_candidates),
        item="4",
        product="100,000 candidates with JSON metrics delay nobody else: refused, or processed on another thread.",
    ),
    Attack(
        name="status-drills",
        memory=LARGE,
        run=_status,
        item="5",
        product="/v1/status with 5,000 drills is built once per view and lists each datacenter once.",
        document=lambda: _drills(5000),
    ),
    Attack(
        name="paths-10000-apps",
        memory=LARGE,
        run=_all_paths,
        item="5",
        product="No path takes the interpreter for more than 50 ms in one piece at 10,000 applications.",
        document=lambda: document(many_apps(10_000)),
    ),
    Attack(
        name="paths-largest",
        # 90,000 applications.
        memory=2 * LARGE,
        run=_all_paths,
        item="5",
        product="No path takes the interpreter for more than 50 ms in one piece with the largest valid document.",
        document=largest,
    ),
    Attack(
        name="slow-documents",
        memory=LARGE,
        around=120.0,
        run=_slow_documents,
        item="5",
        product="A document at the size limit that is slow to parse is applied or refused without delaying calls.",
    ),
    Attack(
        name="document-churn",
        run=_churn,
        item="5",
        product="At 200 changes of the document a second the newest decides, and no call waits.",
        short=True,
    ),
    Attack(
        name="key-flapping",
        run=_flapping,
        item="5",
        product="While the key is removed, corrupted and restored the last valid document decides.",
        short=True,
    ),
    Attack(
        name="large-changes",
        memory=LARGE,
        run=_large_changes,
        item="5",
        product="A document that changes 10,000 applications is applied without delaying calls.",
        document=lambda: document(many_apps(10_000)),
    ),
    Attack(
        name="many-updates",
        memory=LARGE,
        run=_many_updates,
        item="5",
        product="Updates to 100 watchers of 10,000 applications do not delay calls.",
        document=lambda: document(many_apps(10_000)),
    ),
]
