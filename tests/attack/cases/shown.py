"""Control characters aimed at terminals and logs, and secrets in output."""

from __future__ import annotations

import json
import re
import subprocess
import time
import unicodedata

from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb
from tests.attack.attack import Attack, Stage
from tests.attack.texts import document, workers
from tests.harness import Client

# Written as YAML's escapes: an escape sequence that sets a terminal's title, a newline that forges a line, a carriage
# return that overwrites one, C1's own introducer, right-to-left override, zero width.
_EVIL = r"\e]0;owned\a\e[31mred\n00:00:00 error: forged line\r\u009b2J\u202Efdp\u200Bx"
_HIDDEN = re.compile("[\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_SHOWN = f'meta: {{by: "lin{_EVIL}", reason: "why{_EVIL}", ticket: "T{_EVIL}", "key{_EVIL}": "value"}}\n'
_DRILLS = f'drills: [{{datacenter: dc2, until: 2999-01-01T00:00:00Z, apps: [billing], reason: "drill{_EVIL}"}}]\n'
_NAMES = '  "ab\\u202Ecd": {active: dc1}\n  "zero\\u200Bwidth": {active: dc2}\n'
_BILLING = "  billing: {active: dc1, backups: [dc2]}\n"


def _bad_characters(output: bytes) -> list[str]:
    """Return the control and invisible characters of an output, except newlines and tabs."""
    text = output.decode("utf-8", errors="replace")
    found = {char for char in text if unicodedata.category(char) == "Cc" and char not in "\n\t"}
    return sorted(f"U+{ord(char):04X}" for char in found | set(_HIDDEN.findall(text)))


def _commands(stage: Stage) -> list[tuple[str, ...]]:
    path, state = str(stage.sidecar.document), ("--state-dir", str(stage.sidecar.state_dir))
    target = ("--sidecar", f"unix:{stage.sidecar.socket}")
    history = json.loads(stage.sidecar.run("history", *state, "-o", "json").stdout or "[]")
    revisions = [record["revision"] for record in history if record.get("revision")]
    evil = [{"address": "\x1b[31mred\nforged\u202e:1", "datacenter": "dc1"}]
    dry = ("--dry-run", "--yes", "--hold-off", "0s")
    found: list[tuple[str, ...]] = [
        ("status", *target),
        ("history", *state),
        ("history", "--app", "billing", *state),
        ("check", path),
        ("explain", path, "--app", "billing", "--candidates", "dc1=1,dc2=1"),
        ("explain", path, "--app", "billing", "--candidates", json.dumps(evil)),
        ("filter", "billing", "--candidates", json.dumps(evil), *target),
        ("switch", "billing", "dc2", *dry, *target),
        ("switch", "billing", "dc3", "--require-workers", "1", *dry, *target),
        ("shift", "billing", "dc1=50", "dc2=50", *dry),
        ("drill", "dc1", "--for", "1h", *dry),
        ("mark", "dc1", "--out", *dry),
        ("pin", "billing", "7", "dc2", *dry),
        ("rollback", *dry),
    ]
    if len(revisions) > 1:
        found += [("history", "show", revisions[-1], *state), ("history", "diff", revisions[0], revisions[-1], *state)]
    return found


def _terminal(stage: Stage) -> None:
    sidecar = stage.sidecar
    _decides(stage, document(_BILLING))
    _decides(stage, document(_BILLING, rest=_SHOWN + _DRILLS))
    with Client(sidecar.target) as client:
        # Operators are shown what workers report.
        evil = json.dumps({"datacenter": "dc\x1b[31m\n\u202e"})
        client.filter(
            pb.FilterWorkersRequest(app="billing", candidates=[*workers(["dc1"]), pb.Worker(address="a", metrics=evil)])
        )
    time.sleep(0.5)
    _look(stage)


def _look(stage: Stage) -> None:
    for words in _commands(stage):
        done = stage.sidecar.run(*words)
        for name, output in (("output", done.stdout), ("messages", done.stderr)):
            bad = _bad_characters(output)
            shown = " ".join(word if len(word) < 20 else f"{word[:17]}..." for word in words[:3])
            stage.expect(not bad, f"`dc-sidecar {shown}`: its {name} hold {', '.join(bad)}")
            forged = [
                line for line in output.decode(errors="replace").splitlines() if line.startswith("00:00:00 error")
            ]
            stage.expect(not forged, f"`dc-sidecar {shown}`: its {name} hold a forged line")
        stage.expect(
            b"Traceback" not in done.stderr, f"`dc-sidecar {words[0]}` has a traceback: {done.stderr[-300:]!r}"
        )


def _names(stage: Stage) -> None:
    """Name applications with right-to-left and zero-width characters."""
    sidecar = stage.sidecar
    revision = stage.put(document(_BILLING + _NAMES))
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        told = sidecar.status()
        if told["refusal"]:
            stage.note("such names are refused")
            return
        if told["revision"] == revision:
            break
        time.sleep(0.05)
    time.sleep(0.5)
    state = ("--state-dir", str(sidecar.state_dir))
    for words in (("history", *state), ("switch", "--all", "dc3", "--dry-run", "--yes", "--hold-off", "0s")):
        bad = _bad_characters(sidecar.run(*words).stdout)
        stage.expect(not bad, f"`dc-sidecar {words[0]}` shows names with {', '.join(bad)} as they are")


def _console_log(stage: Stage) -> None:
    """Put texts into documents that forge lines of the console log."""
    _decides(stage, document(_BILLING))
    _decides(stage, document(_BILLING, rest=_SHOWN + _DRILLS))
    revision = stage.put('bad: "' + _EVIL + '"\n' + document())
    eventually_refused(stage, revision)
    log = stage.sidecar.log.read_bytes()
    bad = _bad_characters(log)
    stage.expect(not bad, f"the log holds {', '.join(bad)}")
    forged = [line for line in log.decode(errors="replace").splitlines() if line.startswith("00:00:00")]
    stage.expect(not forged, f"a document forged a line of the log: {forged[:1]}")


def _callers_names(stage: Stage) -> None:
    """Call with application names that hold control characters."""
    with Client(stage.sidecar.target) as client:
        for number in range(20):
            app = f"\x1b[31mevil\n00:00:00 error: forged\u202e{number}"
            client.filter(pb.FilterWorkersRequest(app=app, job="1", candidates=workers(["dc2"])))
    time.sleep(1.5)
    done = stage.sidecar.run("status", "--sidecar", f"unix:{stage.sidecar.socket}")
    for name, output in (("`dc-sidecar status`", done.stdout), ("the log", stage.sidecar.log.read_bytes())):
        bad = _bad_characters(output)
        stage.expect(not bad, f"{name} holds {', '.join(bad)} of a caller's made-up names")


def _decides(stage: Stage, text: str) -> None:
    revision = stage.put(text)
    deadline = time.monotonic() + 10
    while stage.sidecar.status()["revision"] != revision:
        assert time.monotonic() < deadline, f"a document does not decide: {stage.sidecar.status()['refusal']}"
        time.sleep(0.05)


def eventually_refused(stage: Stage, revision: str) -> None:
    """Wait until a text is refused."""
    deadline = time.monotonic() + 10
    while (stage.sidecar.status()["refusal"] or {}).get("revision") != revision:
        assert time.monotonic() < deadline, "a bad document is not refused"
        time.sleep(0.05)
    time.sleep(0.2)


_SECRET = "hunter2-very-secret"


def _configuration(stage: Stage) -> None:
    """Configure webhook URLs with tokens and database URLs with passwords, and show them."""
    config = stage.folder / "sidecar.yaml"
    config.write_text(
        "reactions:\n"
        f"  - {{name: chat, webhook: 'https://hooks.example/services/{_SECRET}?token={_SECRET}'}}\n"
        f"  - {{name: user, webhook: 'https://u:{_SECRET}@hooks.example/'}}\n",
        encoding="utf-8",
    )
    for form in ("text", "json"):
        done = stage.sidecar.run("config", "show", "--config", str(config), *(("-o", "json") if form == "json" else ()))
        stage.expect(done.returncode == 0, f"`config show` ended with {done.returncode}: {done.stderr[-200:]!r}")
        stage.expect(
            _SECRET.encode() not in done.stdout + done.stderr, f"`config show` ({form}) shows a webhook's secret"
        )
    state = ("--state-dir", str(stage.folder / "state"))
    listen = ("--source", f"file:{stage.sidecar.document}", "--listen", f"unix:{stage.folder}/c.sock")
    for where, url in (
        ("a query", f"postgresql://u@db/x?password={_SECRET}"),
        ("its place", f"postgresql://u:{_SECRET}@db/x"),
    ):
        shown = stage.sidecar.run("config", "show", "--audit-db", url, *state)
        hidden = _SECRET.encode() not in shown.stdout + shown.stderr
        stage.expect(hidden, f"`config show` shows a password that --audit-db has in {where}")
        try:
            served = stage.sidecar.run("serve", *listen, "--audit-db", url, *state, within=4)
        except subprocess.TimeoutExpired:
            stage.find(f"--audit-db takes a password in {where}")
        else:
            stage.note(f"a password in {where}: {served.stderr[-200:]!r}")


def _plain_credentials(stage: Stage) -> None:
    """Configure Nacos credentials without TLS."""
    words = ("serve", "--source", "nacos://nacos.invalid:8848/G/d", "--nacos-username", "u")
    stage.sidecar.env["DC_SIDECAR_NACOS_PASSWORD"] = _SECRET
    try:
        done = stage.sidecar.run(*words, "--listen", f"unix:{stage.folder}/n.sock", within=4)
        said = (done.stdout + done.stderr).decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode(errors="replace")
    about = [
        line
        for line in said.replace(str(stage.folder), "").splitlines()
        if re.search(r"(?i)plain|unencrypted|without tls|nacos-tls|https", line)
    ]
    stage.expect(about, f"nothing is said of credentials over plain HTTP: {said[-200:]!r}")
    stage.note(f"it says: {about[:1]}")
    stage.expect(_SECRET not in said, "the log shows the password")


def _attack(name: str, run: object, product: str, **more: object) -> Attack:
    assert callable(run)
    return Attack(name=name, run=run, product=product, calls=False, **more)  # type: ignore[arg-type]


ATTACKS = [
    _attack(
        "terminal-escapes",
        _terminal,
        "All commands escape control characters of documents, records and requests.",
        item="13",
    ),
    _attack(
        "terminal-names",
        _names,
        "Names with right-to-left or zero-width characters are refused or escaped.",
        item="13",
        short=True,
    ),
    _attack(
        "log-forging",
        _console_log,
        "The console log escapes control characters of documents.",
        item="13",
        flags=("--log-format=console",),
        short=True,
    ),
    _attack(
        "callers-names-shown",
        _callers_names,
        "Log and commands escape control characters of names in requests.",
        item="13",
        flags=("--log-format=console",),
        document=lambda: document(default="{active: dc1, backups: [dc2, dc3], failover: {back: manual}}"),
    ),
    _attack(
        "secrets-shown",
        _configuration,
        "`config show` hides secrets in URLs; `--audit-db` refuses passwords.",
        item="14",
        starts=False,
    ),
    _attack(
        "plain-credentials",
        _plain_credentials,
        "Nacos credentials over plain HTTP are refused or warned about.",
        item="14",
        starts=False,
    ),
]
