"""Prints how fast routing documents are parsed, and the longest time that parsing holds the interpreter.

    python -m bench.parse

The stretch is the longest time between two calls of `checkpoint`, and thus the longest wait of another thread for the
interpreter while a big document is parsed. bench.change measures the effect on calls.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Mapping

from sidecar.routing.document import parse_document
from sidecar.routing.state import State

ROUNDS = 5


def main() -> None:
    print(f"{'document':34} {'KiB':>6} {'parse':>8} {'stretch':>9} {'state':>8}")
    for name, text in documents().items():
        encoded = text.encode()
        seconds = min(elapsed(lambda encoded=encoded: parse_document(encoded)) for _ in range(ROUNDS))  # type: ignore[misc]
        document = parse_document(encoded)
        state = min(elapsed(lambda document=document: State(document, 1, 0)) for _ in range(ROUNDS))  # type: ignore[misc]
        stretches = sorted(longest_stretch(encoded) for _ in range(ROUNDS))
        print(
            f"{name:34} {len(encoded) / 1024:6.0f} {seconds:7.3f}s {stretches[ROUNDS // 2] * 1e3:7.2f}ms "
            f"{state * 1e3:6.2f}ms"
        )


def documents() -> dict[str, str]:
    """Return the measured texts: those behind the published figures, and some just below the size limit."""
    apps = {f"app-{n}": {"active": f"dc{n % 3}", "backups": ["dc3", "dc4"]} for n in range(10_000)}
    short = {f"a{n}": "dc1" for n in range(70_000)}
    ramp = {"from": "dc1", "to": "dc2", "start": "2026-11-22T10:00:00Z"}
    ramps = {f"a{n}": {"ramp": {**ramp, "duration": f"{n + 1}s"}} for n in range(8_000)}
    return {
        "10,000 applications, YAML": "apps:\n" + "".join(f"  {app}: {flow(route)}\n" for app, route in apps.items()),
        "10,000 applications, block YAML": "apps:\n" + "".join(block(app, route) for app, route in apps.items()),
        "10,000 applications, JSON": json.dumps({"apps": apps}),
        "70,000 bare names, YAML": "apps:\n" + "".join(f" {app}: {name}\n" for app, name in short.items()),
        "70,000 bare names, JSON": json.dumps({"apps": short}, separators=(",", ":")),
        "8,000 different ramps, YAML": "apps:\n" + "".join(f" {app}: {flow(route)}\n" for app, route in ramps.items()),
        "8,000 different ramps, JSON": json.dumps({"apps": ramps}),
        "50,000 backups, JSON": json.dumps({"default": {"backups": [f"d{n}" for n in range(50_000)]}}),
    }


def flow(route: object) -> str:
    return json.dumps(route).replace('"', "") if "start" not in json.dumps(route) else json.dumps(route)


def block(app: str, route: Mapping[str, object]) -> str:
    return f"  {app}:\n    active: {route['active']}\n    backups:\n      - dc3\n      - dc4\n"


def elapsed(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def longest_stretch(text: bytes) -> float:
    longest, last = 0.0, time.perf_counter()

    def checkpoint() -> None:
        nonlocal longest, last
        now = time.perf_counter()
        longest, last = max(longest, now - last), now

    parse_document(text, checkpoint=checkpoint)
    checkpoint()
    return longest


if __name__ == "__main__":
    main()
