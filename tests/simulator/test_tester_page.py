"""The tester's page: a press lights the lamps in order, a pulled plug loses nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.simulator.demo_process import DemoProcess, running_demo, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

LAMPS = ["Mätare", "Dosa", "MQTT", "Mottagning", "Regler", "Larm", "Sköterska"]
# Device asleep 1 s, a step counter being read for 2 s, and a loaded machine.
LIT_MS_MAX = 30_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    with running_demo(tmp_path_factory.mktemp("demo") / "demo") as running:
        assert running.ready_s
        wait_until(lambda: _answers(running.tester), 20)
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def nurses(demo: DemoProcess, browser: Browser) -> Iterator[dict[str, Page]]:
    """Both fixed contacts by name, with their worklists open."""
    contexts = {name: browser.new_context() for name in ("Anna Provberg", "Lisa Testek")}
    pages = {}
    for name, context in contexts.items():
        page = pages[name] = context.new_page()
        username = name.split()[0].lower()
        page.goto(demo.worklist)
        page.fill("input[name=username]", username)
        page.fill("input[name=password]", demo.password(username))
        page.press("input[name=password]", "Enter")
        expect(page.get_by_role("heading", name="Arbetslista")).to_be_visible()
    yield pages
    for context in contexts.values():
        context.close()


@pytest.fixture
def bench(demo: DemoProcess, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(demo.tester)
    yield page
    context.close()
    assert not problems


def counts(tester: str) -> dict[str, int]:
    """Return the ledger as the page shows it without JavaScript."""
    text = httpx.get(tester).text
    found = re.findall(r"<dt>([^<]+)</dt>\s*<dd>(\d+)</dd>", text)
    assert len(found) == 7
    return {name: int(number) for name, number in found}


@pytest.mark.browser
def test_a_high_blood_pressure_lights_every_lamp_in_order(
    nurses: dict[str, Page], bench: Page, tmp_path: Path
) -> None:
    _press(bench, "Skicka ett högt blodtryck")
    expect(bench.locator(".lamp.lit")).to_have_count(7, timeout=LIT_MS_MAX)
    assert bench.locator(".lamp .name").all_inner_texts() == LAMPS
    times = [_milliseconds(text) for text in bench.locator(".lamp .ms").all_inner_texts()]
    assert times == sorted(times)
    assert times[0] == 0
    assert 0 < times[-1] < LIT_MS_MAX
    shown_to = bench.locator(".lamp .note").last.inner_text().removeprefix("visad för ")
    value = bench.locator("#path ~ p strong").inner_text().removesuffix(" mmHg")
    row = nurses[shown_to].locator("body")
    expect(row).to_contain_text(f"Blodtryck {value}")  # without a reload
    for width, height in ((1280, 900), (390, 844)):
        bench.set_viewport_size({"width": width, "height": height})
        assert bench.evaluate("document.documentElement.scrollWidth") <= width
        bench.screenshot(path=tmp_path / f"bench-{width}.png", full_page=True)


@pytest.mark.browser
def test_the_hypertensive_measures_high_within_a_minute_of_the_start(
    nurses: dict[str, Page],
) -> None:
    row = re.compile(r"Kalle T\., 71.{0,40}Blodtryck 192/112", re.DOTALL)
    expect(nurses["Anna Provberg"].locator("body")).to_contain_text(row, timeout=60_000)


@pytest.mark.browser
def test_everybody_can_read_the_page(bench: Page) -> None:
    """WCAG 2.2 AA, as far as axe can tell, with lamps lit."""
    _press(bench, "Misslyckad mätning")
    expect(bench.locator(".lamp.lit")).to_have_count(5, timeout=LIT_MS_MAX)
    tags = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
    found = Axe().run(bench, options={"runOnly": {"type": "tag", "values": tags}})
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.browser
def test_a_failed_measurement_needs_no_alert(bench: Page) -> None:
    _press(bench, "Misslyckad mätning")
    expect(bench.locator(".lamp.lit")).to_have_count(5, timeout=LIT_MS_MAX)
    expect(bench.locator(".lamp.dark .name")).to_have_text(["Larm", "Sköterska"])


def test_the_page_works_without_javascript(demo: DemoProcess) -> None:
    with httpx.Client(base_url=demo.tester, follow_redirects=True) as client:
        page = client.post("/send", data={"what": "high"})
        assert page.status_code == 200
        assert "Läs in sidan igen" in page.text
        wait_until(lambda: client.get("/").text.count('class="lamp lit"') >= 6, 30)
        assert client.get("/").text.count('class="lamp lit"') >= 6


def test_a_pulled_plug_loses_nothing_and_doubles_nothing(demo: DemoProcess) -> None:
    with httpx.Client(base_url=demo.tester, follow_redirects=True) as client:
        client.post("/pull", data={"plug": "Broker"})
        assert "Sladden till brokern är ute" in client.get("/").text
        made = counts(demo.tester)["Gjorda av mätarna"]
        for what in ("high", "failed", "high"):
            client.post("/send", data={"what": what})
        wait_until(lambda: counts(demo.tester)["I dosans utkorg"] >= 3, 20)
        waiting = counts(demo.tester)
        assert waiting["Gjorda av mätarna"] >= made + 3
        assert waiting["I dosans utkorg"] >= 3
        assert waiting["Förlorade"] == 0
        wait_until(lambda: "Sladden" not in client.get("/").text, 40)
        wait_until(lambda: _is_settled(demo.tester), 40)
    after = counts(demo.tester)
    assert after["Gjorda av mätarna"] == after["Lagrade"] >= made + 3
    assert after["Förlorade"] == after["Dubbla"] == after["Avvisade"] == 0


def test_other_pages_and_other_hosts_may_not_press_the_buttons(demo: DemoProcess) -> None:
    foreign = {"Origin": "http://example.org"}
    answer = httpx.post(f"{demo.tester}send", data={"what": "high"}, headers=foreign)
    assert answer.status_code == 403
    answer = httpx.get(demo.tester, headers={"Host": "example.org"})
    assert answer.status_code == 400
    answer = httpx.post(f"{demo.tester}send", data={"what": "nothing"})
    assert answer.status_code == 404


def test_the_page_runs_no_code_but_its_own(demo: DemoProcess) -> None:
    policy = httpx.get(demo.tester).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def _press(bench: Page, button: str) -> None:
    """Press *button* and wait until the lamps are those of its measurement."""
    about = bench.locator("#path ~ p").first
    before = about.inner_text()
    bench.get_by_role("button", name=button).click()
    expect(about).not_to_have_text(before)


def _milliseconds(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        return False


def _is_settled(tester: str) -> bool:
    now = counts(tester)
    return now["Gjorda av mätarna"] == now["Lagrade"] + now["Avvisade"]
