"""The pages in a real browser: the nurse's way through an alert, with and without JavaScript."""

import itertools
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from tests.alerts.conftest import Served
from tests.alerts.world import PASSWORD, D, P, S, W, World

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RED = {S: 192.0, D: 112.0}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# In the page before anything of ours runs: what the policy refused.
WATCH = (
    "window.refused = [];"
    "document.addEventListener('securitypolicyviolation',"
    " (e) => window.refused.push(e.violatedDirective + ' ' + e.blockedURI))"
)


class Desk:
    """A browser of somebody's own, which notes what it should not have to."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.faults: list[str] = []
        context.on("request", self._requested)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("console", self._said)

    def _requested(self, request: Any) -> None:
        origin = urlsplit(self.address).netloc
        if urlsplit(request.url).netloc != origin:
            self.faults.append(f"left the origin: {request.url}")

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.faults.append(message.text)

    async def log_in(self, username: str) -> Page:
        page = await self.context.new_page()
        await page.goto(f"{self.address}/login")
        await page.get_by_label("Användarnamn").fill(username)
        await page.get_by_label("Lösenord").fill(PASSWORD)
        await page.get_by_role("button", name="Logga in").click()
        await page.wait_for_url(lambda url: "/login" not in url)
        return page

    async def faultless(self, page: Page) -> None:
        assert await page.evaluate("window.refused") == []
        assert self.faults == []


Open = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def desk(served: Served, chromium: str, tmp_path: Path) -> Open:
    """Return a way to open browsers on the served world."""
    numbers = itertools.count()

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Desk]:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                tmp_path / f"profile-{next(numbers)}",
                executable_path=chromium,
                args=ARGUMENTS,
                locale="sv-SE",
                **settings,
            )
            await context.add_init_script(WATCH)
            yield Desk(context, served.address)
            await context.close()

    return opened


async def test_a_high_reading_appears_is_taken_closed_and_gone(world: World, desk: Open) -> None:
    async with desk() as nurse:
        page = await nurse.log_in("anna")
        await expect(page.get_by_text("Ingen av dina patienter")).to_be_visible()
        await page.evaluate("window.sameDocument = true")

        await world.measure_soon("marta", RED)
        row = page.locator("#rows .row")
        await expect(row).to_contain_text("Blodtryck 192/112 (gräns 180/110)", timeout=3000)
        await expect(row.locator(".new-mark")).to_be_visible()
        await expect(page.locator("#announce")).to_have_text(
            "Nytt larm, röd: Blodtryck 192/112 (gräns 180/110)"
        )
        await expect(page.locator("#counts")).to_contain_text("Röda 1")
        await expect(page.locator("#empty")).to_be_hidden()
        assert await page.evaluate("window.sameDocument")

        await row.get_by_role("link").click()
        await page.get_by_role("button", name="Jag tar den").click()
        await expect(page.get_by_text("Du tog larmet")).to_be_visible()
        await page.get_by_label("Anteckning").fill("Ringt. Mår bra.")
        await page.get_by_role("button", name="Kontaktad").click()
        await expect(page.get_by_text("Larmet är avslutat.")).to_be_visible()
        await page.reload()
        await expect(page.locator("#rows .row")).to_have_count(0)
        await nurse.faultless(page)
    assert world.rows("select outcome, note from alert_case") == [("contacted", "Ringt. Mår bra.")]


async def test_a_colleague_taking_a_row_is_seen_at_once(world: World, desk: Open) -> None:
    await world.measure_soon("sven", RED)
    async with desk() as one, desk() as other:
        anna, eva = await one.log_in("anna"), await other.log_in("eva")
        await expect(anna.locator("#rows .row")).to_contain_text("inget gjort ännu")
        await eva.locator("#rows .row").get_by_role("link").click()
        await eva.get_by_role("button", name="Jag tar den").click()
        await expect(anna.locator("#rows .row")).to_contain_text("Eva Testström tog det")
        await expect(anna.locator("#announce")).to_contain_text("Eva Testström tog det")
        await eva.get_by_role("button", name="Falskt larm").click()
        await expect(anna.locator("#rows .row")).to_have_count(0)
        await expect(anna.locator("#empty")).to_be_visible()
        await one.faultless(anna)


async def test_a_new_row_does_not_move_what_is_being_read(world: World, desk: Open) -> None:
    for key in ("marta", "kalle", "sven"):
        await world.measure_soon(key, {S: 165.0, D: 80.0, P: 105.0, W: 78.5})
    async with desk(viewport={"width": 390, "height": 500}) as nurse:
        page = await nurse.log_in("anna")
        await expect(page.locator("#rows .row")).to_have_count(9)
        reading = page.locator("#rows .row").nth(5)
        await reading.get_by_role("link").focus()
        await reading.scroll_into_view_if_needed()
        before = await reading.bounding_box()
        name = await reading.get_attribute("id")
        await world.measure_soon("marta", {P: 130.0})
        await expect(page.locator("#counts")).to_contain_text("Röda 1")
        after = await page.locator(f"#{name}").bounding_box()
        assert before is not None
        assert after is not None
        assert abs(after["y"] - before["y"]) < 2
        assert await page.evaluate(
            f"document.getElementById('{name}').contains(document.activeElement)"
        )


async def test_everything_but_the_live_updates_works_without_javascript(
    world: World, desk: Open
) -> None:
    await world.measure_soon("marta", RED)
    async with desk(java_script_enabled=False) as nurse:
        page = await nurse.log_in("anna")
        await page.locator("#rows .row").get_by_role("link").click()
        await expect(page.locator("svg.trend").first).to_be_visible()
        await page.get_by_role("link", name="7 dagar").click()
        await page.get_by_text("Visa som tabell").click()
        await expect(page.get_by_role("region", name="Tabell över mätningar")).to_be_visible()
        await page.get_by_role("button", name="Jag tar den").click()
        await page.get_by_role("button", name="Tekniskt").click()
        await expect(page.locator("#rows .row")).to_have_count(0)
        await page.get_by_role("button", name="Logga ut").click()
        await expect(page.get_by_role("heading", name="Logga in")).to_be_visible()


async def test_the_way_through_works_by_keyboard(world: World, desk: Open) -> None:
    await world.measure_soon("marta", RED)
    async with desk() as nurse:
        page = await nurse.log_in("anna")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Till innehållet")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.locator("#rows .row a")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Jag tar den").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Du tog larmet")).to_be_visible()


async def test_an_ended_session_leads_to_the_login(world: World, desk: Open) -> None:
    async with desk() as nurse:
        page = await nurse.log_in("anna")
        await expect(page.locator("#counts")).to_be_visible()
        world.connection.execute("delete from login_session")
        world.connection.execute("select pg_notify('worklist', '')")
        await expect(page.get_by_text("Du har loggats ut")).to_be_visible(timeout=5000)


async def test_a_lost_line_is_told_and_the_list_comes_back(
    world: World, desk: Open, served: Served
) -> None:
    async with desk() as nurse:
        page = await nurse.log_in("anna")
        await expect(page.locator("#empty")).to_be_visible()
        served.stop()
        await expect(page.locator("#line")).to_be_visible(timeout=15_000)
        served.start()
        await world.measure_soon("marta", RED)
        await expect(page.locator("#rows .row")).to_have_count(1, timeout=15_000)
        await expect(page.locator("#line")).to_be_hidden()


async def test_a_line_that_is_silent_without_an_error_is_told_and_opened_again(
    world: World, desk: Open, served: Served
) -> None:
    async with desk() as nurse:
        await nurse.context.clock.install()
        page = await nurse.log_in("anna")
        await expect(page.locator("#empty")).to_be_visible()
        await page.clock.run_for(30_000)  # two heartbeats are not silence
        await expect(page.locator("#line")).to_be_hidden()
        served.process.send_signal(signal.SIGSTOP)  # the connection stays open
        try:
            await page.clock.run_for(60_000)
            await expect(page.locator("#line")).to_be_visible()
        finally:
            served.process.send_signal(signal.SIGCONT)
        await world.measure_soon("marta", RED)
        await expect(page.locator("#rows .row")).to_have_count(1, timeout=15_000)
        await expect(page.locator("#line")).to_be_hidden()


async def test_a_level_that_rises_is_announced_and_pointed_at(world: World, desk: Open) -> None:
    for key in ("marta", "kalle", "sven"):
        await world.measure_soon(key, {S: 165.0, D: 80.0, P: 105.0, W: 78.5})
    async with desk(viewport={"width": 390, "height": 500}) as nurse:
        page = await nurse.log_in("anna")
        await expect(page.locator("#rows .row")).to_have_count(9)
        await page.locator("#rows .row").nth(8).get_by_role("link").focus()
        await world.measure_soon("marta", RED)
        await expect(page.locator("#announce")).to_contain_text(
            "Höjt larm, röd: Blodtryck 192/112 (gräns 180/110)"
        )
        await expect(page.locator("#above")).to_have_text("↑ Ett höjt larm")


async def test_how_long_an_alert_has_waited_is_told_again_as_it_grows(
    world: World, desk: Open
) -> None:
    await world.measure_soon("marta", RED)
    world.connection.execute("update alert set opened_at = now() - interval '50 s'")
    async with desk() as nurse:
        page = await nurse.log_in("anna")
        row = page.locator("#rows .row")
        await expect(row).to_have_count(1)
        await row.get_by_role("link").focus()
        await expect(page.locator(".row-when")).to_contain_text("väntat 1", timeout=30_000)
        await expect(row.get_by_role("link")).to_be_focused()
        await nurse.faultless(page)


# Themes differ in colours alone, and the wide page shows all that has one.
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1280, "dark")])
async def test_every_page_is_accessible_and_fits(
    world: World, desk: Open, scheme: str, width: int
) -> None:
    await world.measure_soon("marta", {**RED, P: 105.0, W: 79.0})
    await world.measure_soon("marta", {S: 260.0, D: 130.0})  # suspect
    await world.measure_soon("kalle", {W: 78.4})
    async with desk(color_scheme=scheme, viewport={"width": width, "height": 800}) as somebody:
        await _check(await _visit(somebody, "/login"), "login")
        await _check(await _visit(somebody, "/login?expired=1"), "login, expired")
        nurse = await somebody.log_in("anna")
        await _check(nurse, "worklist")
        for path in (f"/patients/{world.patient('marta')}", f"/patients/{world.patient('sven')}"):
            page = await _visit(somebody, path)
            summary = page.locator("summary")
            if await summary.count():
                await summary.click()
            await _check(page, path)
        await _check(await _visit(somebody, "/nowhere"), "404")
        await nurse.goto(somebody.address)
        await nurse.get_by_role("button", name="Logga ut").click()
        await _check(await somebody.log_in("marta"), "patient, red")
        await somebody.context.clear_cookies()
        await _check(await somebody.log_in("ingrid"), "patient, nothing yet")
        await somebody.faultless(nurse)


async def _visit(desk: Desk, path: str) -> Page:
    page = await desk.context.new_page()
    await page.goto(desk.address + path)
    return page


async def _check(page: Page, what: str) -> None:
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    assert found.violations_count == 0, f"{what}: {found.generate_report()}"
    overflow = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0, f"{what} is {overflow} px too wide"
    assert await page.evaluate("window.refused") == [], what


async def test_text_on_the_patients_page_is_at_least_twenty_pixels(
    world: World, desk: Open
) -> None:
    await world.measure_soon("marta", RED)
    async with desk() as patient:
        page = await patient.log_in("marta")
        small = await page.evaluate(
            """() => [...document.querySelectorAll('body *')]
                .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
                .filter((e) => !e.closest('.visually-hidden, .skip'))
                .filter((e) => parseFloat(getComputedStyle(e).fontSize) < 20)
                .map((e) => e.textContent)"""
        )
    assert small == []
