"""The documentation site: built without the network, no link broken, nothing from elsewhere, searched."""

from __future__ import annotations

import functools
import os
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, expect

ROOT = Path(__file__).parents[2]
BASE = "http://site/"
EXPECTED = ("", "zh/", "reference/http/", "reference/grpc/", "operations/")


class _Links(HTMLParser):
    """Collects the anchors of a page, its links, and what a browser would load for it."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.update(found[name] for name in ("id", "name") if name in found)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and "href" in found and found.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(found["href"])
        if "src" in found:
            self.loaded.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does, without a way to the network."""
    folder = tmp_path_factory.mktemp("site")
    words = ["make", "--no-print-directory", "docs", f"SITE={folder}"]
    nowhere = "http://127.0.0.1:9"
    env = {**os.environ, "http_proxy": nowhere, "https_proxy": nowhere, "ALL_PROXY": nowhere}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, _Links]:
    """Return what each page of the site has, by its URL."""
    found = {}
    for path in site.rglob("*.html"):
        links = _Links()
        links.feed(path.read_text(encoding="utf-8"))
        found[urljoin(BASE, str(path.relative_to(site)).removesuffix("index.html"))] = links
    return found


def test_no_link_is_broken(site: Path, pages: dict[str, _Links]) -> None:
    """Each link of each page leads to a file of the site, and its fragment to an anchor there."""
    assert {BASE + page for page in EXPECTED} <= pages.keys()
    broken = []
    for url, page in pages.items():
        if url.endswith("404.html"):
            # Its links are those of the root: it is served from anywhere.
            continue
        for target in (*page.links, *page.loaded):
            place, _, anchor = urljoin(url, target).partition("#")
            if not place.startswith(BASE):
                continue
            file = site / unquote(urlsplit(place).path).lstrip("/")
            there = pages.get(place)
            if not (file.is_file() or there) or (anchor and there and unquote(anchor) not in there.anchors):
                broken.append(f"{url}: {target}")
    assert not broken


def test_nothing_comes_from_elsewhere(pages: dict[str, _Links]) -> None:
    """No page loads a script, style, font or picture from another host."""
    foreign = {
        target
        for url, page in pages.items()
        for target in page.loaded
        if not urljoin(url, target).startswith((BASE, "data:"))
    }
    assert not foreign


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    """Serve the site on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Stay silent."""

    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.mark.browser
@pytest.mark.parametrize(("words", "page"), [("hold-off", "operating/"), ("灰度到", "zh/"), ("WatchRoutes", "grpc/")])
def test_search_finds_pages_offline(words: str, page: str, served: str, browser: Browser) -> None:
    """A search in either language finds the page, while no request leaves the machine."""
    asked: list[str] = []
    with browser.new_context() as context:
        window = context.new_page()
        window.on("request", lambda request: asked.append(request.url))
        window.goto(served)
        window.keyboard.press("/")
        # What is typed before the index is there is not searched for.
        expect(window.locator(".md-search-result__meta")).to_have_text("Type to start searching")
        window.keyboard.type(words)
        # The search looks at the field when a key is released; text of an input method comes without one here.
        window.keyboard.press("End")
        results = window.locator(f".md-search-result__link[href*='{page}']")
        expect(results.first).to_be_attached()
    assert not [url for url in asked if not url.startswith((served, "data:", "blob:"))]
