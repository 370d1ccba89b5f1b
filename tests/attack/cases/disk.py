"""Full disks, removed folders, tampered state files and records."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tests.attack.attack import Attack, Stage
from tests.attack.chart import chart_defaults
from tests.attack.texts import document
from tests.waiting import eventually

_ELSEWHERE = 65_534
_MIB = 1024**2


def _change(stage: Stage, number: int) -> str:
    """Put a document and wait until it decides."""
    revision = stage.put(
        document(f"  app-{number}: {{active: dc{number % 3 + 1}}}\n", rest=f"meta: {{by: op-{number}}}\n")
    )
    eventually(lambda: stage.sidecar.status()["revision"] == revision, f"change {number} decides", within=10)
    return revision


def _recorded(stage: Stage, revision: str, within: float = 6.0) -> bool:
    """Wait until the audit has a document; return whether it does."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if revision in _history(stage):
            return True
        time.sleep(0.2)
    return False


def _history(stage: Stage) -> str:
    done = stage.sidecar.run("history", "--state-dir", str(stage.sidecar.state_dir), "-o", "json")
    return done.stdout.decode(errors="replace")


def _verify(stage: Stage) -> subprocess.CompletedProcess[bytes]:
    return stage.sidecar.run("history", "verify", "--state-dir", str(stage.sidecar.state_dir))


@contextmanager
def _with_records(stage: Stage, count: int = 4) -> Iterator[Path]:
    """Yield the audit folder of a stopped sidecar that saw `count` changes."""
    stage.sidecar.start()
    revision = ""
    for number in range(count):
        revision = _change(stage, number)
    assert _recorded(stage, revision), "the audit does not have what was changed"
    stage.sidecar.terminate()
    before = _verify(stage)
    stage.expect(before.returncode == 0, f"an untouched audit does not verify: {before.stdout!r} {before.stderr!r}")
    yield stage.sidecar.state_dir / "audit"


def _newest(audit: Path) -> Path:
    return max(audit.glob("[0-9]*.jsonl"))


def _cut(audit: Path, lines: int = 2) -> None:
    path = _newest(audit)
    text = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(text[:-lines]))


def _not_verified(stage: Stage, what: str) -> None:
    done = _verify(stage)
    stage.expect(
        done.returncode != 0, f"`history verify` passes {what}: {done.stdout.decode(errors='replace').strip()}"
    )


def _tail_and_head(stage: Stage) -> None:
    with _with_records(stage) as audit:
        _cut(audit)
        (audit / "head").unlink()
        _not_verified(stage, "after the last records and `head` were removed")


def _head_alone(stage: Stage) -> None:
    """Corrupt `head` and restart: the damage must be reported by log or `history verify`."""
    with _with_records(stage) as audit:
        _cut(audit)
        (audit / "head").write_bytes(b"{}")
        _not_verified(stage, "with a broken `head`")
        stage.sidecar.start()
        revision = _change(stage, 9)
        _recorded(stage, revision)
        said = re.search(r'"(WARNING|ERROR)".*(audit|record|chain|head)', stage.sidecar.log_text())
        done = _verify(stage)
        stage.expect(
            said or done.returncode, "a restart healed the broken head: neither log nor `history verify` says so"
        )


def _empty_folder(stage: Stage) -> None:
    with _with_records(stage) as audit:
        shutil.rmtree(audit)
        audit.mkdir(mode=0o700)
        _not_verified(stage, "on an empty folder")


def _removed_while_running(*, folder: bool) -> object:
    def run(stage: Stage) -> None:
        stage.sidecar.start()
        assert _recorded(stage, _change(stage, 0)), "the audit does not have what was changed"
        audit = stage.sidecar.state_dir / "audit"
        if folder:
            shutil.rmtree(audit)
        else:
            _newest(audit).unlink()
        log = len(stage.sidecar.log_text())
        revision = _change(stage, 1)
        recorded = _recorded(stage, revision, within=4)
        said = re.search(r'"(WARNING|ERROR)".*(audit|record)', stage.sidecar.log_text()[log:])
        what = "folder" if folder else "segment"
        stage.expect(recorded, f"after the {what} was removed a change is recorded nowhere")
        stage.expect(said, f"after the {what} was removed the log does not say that records are gone")

    return run


def _fifo(name: str) -> object:
    def run(stage: Stage) -> None:
        stage.sidecar.state_dir.mkdir(mode=0o700)
        os.mkfifo(stage.sidecar.state_dir / name, 0o600)
        stage.sidecar.start(ready=False)
        try:
            stage.sidecar.wait_ready(8)
        except AssertionError:
            stage.find(f"a FIFO named `{name}` hangs the start")
            return
        revision = _change(stage, 1)
        stage.note(f"revision {revision} decides")

    return run


def _symlinks(stage: Stage) -> None:
    """Put symbolic links in place of temporary and audit files: nothing may be written through them."""
    state = stage.sidecar.state_dir
    state.mkdir(mode=0o700)
    (state / "audit").mkdir(mode=0o700)
    victims = {}
    names = (".snapshot.new", ".failovers.new", "audit/.head.new", "audit/lock", "audit/000000000001.jsonl")
    for number, name in enumerate(names):
        victim = stage.folder / f"victim-{number}"
        victim.write_text("untouched\n", encoding="ascii")
        (state / name).symlink_to(victim)
        victims[name] = victim
    stage.sidecar.start(ready=False)
    try:
        stage.sidecar.wait_ready(10)
        _change(stage, 1)
        time.sleep(1.0)
    except AssertionError as error:
        stage.find(f"links in the state directory stop it: {str(error)[:200]}")
    for name, victim in victims.items():
        stage.expect(victim.read_text(errors="replace") == "untouched\n", f"it wrote through the link {name}")


def _modes(stage: Stage) -> None:
    """Check the modes of all files, independent of the umask."""
    stage.sidecar.start()
    revision = _change(stage, 1)
    _recorded(stage, revision)
    eventually((stage.sidecar.state_dir / "snapshot").exists, "a snapshot", within=5)
    for path in sorted(stage.sidecar.state_dir.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        expected = 0o700 if path.is_dir() else 0o600
        stage.expect(
            mode == expected,
            f"{path.relative_to(stage.sidecar.state_dir)} has mode {mode:04o}, expected {expected:04o}",
        )


def _forge(stage: Stage, text: str) -> bytes:
    """Return a snapshot of another text that passes all checks of its format."""
    stage.sidecar.start()
    _change(stage, 1)
    path = stage.sidecar.state_dir / "snapshot"
    eventually(path.exists, "a snapshot", within=5)
    stage.sidecar.terminate()
    header = json.loads(path.read_bytes().partition(b"\n")[0])
    header["sha256"] = sha256(text.encode()).hexdigest()
    return json.dumps(header).encode() + b"\n" + text.encode()


def _decides(stage: Stage, revision: str) -> bool:
    """Start without a document at the source; return whether this revision decides."""
    stage.sidecar.document.unlink()
    stage.sidecar.start(ready=False)
    time.sleep(2.0)
    return bool(stage.sidecar.status()["revision"] == revision)


_FORGED = "default: evil\n"


def _forged(*, how: str) -> object:
    def run(stage: Stage) -> None:
        if how == "owner" and os.geteuid() != 0:
            stage.note("only root can give a file to another user: not tried")
            return
        forged = _forge(stage, _FORGED)
        path = stage.sidecar.state_dir / "snapshot"
        path.unlink()
        if how == "link":
            elsewhere = stage.folder / "elsewhere"
            elsewhere.write_bytes(forged)
            path.symlink_to(elsewhere)
        else:
            path.write_bytes(forged)
            path.chmod(0o666 if how == "mode" else 0o600)
            if how == "owner":
                os.chown(path, _ELSEWHERE, _ELSEWHERE)
        words = {"owner": "of another user", "mode": "that anybody can write", "link": "behind a symbolic link"}[how]
        decides = _decides(stage, sha256(_FORGED.encode()).hexdigest()[:12])
        stage.expect(not decides, f"a forged snapshot {words} decides")

    return run


def _open_state_dir(stage: Stage) -> None:
    stage.sidecar.state_dir.mkdir()
    stage.sidecar.state_dir.chmod(0o777)
    stage.sidecar.start(ready=False)
    said = stage.sidecar.wait_log(r"(WARNING|ERROR|cannot start).*(state|writ|mode|others)", 3)
    stage.expect(said, "a state directory that anybody can write to is taken without a word")
    if stage.sidecar.refuses_to_start():
        stage.note("it refuses to start with such a state directory")


def _full_disk(stage: Stage) -> None:
    """Fill the disk with audit records."""
    state = Path(f"/proc/{stage.sidecar.pid}/root{stage.sidecar.state_dir}")
    mounted = bool(stage.attack.setup and stage.attack.setup[0].startswith("mount"))
    ballast = "x" * 20_000
    last = ""
    for number in stage.rounds(every=0.1):
        last = stage.put(document(rest=f"meta: {{number: {number}, ballast: {ballast}}}\n"))
    stage.expect(
        stage.sidecar.wait_log(r'"(WARNING|ERROR)".*(audit|snapshot)', 3), "the log does not say that the disk is full"
    )
    if not mounted or not stage.sidecar.lived:
        return
    # Room again: what waited is written.
    for path in state.rglob("*.jsonl"):
        path.unlink()
    subprocess.run(
        [
            "nsenter",
            "--target",
            str(stage.sidecar.pid),
            "--mount",
            "mount",
            "-o",
            "remount,size=8m",
            str(stage.sidecar.state_dir),
        ],
        check=True,
        timeout=10,
    )
    try:
        eventually(
            lambda: any(last.encode() in path.read_bytes() for path in state.rglob("*.jsonl")),
            "the last record",
            within=8,
        )
    except AssertionError:
        stage.find("with room again what waited is not written within 8 s")


def _outgrow(stage: Stage) -> None:
    """Change large documents until the audit is at its limit; the state volume of the chart must hold it."""
    bound = chart_defaults().state_volume
    most = 0
    for number in stage.rounds(every=0.12):
        stage.put(document(rest=f"meta: {{number: {number}, ballast: '{os.urandom(200_000).hex()}'}}\n"))
        most = max(most, _size(stage.sidecar.state_dir))
    time.sleep(1.0)
    most = max(most, _size(stage.sidecar.state_dir))
    stage.note(f"the state directory held {most / _MIB:.1f} MiB at most, the chart's volume {bound / _MIB:.0f} MiB")
    stage.expect(
        most <= bound, f"the state directory took {most / _MIB:.1f} MiB, the chart's volume has {bound / _MIB:.0f} MiB"
    )


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


_TMPFS = "mount -t tmpfs -o size=256k,mode=700 tmpfs state"


def _attack(name: str, run: object, product: str, *, open_: str = "", short: bool = False, item: str = "11") -> Attack:
    assert callable(run)
    return Attack(name=name, run=run, item=item, product=product, calls=False, starts=False, open=open_, short=short)


ATTACKS = [
    _attack(
        "journal-tail-and-head",
        _tail_and_head,
        "`history verify` fails if the last records and `head` were removed.",
        short=True,
    ),
    _attack(
        "journal-head",
        _head_alone,
        "`history verify` and the log of a restart report a corrupt `head`.",
    ),
    _attack("journal-empty", _empty_folder, "`history verify` fails on an empty folder."),
    _attack(
        "journal-folder-removed",
        _removed_while_running(folder=True),
        "If the audit folder is removed at run time, it is created again and the loss is logged.",
    ),
    _attack(
        "journal-segment-removed",
        _removed_while_running(folder=False),
        "If a segment is removed at run time, recording continues and the loss is logged.",
    ),
    _attack(
        "snapshot-fifo",
        _fifo("snapshot"),
        "A FIFO in place of the snapshot does not block the start.",
    ),
    _attack(
        "failovers-fifo",
        _fifo("failovers"),
        "A FIFO in place of the failovers does not block the start.",
    ),
    _attack(
        "state-symlinks",
        _symlinks,
        "State files are never written through symbolic links.",
        short=True,
    ),
    _attack(
        "state-modes",
        _modes,
        "State files are readable by their owner only.",
    ),
    _attack(
        "snapshot-other-owner",
        _forged(how="owner"),
        "A snapshot owned by another user is not used.",
    ),
    _attack("snapshot-writable", _forged(how="mode"), "A snapshot writable by others is not used."),
    _attack("snapshot-symlink", _forged(how="link"), "A snapshot behind a symbolic link is not used."),
    _attack(
        "state-dir-writable",
        _open_state_dir,
        "A state directory writable by others is refused or warned about.",
        item="14",
    ),
    Attack(
        name="disk-full",
        run=_full_disk,
        item="10",
        product="A full disk is logged and delays no call; once there is space, pending records are written.",
        setup=(_TMPFS,),
    ),
    Attack(
        name="disk-file-limit",
        run=_full_disk,
        item="10",
        product="A file size limit is logged and delays no call.",
        setup=("ulimit -f 128", "trap '' XFSZ"),
    ),
    Attack(
        name="audit-outgrows-volume",
        run=_outgrow,
        item="10",
        product="The audit, snapshot and failovers fit the state volume of the chart.",
        least=6.0,
    ),
]
