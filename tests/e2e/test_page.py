"""The page in a real browser: follows the document, shows what is wrong, finds one of many, can be read by all."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from sidecar.audit.hash_chain import START, append_link
from sidecar.audit.journal_reader import FOLDER
from tests.harness import Caller, SidecarProcess, a_request
from tests.servers.nacos.server import NacosServer, source_url
from tests.servers.process import LOOPBACK, free_port

pytestmark = pytest.mark.browser

WIDTHS = (1280, 768, 390)
# Where the pictures of the documentation go when they are to be made anew: PAGE_PICTURES=docs/images pytest …
PICTURES = os.environ.get("PAGE_PICTURES")


def _at(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:00Z")


def a_document(apps: int = 3, *, by: str = "lin", search: str = "dc2", backups: str = "backups") -> str:
    """Return a document with this many applications, with all that the page can show."""
    routes = ("dc1", "dc2", "{split: {dc1: 50, dc2: 50}}")
    more = "".join(f"  app-{number:05}: {routes[number % 3]}\n" for number in range(apps - 3))
    return f"""\
meta: {{by: {by}, reason: move reports to the new datacenter, ticket: OPS-417}}
datacenters:
  dc1: {{cidrs: [10.1.0.0/16]}}
  dc2: {{}}
  dc3: {{available: false}}
default:
  active: dc1
  {backups}: [dc2, dc3]
apps:
  billing: {{split: {{dc1: 90, dc2: 10}}, jobs: {{"1001": dc1}}}}
  reports: {{ramp: {{from: dc1, to: dc2, start: "{_at(-50)}", duration: 2h, steps: 8}}}}
  search: {{active: {search}, backups: []}}
{more}drills:
  - {{datacenter: dc2, until: "{_at(600)}", apps: [billing], reason: Q4 drill}}
"""


@dataclass
class Site:
    document: Path
    sidecar: SidecarProcess
    url: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a sidecar with a page."""
    # A screenshot shows where the document is.
    folder = Path("/tmp/dc-sidecar") if PICTURES else tmp_path
    folder.mkdir(exist_ok=True)
    document = folder / "routing.yaml"
    document.write_text(a_document())
    address = f"{LOOPBACK}:{free_port()}"
    flags = ("--http", address, "--environment", "staging", "--docs-url", "https://docs.example/dc-sidecar")
    with SidecarProcess(f"file:{document}", *flags, folder=tmp_path) as sidecar:
        yield Site(document, sidecar, f"http://{address}/")


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """Return the page, open; at the end nothing may have gone wrong in it, a breach of its policy neither."""
    yield from _opened(browser, site, width=1280)


def _opened(
    browser: Browser, site: Site, *, width: int, scheme: str = "light", language: str = "en-GB"
) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=language,
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(site.url)
    expect(page.locator(".route").first).to_be_visible()
    yield page
    context.close()
    # What the browser says of answers that a test asked for: the sidecar ended, or refused what was typed in.
    expected = ("ERR_", "400 (Bad Request)")
    assert not [problem for problem in problems if not any(words in problem for words in expected)]


def _address(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query, keep_blank_values=True).items()}


def _route(page: Page, app: str) -> str:
    return page.locator(f'.route[data-app="{app}"]').inner_text()


@pytest.mark.timed
def test_it_follows_an_edit(site: Site, page: Page) -> None:
    """An edit of the file is on the page within a second of being in force, with who and why, without a reload."""
    assert "dc2" in _route(page, "search")
    page.evaluate("window.notReloaded = true")
    site.document.write_text(a_document(by="wu", search="dc1"))
    began = time.monotonic()
    expect(page.locator('.route[data-app="search"] .shares')).to_have_text("dc1")
    took = time.monotonic() - began
    expect(page.locator("#changes li").first).to_contain_text("search: dc2 → dc1")
    expect(page.locator("#changes li").first).to_contain_text("wu")
    expect(page.locator("#source")).to_contain_text("wu")
    assert page.evaluate("window.notReloaded")
    assert took < 1 + 1.0, f"{took:.2f} s, of which the file source may take one"


def test_a_refused_document_is_shown(site: Site, page: Page) -> None:
    """The refusal stands above the applications with its line marked; the routes stay; the next good text ends it."""
    site.document.write_text(a_document(backups="backup"))
    expect(page.locator("#refusal mark")).to_contain_text("backup: [dc2, dc3]")
    expect(page.locator("#refusal")).to_contain_text("did you mean `backups`?")
    expect(page.locator("#badge")).to_contain_text("needs attention")
    assert "dc2" in _route(page, "search")
    site.document.write_text(a_document(by="wu"))
    expect(page.locator("#refusal")).to_be_hidden()
    expect(page.locator("#badge")).to_have_text("Ready")


def test_datacenters_say_how_they_stand(page: Page) -> None:
    """In service, drilled for some until when, marked: each says so, and a drilled one serves no share."""
    cards = page.locator("#datacenters li")
    expect(cards.nth(0)).to_contain_text("in service")
    expect(cards.nth(1)).to_contain_text("drilled for some until")
    expect(cards.nth(2)).to_contain_text("marked out of service")
    expect(cards.nth(0)).to_contain_text("2 of 3 applications")
    assert "dc2 out: drill: Q4 drill" in _route(page, "billing")
    expect(page.locator('.route[data-app="billing"] .shares')).to_have_text("dc1")


def test_who_has_nowhere_to_run_is_told_first(site: Site, page: Page) -> None:
    """An application that nobody serves is an alert with its name, and the badge is not green, until it is served."""
    expect(page.locator("#badge")).to_have_text("Ready")
    site.document.write_text(a_document(search="dc3"))
    expect(page.locator("#alerts")).to_contain_text("nowhere to run: 1 (search)")
    expect(page.locator("#badge")).to_contain_text("needs attention")
    assert "nobody serves" in _route(page, "search")
    site.document.write_text(a_document())
    expect(page.locator("#alerts")).to_be_hidden()
    expect(page.locator("#badge")).to_have_text("Ready")


def test_an_application_opens(page: Page) -> None:
    """With the keyboard alone a route opens: the ramp is drawn with where it is now, jobs are listed."""
    page.locator('.route[data-app="reports"] > button').focus()
    page.keyboard.press("Enter")
    plot = page.locator(".detail .plot")
    expect(plot).to_have_attribute("aria-label", "Share of dc2 over time; now: 37.5 %")
    expect(plot.locator("canvas")).to_be_visible()
    expect(page.locator('.route[data-app="reports"] > button')).to_be_focused()
    page.locator('.route[data-app="billing"] > button').click()
    rows = page.locator(".detail tbody tr")
    expect(rows.nth(0)).to_contain_text("weight 90")
    expect(rows.nth(0)).to_contain_text("in service")
    expect(rows.nth(1)).to_contain_text("drilled until")
    expect(rows.nth(2)).to_contain_text("backup 1")
    expect(rows.nth(2)).to_contain_text("marked out of service")
    expect(page.locator(".detail td", has_text="1001")).to_be_visible()


def test_decisions_are_plotted(site: Site, page: Page) -> None:
    """What is decided shows up under the plot, by datacenter."""
    for _ in range(50):
        site.sidecar.filter(a_request("search"))
    expect(page.locator("#rates-text")).to_contain_text("dc2")
    expect(page.locator("#rates canvas")).to_be_visible()


def test_what_if(page: Page) -> None:
    """The box answers with reason, steps and where each rule is written; nonsense gets what is expected."""
    page.fill("#whatif [name=app]", "billing")
    page.fill("#whatif [name=candidates]", "dc1=2,dc2=1")
    page.keyboard.press("Enter")
    expect(page.locator("#answer .verdict")).to_contain_text("dc1 serves: 2 of 3 candidates")
    expect(page.locator("#answer")).to_contain_text("out of service (drill: Q4 drill)")
    page.fill("#whatif [name=candidates]", "three")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("expected counts such as dc1=3,dc2=2")


def test_changes_say_what_moved(site: Site, page: Page) -> None:
    """A change has kind, author, reason and the applications that moved; what was opened stays open at the next one."""
    site.document.write_text(a_document(by="wu", search="dc1"))
    change = page.locator("#changes li").first
    expect(change).to_contain_text("Moved search: dc2 → dc1")
    expect(change).to_contain_text("by wu: move reports to the new datacenter · OPS-417")
    change.locator("summary").click()
    taken = page.locator("#changes .minus", has_text="search: {active: dc2, backups: []}")
    expect(taken).to_be_visible()
    site.document.write_text(a_document(by="lin", search="dc3"))
    expect(page.locator("#changes li")).to_have_count(3)
    expect(taken).to_be_visible()


def test_kinds_narrow_the_list(page: Page) -> None:
    """With the keyboard the list is narrowed to what needs attention; a route is taken over into the what-if box."""
    page.locator('#kinds [data-kind="troubled"]').focus()
    page.keyboard.press("Enter")
    expect(page.locator(".route .name")).to_have_text(["billing"])
    expect(page.locator('#kinds [data-kind="troubled"]')).to_be_focused()
    page.locator(".route > button").click()
    page.get_by_role("button", name="What if?").click()
    expect(page.locator("#answer .verdict")).to_contain_text("dc1 serves: 2 of 6 candidates")
    page.locator('#kinds [data-kind="troubled"]').click()
    expect(page.locator(".route")).to_have_count(4)


def test_chinese_is_chinese(browser: Browser, site: Site) -> None:
    """What the sidecar says of changes, outages and decisions is Chinese too; names, keys and messages stay."""
    for page in _opened(browser, site, width=1280, language="zh-CN"):
        site.document.write_text(a_document(by="wu", search="dc1"))
        expect(page.locator("#changes li").first).to_contain_text("dc2 → dc1")
        expect(page.locator("#changes li").first).to_contain_text("切换 search")
        expect(page.locator("#changes li").last).to_contain_text("演练开始")
        assert "dc2 停用" in _route(page, "billing")
        for asked, told in (("dc1=2,dc2=1", "dc1 得分最高"), ("dc3=1", "路由中的机房都无法服务")):
            page.fill("#whatif [name=app]", "billing")
            page.fill("#whatif [name=candidates]", asked)
            page.keyboard.press("Enter")
            expect(page.locator("#answer")).to_contain_text(told)
            expect(page.locator("#answer")).not_to_contain_text("out of service")
        page.select_option("#language", "en")
        expect(page.locator("#answer")).to_contain_text("out of service (drill: Q4 drill)")


def test_a_change_that_an_older_version_recorded_is_shown(browser: Browser, tmp_path: Path) -> None:
    """It has no parameters to translate, so its own text is shown; new changes beside it are Chinese."""
    document = tmp_path / "routing.yaml"
    document.write_text("default: {active: dc2, backups: [dc1]}")
    source = f"file:{document}"
    events = [{"kind": "failover", "words": "dc1 → dc2", "subjects": ["default"], "before": "dc1", "after": "dc2"}]
    body = {"at_ns": 7, "at": "1970-01-01T00:00:00Z", "source": source, "cause": "health", "events": events}
    line, _ = append_link(body, 1, START)
    (tmp_path / "state" / FOLDER).mkdir(parents=True)
    (tmp_path / "state" / FOLDER / "000000000001.jsonl").write_bytes(line)
    address = f"{LOOPBACK}:{free_port()}"
    flags = ("--http", address, "--state-dir", str(tmp_path / "state"))
    with SidecarProcess(source, *flags, folder=tmp_path) as sidecar:
        for page in _opened(browser, Site(document, sidecar, f"http://{address}/"), width=1280, language="zh-CN"):
            expect(page.locator("#changes li")).to_have_count(2)
            expect(page.locator("#changes li").last).to_contain_text("故障切换 默认路由")
            expect(page.locator("#changes li").last).to_contain_text("dc1 → dc2")
            expect(page.locator("#changes li").first).to_contain_text("备用 dc1")


def test_a_lost_connection_is_said_and_mended(site: Site, page: Page) -> None:
    """While the sidecar is away the page says so, and is up to date again when it is back."""
    assert page.evaluate("getComputedStyle(document.querySelector('main')).filter") == "none"
    site.sidecar.end()
    expect(page.locator("#badge")).to_contain_text("No connection")
    expect(page.locator("#alerts")).to_contain_text("everything below is as of")
    assert page.evaluate("getComputedStyle(document.querySelector('main')).filter") == "grayscale(1)"
    assert page.title().startswith("⚠")
    site.document.write_text(a_document(by="wu", search="dc1"))
    with site.sidecar:
        expect(page.locator("#badge")).to_have_text("Ready")
        expect(page.locator('.route[data-app="search"] .shares')).to_have_text("dc1")
        expect(page.locator("#alerts")).to_be_hidden()
        assert page.evaluate("getComputedStyle(document.querySelector('main')).filter") == "none"


def test_a_silent_connection_is_lost(site: Site, page: Page) -> None:
    """A sidecar that is there and says nothing, as behind a broken network, is lost within half a minute."""
    os.kill(site.sidecar.pid, signal.SIGSTOP)
    try:
        expect(page.locator("#badge")).to_contain_text("No connection")
        expect(page.locator("body")).to_have_class("lost")
    finally:
        os.kill(site.sidecar.pid, signal.SIGCONT)
    expect(page.locator("#badge")).to_have_text("Ready")


def test_it_says_which_sidecar_it_is(site: Site, page: Page) -> None:
    """Environment, host and source stand in the head; both documentations are linked."""
    expect(page.locator("#identity")).to_have_text(f"staging · {socket.gethostname()} · file:{site.document}")
    assert page.title() == "staging · dc-sidecar"
    expect(page.locator("#docs-en")).to_have_attribute("href", "https://docs.example/dc-sidecar/")
    expect(page.locator("#docs-zh")).to_have_attribute("href", "https://docs.example/dc-sidecar/zh/")
    expect(page.locator("#docs-zh")).to_be_visible()


def test_a_link_shows_the_same(browser: Browser, site: Site, page: Page) -> None:
    """Filter, search and open application stand in the address; who opens it sees the same, also one of thousands."""
    page.fill("#find", "bil")
    page.locator('#kinds [data-kind="troubled"]').click()
    page.locator('.route[data-app="billing"] > button').click()
    assert _address(page) == {"find": "bil", "show": "troubled", "app": "billing"}
    for other in _opened(browser, Site(site.document, site.sidecar, page.url), width=390):
        expect(other.locator("#find")).to_have_value("bil")
        expect(other.locator('#kinds [data-kind="troubled"]')).to_have_attribute("aria-pressed", "true")
        expect(other.locator(".detail tbody tr").first).to_contain_text("weight 90")
        other.locator('.route[data-app="billing"] > button').click()
        other.fill("#find", "")
        other.locator('#kinds [data-kind=""]').click()
        assert _address(other) == {}
    site.document.write_text(a_document(3000))
    expect(page.locator("#found")).to_contain_text("of 3,000")
    for other in _opened(browser, Site(site.document, site.sidecar, f"{site.url}?app=app-02990"), width=1280):
        expect(other.locator('.route[data-app="app-02990"]')).to_be_in_viewport()
        expect(other.locator(".detail table")).to_be_visible()


def test_a_link_leads_to_a_change(browser: Browser, site: Site, page: Page) -> None:
    """The time of a change is a link; a time between two changes leads to the one in force, one before all says so."""
    site.document.write_text(a_document(by="wu", search="dc1"))
    expect(page.locator("#changes li")).to_have_count(2)
    first = page.locator("#changes time").last.get_attribute("datetime")
    assert first is not None
    page.locator("#changes time").last.click()
    assert _address(page) == {"at": first}
    expect(page.locator("#changes li").last).to_have_class("linked")
    for when, count in ((first, 1), ("2999-01-01T00:00:00Z", 1), ("2000-01-01T00:00:00Z", 0)):
        for other in _opened(browser, Site(site.document, site.sidecar, f"{site.url}?at={quote(when)}"), width=1280):
            expect(other.locator("#changes li.linked")).to_have_count(count)
            if count:
                expect(other.locator("#changes li.linked details")).to_have_attribute("open", "")
            else:
                expect(other.locator("#changes-older")).to_contain_text("dc-sidecar history")


def test_applications_come_first_on_a_phone(browser: Browser, site: Site) -> None:
    """At the width of a phone only trouble stands above the applications."""
    for page in _opened(browser, site, width=390):
        tops = page.evaluate(
            "[...document.querySelectorAll('.card')].filter((card) => card.offsetHeight)"
            ".sort((a, b) => a.offsetTop - b.offsetTop).map((card) => card.id)"
        )
        assert tops[:2] == ["applications", "s-datacenters"]
        site.document.write_text(a_document(backups="backup"))
        expect(page.locator("#refusal")).to_be_visible()
        assert page.evaluate(
            "document.getElementById('refusal').offsetTop < document.getElementById('applications').offsetTop"
        )


def test_trouble_is_sorted_first_and_the_banner_leads_there(site: Site, page: Page) -> None:
    """Who has nowhere to run stands above who has lost a preferred datacenter, then the rest; the banner filters."""
    site.document.write_text(a_document(200).replace("app-00150: dc1", "app-00150: {active: dc3, backups: []}"))
    expect(page.locator("#alerts")).to_contain_text("nowhere to run: 1 (app-00150)")
    expect(page.locator(".route .name").nth(1)).to_have_text("app-00150")
    expect(page.locator(".route .name").nth(2)).to_have_text("billing")
    page.fill("#find", "search")
    page.locator("#alerts a").click()
    expect(page.locator(".route .name")).to_have_text(["app-00150", "billing"])
    expect(page.locator("#applications")).to_be_in_viewport()


def test_live_workers_stand_with_their_datacenters(site: Site, page: Page) -> None:
    """An opened application has the workers of its newest request by datacenter; before one, that it has none."""
    page.locator('.route[data-app="search"] > button').click()
    expect(page.locator(".detail .workers")).to_contain_text("its workers are not known")
    site.sidecar.filter(a_request("search", candidates={"dc1": 4, "dc2": 3}, dispatch=True))
    page.locator('.route[data-app="search"] > button').click()
    page.locator('.route[data-app="search"] > button').click()
    expect(page.locator(".detail tbody tr").first).to_contain_text("3")
    expect(page.locator(".detail th")).to_have_text(["Datacenter", "Role", "Gets now", "Workers", "State"])
    expect(page.locator(".detail .workers")).to_contain_text("ago")


@pytest.mark.nacos
def test_a_refusal_names_its_publisher(browser: Browser, nacos: NacosServer, tmp_path: Path) -> None:
    """Who published the refused text, as the config center's history knows it, stands in the panel."""
    nacos.operator.publish("refused.yaml", a_document())
    address = f"{LOOPBACK}:{free_port()}"
    source = source_url([nacos], "refused.yaml")
    with SidecarProcess(source, "--http", address, folder=tmp_path, within=60) as sidecar:
        for page in _opened(browser, Site(tmp_path, sidecar, f"http://{address}/"), width=1280):
            nacos.operator.publish("refused.yaml", a_document(backups="backup"))
            expect(page.locator("#refusal .publisher")).to_have_text("published by 127.0.0.1")


def test_names_cannot_become_markup(site: Site, page: Page) -> None:
    """An application named like a script is shown as it is written."""
    site.document.write_text('apps: {"<img src=x onerror=alert(1)>": dc1}')
    expect(page.locator(".route .name").nth(1)).to_have_text("<img src=x onerror=alert(1)>")
    assert page.locator("#routes img").count() == 0


def test_what_is_not_seen_in_a_name_is_shown(site: Site, page: Page) -> None:
    """Characters without width or with another direction are shown by their code."""
    site.document.write_text('apps: {"bill\\u200Bing\\u202E": dc1}')
    expect(page.locator(".route .name").nth(1)).to_have_text(r"bill\u200bing\u202e")


@pytest.mark.timed
def test_one_of_ten_thousand_is_found_at_once(browser: Browser, site: Site) -> None:
    """Ten thousand applications are there within seconds; typing a name leaves the one in less than half a second."""
    site.document.write_text(a_document(10_000))
    for page in _opened(browser, site, width=1280):
        expect(page.locator("#found")).to_have_text("10,000 of 10,000 applications")
        page.fill("#find", "app-0777")
        page.locator("#found").click()
        took = page.evaluate(
            """() => { const began = performance.now(); const input = document.getElementById('find');
                input.value = 'app-07777'; input.dispatchEvent(new Event('input')); document.body.offsetHeight;
                return performance.now() - began; }"""
        )
        assert page.locator(".route").count() == 2
        assert "app-07777" in _route(page, "app-07777")
        assert took < 500


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_can_be_read_by_all(browser: Browser, site: Site, width: int, scheme: str) -> None:
    """At every width, light and dark, with all there is to show: nothing runs over, and axe-core finds nothing."""
    language = "zh-CN" if (width, scheme) == (768, "dark") else "en-GB"
    with Caller(site.sidecar.address, app="search", every=0.02):
        _read_by_all(browser, site, width, scheme, language)


def _read_by_all(browser: Browser, site: Site, width: int, scheme: str, language: str) -> None:
    for page in _opened(browser, site, width=width, scheme=scheme, language=language):
        site.document.write_text(a_document(by="wu", search="dc1"))
        expect(page.locator('.route[data-app="search"] .shares')).to_have_text("dc1")
        site.document.write_text(a_document(by="wu", search="dc1", backups="backup"))
        expect(page.locator("#refusal")).to_be_visible()
        page.locator('.route[data-app="reports"] > button').click()
        page.fill("#whatif [name=app]", "billing")
        page.fill("#whatif [name=candidates]", "dc1=2,dc2=1")
        page.locator("#whatif button").click()
        expect(page.locator("#answer .verdict")).to_be_visible()
        expect(page.locator("#changes li")).to_have_count(3)
        page.locator("#changes summary").first.click()
        expect(page.locator("#rates-text")).to_contain_text("dc")
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        found = Axe().run(page).response["violations"]
        assert not found, [(each["id"], each["impact"], each["nodes"][0]["target"]) for each in found]
        assert page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh-CN" else "en")
        if PICTURES:
            # So that the plot has a line.
            page.wait_for_timeout(45_000)
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=Path(PICTURES) / f"page-{width}-{scheme}.png", full_page=True)


def test_the_page_shows_who_follows(browser: Browser, tmp_path: Path) -> None:
    """A check of HAProxy appears with its newest answer, in the language of the page; without followers no panel."""
    document = tmp_path / "routing.yaml"
    document.write_text(a_document())
    agent = free_port()
    address = f"{LOOPBACK}:{free_port()}"
    flags = ("--http", address, "--haproxy-agent", f"{LOOPBACK}:{agent}")
    with SidecarProcess(f"file:{document}", *flags, folder=tmp_path) as sidecar:
        for page in _opened(browser, Site(document, sidecar, f"http://{address}/"), width=390, language="zh-CN"):
            expect(page.locator("#applications")).to_be_visible()
            expect(page.locator("#s-followers")).to_be_hidden()
            with socket.create_connection((LOOPBACK, agent), timeout=5) as check:
                check.sendall(b"search dc1\n")
                assert check.makefile().read() == "drain\n"
            # Followers are looked at every five seconds.
            expect(page.locator("#s-followers")).to_contain_text("search dc1")
            expect(page.locator("#s-followers")).to_contain_text("drain")
            expect(page.locator("#h-followers")).to_have_text("跟随者")
