"""What of the SDK's bad habits does not get out of the module that loads it."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sidecar.errors import SdkFault
from sidecar.sources.nacos import sdk
from sidecar.sources.nacos.credentials import NacosCredentials
from sidecar.sources.nacos.sdk import SdkSession, bounded
from sidecar.sources.nacos.url import parse
from tests.servers.process import free_port


def test_a_call_that_hangs_ends_in_time() -> None:
    """Whatever it is busy with, it is cancelled, and the caller learns that there was no answer."""
    with pytest.raises(SdkFault, match=r"no answer within 0.05 s"):
        asyncio.run(bounded(asyncio.sleep(60), 0.05))


def test_a_call_that_cancels_itself_does_not_cancel_its_caller() -> None:
    """A CancelledError of theirs is a failure like any other."""

    async def cancels() -> None:
        raise asyncio.CancelledError

    with pytest.raises(SdkFault, match="cancelled itself"):
        asyncio.run(bounded(cancels(), 5))


def test_our_own_cancellation_goes_through_and_takes_the_call_along() -> None:
    """Our own cancellation also cancels the SDK's call."""

    async def both() -> bool:
        call = asyncio.create_task(asyncio.sleep(60))

        async def wait() -> None:
            await call

        waiting = asyncio.create_task(bounded(wait(), 60))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait({waiting, call}, timeout=5)
        return waiting.cancelled() and call.cancelled()

    assert asyncio.run(both())


def test_what_it_raises_is_told_in_one_short_line() -> None:
    """Its messages go over many lines, with whole requests in them."""

    async def fails() -> None:
        raise ValueError("first\n" + "x" * 5000)

    with pytest.raises(SdkFault) as caught:
        asyncio.run(bounded(fails(), 5))
    assert str(caught.value).startswith("ValueError: first x")
    assert len(str(caught.value)) <= 200


def test_nobody_there_is_a_fault_in_time_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No task, no thread, no file, no handler on the root logger is left of a session that did not come about."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(sdk, "CALL_TIMEOUT_S", 1.0)
    target = parse(f"nacos://127.0.0.1:{free_port(1000)}/g/d")

    async def attempt() -> int:
        with pytest.raises(SdkFault):
            await SdkSession.open(
                target, NacosCredentials({}), None, address="192.0.2.1", token=lambda: "", changed=lambda: None
            )
        return len(asyncio.all_tasks()) - 1

    asyncio.run(attempt())  # what gRPC keeps for good is there from the first time on
    threads = threading.active_count()
    began = time.monotonic()
    assert asyncio.run(attempt()) == 0
    assert time.monotonic() - began < 5
    assert threading.active_count() <= threads
    assert list(tmp_path.iterdir()) == []
    assert logging.root.handlers == []


def test_the_sdk_is_loaded_by_watching_only() -> None:
    """Neither the file source nor the command line, which opens, reads and writes, pays for it."""
    script = (
        "import sys; from sidecar.sources import open_source; from sidecar.errors import SourceError\n"
        "source = open_source('nacos://127.0.0.1:9/g/d', {})\n"
        "try: source.read(1)\n"
        "except SourceError: pass\n"
        "else: raise SystemExit('read something')\n"
        "loaded = [name for name in ('v2.nacos', 'aiohttp', 'grpc', 'pydantic') if name in sys.modules]\n"
        "raise SystemExit(', '.join(loaded) or None)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
