"""Coverage-guided fuzzing: `python -m tests.fuzz [--seconds N] [--only TARGET]`. Findings are kept in .run/fuzz."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ("document", "request", "http", "body")
CORPUS = Path(__file__).with_name("corpus")
FOUND = Path(".run/fuzz")
_AT_A_TIME = 2
_IN_MEMORY = "/dev/shm"
_LONGEST = 4096
_SLOW_S = 10
_MEMORY_MIB = 2048


def main() -> int:
    """Fuzz the targets, two at a time; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="For all targets together (default 60).")
    parser.add_argument("--only", action="append", choices=NAMES, help="Only this target; repeatable.")
    parser.add_argument("--grow", action="store_true", help="Add inputs that reach new code to the corpus.")
    parser.add_argument("--target", choices=NAMES, help=argparse.SUPPRESS)
    given, rest = parser.parse_known_args()
    if given.target:
        _fuzz(given.target, rest)
    if importlib.util.find_spec("atheris") is None:
        message = "atheris has no wheel for this machine or this Python"
        print(f"NOT FUZZED: {message}")
        return int(os.environ.get("CI") == "true")
    FOUND.mkdir(parents=True, exist_ok=True)
    names = given.only or list(NAMES)
    rounds = -(-len(names) // _AT_A_TIME)
    good = True
    for first in range(0, len(names), _AT_A_TIME):
        good = _together(names[first : first + _AT_A_TIME], given.seconds / rounds, grow=given.grow) and good
    return int(not good)


def _together(names: list[str], seconds: float, *, grow: bool) -> bool:
    """Fuzz these targets in parallel; return whether there is no finding."""
    good = True
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_IN_MEMORY if Path(_IN_MEMORY).is_dir() else None) as folder:
        running = []
        for name in names:
            new = Path(folder) / name
            new.mkdir()
            words = [sys.executable, "-m", "tests.fuzz", "--target", name, f"-max_total_time={max(1, int(seconds))}"]
            words += [f"-max_len={_LONGEST}", f"-timeout={_SLOW_S}", f"-rss_limit_mb={_MEMORY_MIB}"]
            words += ["-print_final_stats=1", f"-artifact_prefix={FOUND}/{name}-", str(new), str(CORPUS / name)]
            log = (FOUND / f"{name}.log").open("w+", encoding="utf-8", errors="replace")
            env = {**os.environ, "TMPDIR": folder}
            running.append((name, new, log, subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=env)))
        deadline = time.monotonic() + seconds + 60
        for name, new, log, process in running:
            try:
                code = process.wait(max(1.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            log.flush()
            text = Path(log.name).read_text(encoding="utf-8", errors="replace")
            log.close()
            runs = next((line.split()[-1] for line in text.splitlines() if "number_of_executed_units" in line), "?")
            print(
                f"{name:10} {'ok' if code == 0 else 'FOUND'}  {runs} inputs, {len(list(new.iterdir()))} reach new code"
            )
            if code:
                print(text[-3000:])
                good = False
            if grow:
                for path in new.iterdir():
                    shutil.copy(path, CORPUS / name / path.name[:12])
    return good


def _fuzz(name: str, arguments: list[str]) -> None:
    """Run the fuzzer of a target; does not return."""
    import atheris  # noqa: PLC0415 - not everywhere there

    with atheris.instrument_imports(include=["sidecar"]):
        from tests.fuzz.targets import TARGETS, quiet  # noqa: PLC0415 - instrumented as it is imported

    quiet()
    atheris.Setup(["fuzz", *arguments], TARGETS[name])
    atheris.Fuzz()
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
