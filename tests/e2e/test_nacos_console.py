"""An operator works the real console of a real Nacos, and the scheduler's next dispatch follows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from sidecar.sources.nacos.address import client_address
from tests.harness import Caller, SidecarProcess
from tests.integration.cli.commands import run
from tests.servers.nacos.console import Console
from tests.servers.nacos.server import NacosServer, source_url
from tests.waiting import eventually

pytestmark = [pytest.mark.nacos, pytest.mark.browser]

# Where to write the pictures of docs/sources/nacos.md anew: docs/sources/images.
_PICTURES = os.environ.get("NACOS_PICTURES")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a window with a profile of its own."""
    with browser.new_context(locale="en-US", viewport={"width": 1200, "height": 1080}) as context:
        yield context.new_page()


@pytest.fixture
def shot(page: Page, tmp_path: Path) -> Callable[[str], None]:
    """Take pictures: into the documentation where they are wanted, else beside the test's other files."""
    folder = Path(_PICTURES) if _PICTURES else tmp_path

    def take(name: str) -> None:
        page.wait_for_timeout(300)  # what moves has come to rest
        page.screenshot(path=folder / f"{name}.png", animations="disabled")

    return take


@pytest.mark.parametrize("version", ["nacos", "nacos3"])
def test_each_step_in_the_console_decides_the_next_dispatch(
    version: str, request: pytest.FixtureRequest, page: Page, shot: Callable[[str], None], tmp_path: Path
) -> None:
    """Create, edit, publish, roll back, publish a gray version, end it: each is in force at the next dispatch."""
    nacos: NacosServer = request.getfixturevalue(version)
    console = Console(page, nacos, "dispatch", "routing.yaml", shot)
    source = source_url([nacos], "routing.yaml")
    with SidecarProcess(source, folder=tmp_path, wait_for_document=False, within=60) as sidecar:
        console.create("default: {active: dc1, backups: [dc2]}")
        eventually(lambda: sidecar.status().revision, "the created document")
        with Caller(sidecar.address) as caller:
            caller.until(lambda answer: answer.datacenter == "dc1", "decisions for dc1")
            console.edit("default: {active: dc2, backups: [dc1]}")
            caller.until(lambda answer: answer.datacenter == "dc2", "decisions for dc2")
            console.edit("dc3")
            caller.until(lambda answer: answer.datacenter == "dc3", "decisions for dc3")
            console.roll_back(2)
            caller.until(lambda answer: answer.datacenter == "dc1", "decisions for dc1 again")
            console.publish_gray("dc2", client_address())
            caller.until(lambda answer: answer.datacenter == "dc2", "decisions by the gray version")
            gray = sidecar.status().gray
            assert (gray.rule, [*gray.clients]) == ("beta", [client_address()])
            assert gray.since_ms
            switched = run("switch", "--default", "dc1", "--yes", "--force", "same", "--source", source)
            assert switched.returncode == 0, switched.stderr
            assert f"a gray version (beta) is in force for {client_address()}" in " ".join(switched.stdout.split())
            console.stop_gray()
            caller.until(lambda answer: answer.datacenter == "dc1", "decisions by the ordinary version")
            assert caller.datacenters() == ["dc1", "dc2", "dc3", "dc1", "dc2", "dc1"]
            caller.no_failures()


@pytest.mark.parametrize("version", ["nacos_with_users", "nacos3_with_users"])
def test_an_operator_who_logs_in_is_named_in_the_history(
    version: str, request: pytest.FixtureRequest, page: Page, shot: Callable[[str], None]
) -> None:
    """With users on, the console wants a login, and what it publishes bears the operator's name."""
    nacos: NacosServer = request.getfixturevalue(version)
    console = Console(page, nacos, "dispatch", "console.yaml", lambda name: shot(name) if "login" in name else None)
    console.log_in("nacos", "nacos")
    console.create("dc1")
    eventually(lambda: nacos.operator.stored("console.yaml").get("createUser") == "nacos", "the operator's name")
