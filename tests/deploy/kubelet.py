"""Plays kubelet: runs a pod's containers from its manifest alone, asks its probes at their periods, and ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.deploy.container import ROOT, Container, Mount, Running
from tests.deploy.image import Image
from tests.waiting import eventually

Manifest = Mapping[str, Any]

POD_IP = "10.244.1.7"
# Holds the pod's network, with loopback and an address of the pod up in it, and asks gRPC and HTTP probes from there,
# one for each line of its standard input, as kubelet does: on the pod's address, gRPC without TLS, HTTPS unchecked.
_PAUSE = """
import fcntl, socket, struct, sys
def lo(name, request, value):
    with socket.socket() as s:
        fcntl.ioctl(s, request, struct.pack("16s", name) + value)
address = lambda text: struct.pack("HH4s8s", socket.AF_INET, 0, socket.inet_aton(text), b"")
for name in (b"lo", b"lo:1"):
    if name != b"lo":
        lo(name, 0x8916, address(sys.argv[1]))
    lo(name, 0x8914, struct.pack("H14s", 0x49, b""))
print("up", flush=True)
import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
import ssl, urllib.request
unchecked = ssl._create_unverified_context()
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked))
for line in sys.stdin:
    port, timeout, *service = line.split()
    if service and "://" in service[0]:
        try:
            with direct.open(service[0], timeout=float(timeout)) as answer:
                print(int(200 <= answer.status < 400), flush=True)
        except OSError:
            print(0, flush=True)
        continue
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"{sys.argv[1]}:{port}", options=options) as channel:
        try:
            asked = HealthCheckRequest(service="".join(service))
            answer = HealthStub(channel).Check(asked, timeout=float(timeout), wait_for_ready=False)
            print(int(answer.status == HealthCheckResponse.SERVING), flush=True)
        except grpc.RpcError:
            print(0, flush=True)
"""
_MEMORY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass(slots=True)
class Member:
    """A container of the pod, as it is now."""

    manifest: Manifest
    running: Running | None = None
    started: bool = False
    ready: bool = False
    restarts: int = 0
    exit_code: int | None = None

    @property
    def name(self) -> str:
        """Its name in the manifest."""
        return str(self.manifest["name"])

    @property
    def process(self) -> Running:
        """What runs; fails where nothing does."""
        assert self.running is not None, f"{self.name} does not run"
        return self.running


class Pod:
    """A pod, run from its spec. `images` are by repository, `config_maps` and `secrets` by name.

    As a context manager it is started, without waiting for more than kubelet waits for, and cleared away at the end.
    `events` has the name of a container and what became of it (started, ready, unready, ended), in order.
    """

    def __init__(
        self,
        spec: Manifest,
        images: Mapping[str, Image],
        *,
        folder: Path,
        config_maps: Mapping[str, Mapping[str, str]] | None = None,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.spec = spec
        self.events: list[tuple[str, str]] = []
        self.folder = folder
        self._images = images
        self._volumes = Path(tempfile.mkdtemp(prefix="pod-"))
        self._volumes.chmod(0o755)
        self._stopped = threading.Event()
        self._asking = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sidecars = [Member(one) for one in spec.get("initContainers", ()) if one.get("restartPolicy") == "Always"]
        self.members = {one.name: one for one in (*self._sidecars, *map(Member, spec["containers"]))}
        self._group = spec.get("securityContext", {}).get("fsGroup")
        for volume in spec.get("volumes", ()):
            self._make_volume(volume, config_maps or {}, secrets or {})
        words = [sys.executable, "-c", _PAUSE, POD_IP]
        rootless = [] if ROOT else ["--user", "--map-root-user"]
        self._pause = subprocess.Popen(
            ["unshare", *rootless, "--net", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._pause.stdout is not None
        assert self._pause.stdout.readline() == "up\n"

    def __enter__(self) -> Self:
        try:
            for member in self._sidecars:
                self._start(member)
                eventually(lambda member=member: member.started, f"{member.name} has started", within=60)  # type: ignore[misc]
            for member in self.members.values():
                if member not in self._sidecars:
                    self._start(member)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        for member in self.members.values():
            if member.running is not None:
                member.running.remove()
        self._pause.kill()
        self._pause.communicate()
        shutil.rmtree(self._volumes, ignore_errors=True)

    @property
    def ready(self) -> bool:
        """Whether all its containers are."""
        return all(member.ready for member in self.members.values())

    def volume(self, name: str) -> Path:
        """Return the folder of a volume."""
        return self._volumes / name

    def log(self, name: str) -> str:
        """Return what a container printed, over all its starts."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def restart(self, name: str) -> None:
        """Kill a container as a crash would; kubelet starts it anew (without the pause that it makes by and by)."""
        self.members[name].process.signal(signal.SIGKILL)

    def delete(self) -> float:
        """End the pod as kubelet does: first the containers, then the native sidecars; return the seconds it took."""
        began = time.monotonic()
        grace = float(self.spec.get("terminationGracePeriodSeconds", 30))
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        main = [member for member in self.members.values() if member not in self._sidecars]
        for group in (main, *([one] for one in reversed(self._sidecars))):
            ends = [threading.Thread(target=self._end, args=(member, began + grace)) for member in group]
            for end in ends:
                end.start()
            for end in ends:
                end.join()
        return time.monotonic() - began

    def project(self, volume: str, data: Mapping[str, str]) -> None:
        """Put these files into a volume as kubelet does: a new folder, and one rename of the link `..data` to it."""
        root = self._volumes / volume
        stamp = f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{uuid.uuid4().hex[:9]}"
        (root / stamp).mkdir(mode=0o755)
        for name, text in data.items():
            (root / stamp / name).write_text(text, encoding="utf-8")
            (root / stamp / name).chmod(0o644)
        before = (root / "..data").readlink() if (root / "..data").is_symlink() else None
        (root / "..data_tmp").symlink_to(stamp)
        (root / "..data_tmp").rename(root / "..data")
        for name in data:
            if not (root / name).is_symlink():
                (root / name).symlink_to(f"..data/{name}")
        if before:
            shutil.rmtree(root / before)

    def _make_volume(
        self, volume: Manifest, config_maps: Mapping[str, Mapping[str, str]], secrets: Mapping[str, Mapping[str, str]]
    ) -> None:
        name = volume["name"]
        root = self._volumes / name
        root.mkdir()
        if "emptyDir" in volume:
            if self._group is not None and ROOT:
                os.chown(root, 0, self._group)
            root.chmod(0o2777)
            return
        root.chmod(0o755)
        if "configMap" in volume:
            self.project(name, config_maps[volume["configMap"]["name"]])
        elif "secret" in volume:
            data = secrets[volume["secret"]["secretName"]]
            items = volume["secret"].get("items", [{"key": key, "path": key} for key in data])
            self.project(name, {item["path"]: data[item["key"]] for item in items})
        else:
            files: dict[str, str] = {}
            for source in volume["projected"]["sources"]:
                data = secrets[source["secret"]["name"]]
                files.update({item["path"]: data[item["key"]] for item in source["secret"]["items"]})
            self.project(name, files)

    def _start(self, member: Member) -> None:
        manifest = member.manifest
        image = self._images[str(manifest["image"]).partition("@")[0].rpartition(":")[0]]
        context = {**self.spec.get("securityContext", {}), **manifest.get("securityContext", {})}
        user, _, group = image.user.partition(":")
        uid = int(context.get("runAsUser", user))
        assert uid or not context.get("runAsNonRoot"), f"{member.name}: kubelet refuses root under runAsNonRoot"
        limit = str(manifest.get("resources", {}).get("limits", {}).get("memory", ""))
        command = manifest.get("command") or image.entrypoint
        words = [*command, *manifest.get("args", [] if manifest.get("command") else image.command)]
        mounts = [
            Mount(self._volumes / mount["name"], mount["mountPath"], mount.get("readOnly", False))
            for mount in manifest.get("volumeMounts", ())
        ]
        member.running = Running(
            Container(
                command=words,
                env={**image.env, **{entry["name"]: entry["value"] for entry in manifest.get("env", ())}},
                mounts=[*image.mounts(), *mounts],
                uid=uid,
                gid=int(context.get("runAsGroup", group or 0)),
                groups=() if self._group is None else (self._group,),
                read_only=context.get("readOnlyRootFilesystem", False),
                memory=int(limit[:-2]) * _MEMORY[limit[-2:]] if limit else None,
                network_of=self._pause.pid,
            ),
            self.folder / f"{member.name}.log",
        )
        self.events.append((member.name, "started"))
        member.started = member.ready = False
        thread = threading.Thread(target=self._look_after, args=(member,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _look_after(self, member: Member) -> None:
        """Ask the probes of one start of a container, until it ends; then start it anew."""
        manifest = member.manifest
        if self._passes(member, manifest.get("startupProbe"), until=True):
            member.started = True
            kinds = ("readinessProbe", "livenessProbe")
            due, failures = dict.fromkeys(kinds, 0.0), dict.fromkeys(kinds, 0)
            member.ready = "readinessProbe" not in manifest
            while not self._stopped.wait(0.05) and member.process.status is None:
                for kind in kinds:
                    probe = manifest.get(kind)
                    if probe is None or time.monotonic() < due[kind]:
                        continue
                    due[kind] = time.monotonic() + probe.get("periodSeconds", 10)
                    passed = self._passes(member, probe)
                    failures[kind] = 0 if passed else failures[kind] + 1
                    if kind == "readinessProbe" and (passed or failures[kind] >= probe.get("failureThreshold", 3)):
                        if member.ready is not passed:
                            self.events.append((member.name, "ready" if passed else "unready"))
                        member.ready = passed
                    elif failures[kind] >= probe.get("failureThreshold", 3):
                        member.process.signal(signal.SIGKILL)
        if self._stopped.is_set():
            return
        member.process.remove()
        member.ready = False
        member.restarts += 1
        self.events.append((member.name, "ended"))
        self._start(member)

    def _passes(self, member: Member, probe: Manifest | None, *, until: bool = False) -> bool:
        """Make a probe once, or `until` it succeeds, the container ends, or it failed too often."""
        if probe is None:
            return True
        for _ in range(probe.get("failureThreshold", 3) if until else 1):
            timeout = probe.get("timeoutSeconds", 1)
            if "grpc" in probe:
                passed = self._ask(probe["grpc"]["port"], timeout, probe["grpc"].get("service", ""))
            elif "httpGet" in probe:
                get = probe["httpGet"]
                (port,) = (one["containerPort"] for one in member.manifest["ports"] if one["name"] == get["port"])
                passed = self._ask(port, timeout, f"{get['scheme'].lower()}://{POD_IP}:{port}{get['path']}")
            else:
                passed = member.process.run(probe["exec"]["command"], timeout)
            if passed or not until:
                return passed
            if self._stopped.wait(probe.get("periodSeconds", 10)) or member.process.status is not None:
                return False
        member.process.signal(signal.SIGKILL)
        return False

    def _ask(self, port: int, timeout: float, what: str) -> bool:
        with self._asking:
            assert self._pause.stdin is not None
            assert self._pause.stdout is not None
            self._pause.stdin.write(f"{port} {timeout} {what}\n")
            self._pause.stdin.flush()
            return self._pause.stdout.readline() == "1\n"

    def _end(self, member: Member, deadline: float) -> None:
        hook: Sequence[str] | None = (
            member.manifest.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        )
        if hook:
            assert member.process.run(hook, max(0.1, deadline - time.monotonic())), f"{member.name}: preStop failed"
        member.process.signal(signal.SIGTERM)
        try:
            member.exit_code = member.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            member.process.signal(signal.SIGKILL)
            member.exit_code = member.process.wait(10)
        self.events.append((member.name, "ended"))
