"""The real console of a Nacos, worked in a real browser as an operator works it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlencode

from playwright.sync_api import Error, Page, expect

from tests.servers.nacos.server import NacosServer

Shot = Callable[[str], None]


class Console:
    """One key of the public namespace, in the console's pages; `shot` is called where a page is worth a picture."""

    def __init__(self, page: Page, server: NacosServer, group: str, data_id: str, shot: Shot) -> None:
        self._page = page
        self._address = server.console
        self._key = {"serverId": "center", "namespace": server.PUBLIC, "group": group, "dataId": data_id}
        self._shot = shot
        page.add_init_script("localStorage.setItem('docsite_language', 'en-US')")

    def log_in(self, user: str, password: str) -> None:
        """Log in at the console of a server with users."""
        self._open("login")
        self._page.locator("#username").fill(user)
        self._page.locator("#password").fill(password)
        self._shot("nacos-login")
        self._page.get_by_role("button", name="Submit").click()
        self._page.get_by_text("Create Configuration").wait_for()

    def create(self, text: str) -> None:
        """Create the key."""
        self._open("newconfig")
        self._page.get_by_text("YAML", exact=True).click()
        self._type(text)
        # Last: while the page loads it puts its own values into these fields.
        for field, name in (("#dataId", "dataId"), ("#group", "group")):
            self._page.locator(field).fill(self._key[name])
        for field, name in (("#dataId", "dataId"), ("#group", "group")):
            expect(self._page.locator(field)).to_have_value(self._key[name])
        self._shot("nacos-create")
        self._page.get_by_role("button", name="Publish", exact=True).click()
        self._page.get_by_text("configuration items").wait_for()

    def edit(self, text: str) -> None:
        """Change the text, look at the difference, publish."""
        self._edit()
        self._type(text)
        self._page.get_by_role("button", name="Publish", exact=True).click()
        self._confirm("Publish", "nacos-difference")

    def roll_back(self, steps: int) -> None:
        """Return, by the history, to the text that was there `steps` changes ago."""
        page = self._page
        rows = page.get_by_text("Roll Back", exact=True)
        # The server writes its history a moment after it publishes, and the page does not look again by itself; while
        # it loads it may also empty a field that is filled already.
        for _ in range(10):
            self._open("historyRollback")
            for field, name in enumerate(("dataId", "group")):
                page.get_by_role("combobox").nth(field).fill(self._key[name])
                page.keyboard.press("Enter")
            page.get_by_role("button", name="Search").click()
            with suppress(Error):
                rows.nth(steps - 1).wait_for(timeout=3000)
                break
        rows.nth(steps - 1).wait_for()
        self._shot("nacos-history")
        rows.nth(steps - 1).click()
        expect(page.locator("textarea").first).not_to_have_value("")
        page.get_by_role("button", name="Roll Back").click()
        page.locator(".next-dialog").get_by_role("button", name="OK").click()
        page.get_by_text("Rollback Successful").wait_for()

    def publish_gray(self, text: str, address: str) -> None:
        """Publish a gray (beta) version for one of the clients that the console lists."""
        page = self._page
        client = page.get_by_role("option", name=address)
        # The page asks once who listens, and a client is missing while it connects anew.
        for _ in range(10):
            self._edit()
            page.locator(".next-checkbox").first.click()
            page.locator(".next-select").first.click()
            with suppress(Error):
                client.wait_for(timeout=3000)
                break
        client.click()
        page.keyboard.press("Escape")
        self._type(text)
        self._shot("nacos-gray")
        page.get_by_role("button", name="Beta Publish").click()
        self._confirm("Publish")

    def stop_gray(self) -> None:
        """End the gray version."""
        self._edit()
        self._page.get_by_role("button", name="Stop Beta").click()
        self._page.locator(".next-dialog, .next-message").first.wait_for()

    def _open(self, route: str, **parameters: str) -> None:
        self._page.goto("about:blank")
        self._page.goto(f"{self._address}#/{route}?{urlencode({**self._key, **parameters})}")

    def _edit(self) -> None:
        self._open("configeditor")
        self._page.locator(".monaco-editor .view-line", has_text=re.compile(r"\w")).first.wait_for()

    def _type(self, text: str) -> None:
        self._page.locator(".monaco-editor .view-lines").first.click()
        self._page.keyboard.press("Control+A")
        self._page.keyboard.type(text)

    def _confirm(self, button: str, picture: str = "") -> None:
        dialog = self._page.locator(".next-dialog")
        dialog.get_by_role("button", name=button).wait_for()
        if picture:
            self._shot(picture)
        dialog.get_by_role("button", name=button).click()
        dialog.get_by_role("button", name="OK").click()
