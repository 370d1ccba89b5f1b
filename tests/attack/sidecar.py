"""The sidecar that is attacked: the installed command, as the chart starts it, in a memory group."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.attack.chart import chart_defaults
from tests.attack.memory_group import Memory, MemoryGroup, SampledGroup, memory_of
from tests.servers.process import free_port
from tests.waiting import eventually

COMMAND = Path(sys.executable).with_name("dc-sidecar")

# As systemd sets them: a low soft limit, which a process may raise to the hard one.
_SOFT_DESCRIPTORS = 1024
_HARD_DESCRIPTORS = min(65_536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
_SAMPLE_S = 0.025
# If permitted: on a busy machine the sidecar then has the cores as if they were its own.
_NICE = -10
# Its mounts disappear with it.
_OWN_MOUNTS = ("unshare", "--mount")
_MIB = 1024**2
_WRONG_CONFIGURATION = 78


class DidNotStart(AssertionError):
    """The sidecar was not ready in time; the message has the reason."""


class AttackedSidecar:
    """`dc-sidecar serve` with the file source, HTTP and a state directory, as the chart starts it.

    flags: added after the chart's. setup: shell commands run before it; one that begins with `mount` gives it mounts
    of its own. grpc, http: the ports on loopback to call. listens: the port that it serves gRPC on, where a proxy is in
    front of it at `grpc`.
    """

    def __init__(
        self,
        folder: Path,
        group: MemoryGroup,
        *,
        memory: int,
        flags: Sequence[str] = (),
        setup: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        command: Path = COMMAND,
        front: bool = False,
    ) -> None:
        self.folder = folder
        self.document = folder / "routing.yaml"
        self.state_dir = folder / "state"
        self.socket = folder / "s.sock"
        self.log = folder / "sidecar.log"
        self.grpc, self.http = free_port(), free_port()
        self.listens = free_port() if front else self.grpc
        self.token = ""
        self._group = group
        self._memory = memory
        self._flags = flags
        self._setup = setup
        self.env = dict(env or {})
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_by_us = False
        self._sampler = threading.Thread()
        self._stopping = threading.Event()
        self.peak: Memory = Memory(0, 0, 0, 0, 0)
        self.peak_used = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None, "the sidecar was not started"
        return self._process.pid

    @property
    def lived(self) -> bool:
        """Return whether it runs still."""
        return self._process is not None and self._process.poll() is None

    @property
    def died(self) -> bool:
        """Return whether it ended by itself or was killed by the kernel."""
        return self._process is not None and not self.lived and not self._ended_by_us

    @property
    def target(self) -> str:
        """Where gRPC is served."""
        return f"127.0.0.1:{self.grpc}"

    def command(self) -> list[str]:
        """Return the words that it is started with."""
        defaults = chart_defaults()
        words = []
        for argument in defaults.arguments:
            name, _, value = argument.partition("=")
            match name:
                case "--source":
                    words.append(f"--source=file:{self.document}")
                case "--listen" if value.startswith("unix:"):
                    words.append(f"--listen=unix:{self.socket}")
                case "--listen":
                    words.append(f"--listen=127.0.0.1:{self.listens}")
                    if self.listens == self.grpc:
                        # As at the address of the chart, which other machines reach; behind a proxy they do not.
                        words.append("--call-reading=threads")
                case "--http":
                    words.append(f"--http=127.0.0.1:{self.http}")
                case "--http-token-file":
                    words.append(f"--http-token-file={self._token_file()}")
                case "--state-dir":
                    words.append(f"--state-dir={self.state_dir}")
                case "--grace":
                    words.append("--grace=2s")
                case _:
                    words.append(argument)
        if isinstance(self._group, SampledGroup) and "--max-memory" in _serve_help(self._command):
            # There is no control group from which it could read its limit.
            words.append(f"--max-memory={self._memory // _MIB}MiB")
        flags = [flag.replace("%PORT%", str(self.http)) for flag in self._flags]
        given = {flag.partition("=")[0] for flag in flags} & {"--http"}
        if given:
            # Its flags say all about HTTP.
            given.add("--http-token-file")
            self.token = ""
        words = [word for word in words if word.partition("=")[0] not in given]
        return [str(self._command), *words, *flags]

    def start(self, *, ready: bool = True, within: float = 20.0) -> None:
        """Start it; `ready` waits until it has a document to decide by. Raises DidNotStart."""
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        self._ended_by_us = False
        lines = [
            f"ulimit -Hn {_HARD_DESCRIPTORS}",
            f"ulimit -Sn {_SOFT_DESCRIPTORS}",
            "ulimit -c 0",
            *self._setup,
            self._group.enter(),
            f"exec nice -n {_NICE} {shlex.join(self.command())}",
        ]
        defaults = chart_defaults().env
        env = {**os.environ, **defaults, "DC_SIDECAR_ADDRESS": f"unix:{self.socket}", **self.env}
        mounts = any(line.startswith("mount") for line in self._setup)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_OWN_MOUNTS, "/bin/sh", "-ec", "\n".join(lines)] if mounts else ["/bin/sh", "-ec", "\n".join(lines)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=self.folder,
            )
        self._stopping.clear()
        self._sampler = threading.Thread(target=self._sample, name="sampler", daemon=True)
        self._sampler.start()
        if ready:
            self.wait_ready(within)

    def wait_ready(self, within: float) -> None:
        """Wait until it has a document to decide by. Raises DidNotStart."""
        deadline = time.monotonic() + within
        while not self.is_ready():
            if not self.lived or time.monotonic() > deadline:
                state = f"not ready within {within:g} s" if self.lived else self.end()
                raise DidNotStart(f"the sidecar: {state}; its log ends with: {self.log_text()[-600:]}")
            time.sleep(0.02)

    def is_ready(self) -> bool:
        """Ask /readyz."""
        with suppress(OSError, http.client.HTTPException):
            return self.get("/readyz", within=2)[0] == 200
        return False

    def get(self, path: str, *, within: float = 10.0, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """GET a path over a connection of its own; return status and body. Raises OSError and HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=within)
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request("GET", path, headers={**own, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Return /v1/status."""
        status, body = self.get("/v1/status")
        assert status == 200, (status, body[:200])
        found: dict[str, Any] = json.loads(body)
        return found

    def connect(self, port: int | None = None) -> socket.socket:
        """Return a new connection to a port of it, gRPC's where none is named."""
        connection = socket.create_connection(("127.0.0.1", port or self.grpc), timeout=5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def run(self, *words: str, within: float = 20.0, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run another command of dc-sidecar, with this one's document and socket in its environment."""
        env = {
            **os.environ,
            **self.env,
            "DC_SIDECAR_SOURCE": f"file:{self.document}",
            "DC_SIDECAR_ADDRESS": f"unix:{self.socket}",
        }
        return subprocess.run(
            [str(self._command), *words], input=stdin, env=env, capture_output=True, timeout=within, check=False
        )

    def log_text(self) -> str:
        """Return all that it logged."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def end(self) -> str:
        """Return how it ended, "" while it runs."""
        if self._process is None or self.lived:
            return ""
        code = self._process.returncode
        if self._group.exceeded(self.pid):
            return f"killed: above {self._memory // _MIB} MiB ({self._group.kind})"
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    def refuses_to_start(self, within: float = 5.0) -> bool:
        """Return whether it ends by itself within seconds, as for a wrong configuration: it then counts as alive."""
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        self._ended_by_us = self._ended_by_us or self._process.returncode == _WRONG_CONFIGURATION
        return self._process.returncode == _WRONG_CONFIGURATION

    def terminate(self, within: float = 15.0) -> int:
        """Send SIGTERM and return the exit status; SIGKILL if it does not end in time."""
        assert self._process is not None
        self._ended_by_us = self._ended_by_us or self.lived
        self._process.terminate()
        try:
            return self._process.wait(within)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill it and stop sampling."""
        self._stopping.set()
        if self._process is not None and self.lived:
            self._ended_by_us = True
            self._process.kill()
            self._process.wait(20)
        if self._sampler.ident is not None:
            self._sampler.join(5)

    def _token_file(self) -> Path:
        path = self.folder / "token"
        self.token = "attack-token"
        path.write_text(self.token, encoding="ascii")
        path.chmod(0o600)
        return path

    def _sample(self) -> None:
        """Record the peaks of memory, threads and descriptors."""
        while not self._stopping.is_set():
            try:
                now = memory_of(self.pid)
            except OSError:
                return
            before = self.peak
            self.peak = Memory(
                max(now.rss, before.rss),
                max(now.peak_rss, before.peak_rss),
                max(now.anonymous, before.anonymous),
                max(now.threads, before.threads),
                max(now.descriptors, before.descriptors),
            )
            self.peak_used = max(self.peak_used, self._group.used(self.pid))
            self._stopping.wait(_SAMPLE_S)

    def wait_log(self, pattern: str, within: float) -> bool:
        """Wait for a match in the log; return whether there is one."""
        with suppress(AssertionError):
            return bool(eventually(lambda: re.search(pattern, self.log_text()), pattern, within=within, every=0.05))
        return False


def _serve_help(command: Path) -> str:
    return subprocess.run([str(command), "serve", "--help"], capture_output=True, text=True, check=False).stdout
