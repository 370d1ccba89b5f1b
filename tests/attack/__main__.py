"""Attacks the built sidecar: `python -m tests.attack [--only NAME] [--seconds N] [--memory 64MiB] [--short]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

from bench.loader import load_generator
from tests.attack import caller
from tests.attack.attack import Attack, all_attacks
from tests.attack.chart import chart_defaults, size
from tests.attack.runner import LATENCY_MS, Result, Running, Setting, carry_out
from tests.attack.sidecar import COMMAND

_MIB = 1024**2
_AT_A_TIME = 4
_COLUMNS = (
    ("attack", 28, ""),
    ("verdict", 8, ""),
    ("calm p99.9", 10, "ms"),
    ("worst", 7, "ms"),
    ("p99.9", 7, "ms"),
    ("worst", 7, "ms"),
    ("failed", 6, ""),
    ("wrong", 6, ""),
    ("health", 6, "bad"),
    ("limit", 6, "MiB"),
    ("held", 6, "MiB"),
    ("rss", 6, "MiB"),
    ("fds", 5, ""),
    ("lived", 5, ""),
    ("took", 5, "s"),
)


def main() -> int:
    """Run the attacks; return 1 if one is not withstood."""
    given = _arguments()
    attacks = _chosen(given)
    if given.list:
        for attack in attacks:
            print(f"{attack.name:24} {attack.item:>3}  {attack.product}{'  [open]' if attack.open else ''}")
        return 0
    # Built before the clock starts.
    caller.build()
    load_generator()
    chart_defaults()
    began = time.monotonic()
    deadline = began + given.budget
    setting = Setting(
        seconds=given.seconds or 1.0,
        memory=size(given.memory),
        group=given.group,
        latency_ms=given.latency,
        command=given.sidecar,
        keep=given.keep,
    )
    print(_header(), flush=True)
    results: list[Result] = []
    # Attacks without measurement mostly wait and run in parallel; the others run alone.
    for result in chain(
        _together([attack for attack in attacks if not attack.calls], setting, deadline),
        _one_by_one([attack for attack in attacks if attack.calls], setting, deadline),
    ):
        results.append(result)
        print(_row(result, setting), flush=True)
    _report(results, setting, time.monotonic() - began, verbose=given.verbose)
    if given.json:
        given.json.write_text(json.dumps([asdict(result) for result in results], indent=1), encoding="utf-8")
    return int(any(result.problems(setting.latency_ms) for result in results))


def _one_by_one(attacks: Sequence[Attack], setting: Setting, deadline: float) -> Iterator[Result]:
    for attack in attacks:
        if time.monotonic() > deadline:
            yield _late(attack)
            continue
        result = carry_out(attack, setting)
        if result.only_slow(setting.latency_ms) and time.monotonic() < deadline:
            # Noise rarely repeats.
            again = carry_out(attack, setting)
            again.notes.append(f"second try: the first had a p99.9 of {result.measured.p999_ms:.0f} ms")
            result = again
        yield result


def _together(attacks: Sequence[Attack], setting: Setting, deadline: float) -> Iterator[Result]:
    waiting, running = list(attacks), list[Running]()
    while waiting or running:
        while waiting and len(running) < _AT_A_TIME:
            attack = waiting.pop(0)
            if time.monotonic() > deadline:
                yield _late(attack)
                continue
            running.append(Running(attack, setting))
        for each in tuple(running):
            if each.over(0.05):
                running.remove(each)
                yield each.end()


def _late(attack: Attack) -> Result:
    return Result(attack.name, calls=attack.calls, findings=["not carried out: the time was over (--budget)"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="Only these; * matches; repeatable."
    )
    parser.add_argument("--seconds", type=float, help="For each attack, and as long without it (default 1).")
    parser.add_argument("--memory", default="64MiB", help="The sidecar's limit (default 64MiB).")
    parser.add_argument("--short", action="store_true", help="The attacks of the short form only, in under a minute.")
    parser.add_argument("--budget", type=float, default=285.0, help="Seconds for everything (default 285).")
    parser.add_argument("--latency", type=float, default=LATENCY_MS, help="The bound of p99.9 in ms (default 20).")
    parser.add_argument(
        "--group", default="auto", choices=("auto", "v2", "v1", "rlimit"), help="How memory is bounded."
    )
    parser.add_argument(
        "--sidecar", type=Path, default=COMMAND, help="The command to attack (default: the installed one)."
    )
    parser.add_argument("--json", type=Path, help="Write the results there, too.")
    parser.add_argument("--keep", action="store_true", help="Keep the folder of each attack, with the sidecar's log.")
    parser.add_argument("--list", action="store_true", help="List the attacks, and carry out none.")
    parser.add_argument("--verbose", action="store_true", help="Show the end of the log of sidecars that failed.")
    return parser.parse_args()


def _chosen(given: argparse.Namespace) -> list[Attack]:
    found = [attack for attack in all_attacks() if attack.short or not given.short]
    if given.only:
        found = [attack for attack in found if any(fnmatch(attack.name, name) for name in given.only)]
    if not found:
        sys.exit(f"no attack is called {', '.join(given.only)}; known are: {', '.join(a.name for a in all_attacks())}")
    return found


def _header() -> str:
    names = "  ".join(f"{name:>{width}}" if at else f"{name:{width}}" for at, (name, width, _) in enumerate(_COLUMNS))
    units = "  ".join(f"{unit:>{width}}" for _, width, unit in _COLUMNS)
    return f"{names}\n{units.rstrip()}"


def _row(result: Result, setting: Setting) -> str:
    calm, under = result.baseline, result.measured

    def ms(value: float) -> str:
        return f"{value:.1f}" if result.calls else "-"

    cells = (
        result.name,
        result.verdict(setting.latency_ms),
        ms(calm.p999_ms),
        ms(calm.worst_ms),
        ms(under.p999_ms),
        ms(under.worst_ms),
        str(result.failed) if result.calls else "-",
        str(result.wrong) if result.calls else "-",
        str(under.unhealthy + result.after.unhealthy) if result.calls else "-",
        f"{result.memory / _MIB:.0f}",
        f"{result.peak_used / _MIB:.0f}",
        f"{result.peak_rss / _MIB:.0f}",
        str(result.descriptors),
        "yes" if result.lived else "NO",
        f"{result.seconds:.1f}",
    )
    return "  ".join(
        f"{cell:>{width}}" if at else f"{cell:{width}}"
        for at, (cell, (_, width, _)) in enumerate(zip(cells, _COLUMNS, strict=True))
    )


def _report(results: Sequence[Result], setting: Setting, took: float, *, verbose: bool) -> None:
    failed = [result for result in results if result.problems(setting.latency_ms)]
    noisy = sum(result.verdict(setting.latency_ms) == "noise" for result in results)
    for result in failed:
        print(f"\n{result.name}")
        for problem in result.problems(setting.latency_ms):
            print(f"  - {problem}")
        for note in result.notes:
            print(f"    ({note})")
        if verbose:
            print("    log: " + "\n         ".join(result.log.splitlines()[-15:]))
    kinds = ", ".join(sorted({result.group for result in results if result.group}))
    print(
        f"\n{len(results) - len(failed)} withstood, {len(failed)} not, of {len(results)} attacks in {took:.0f} s; "
        f"{noisy} as slow without the attack (noise); limit of memory by {kinds}; "
        f"{setting.seconds:g} s each, at {caller.RATE:.0f} calls/s; "
        f"held: what cannot be reclaimed, rss: with the mapped files"
    )


if __name__ == "__main__":
    sys.exit(main())
