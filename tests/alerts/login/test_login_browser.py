"""Logging in with a real browser: by the identity provider, and with a code from an app."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyotp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from tests.alerts.conftest import Served
from tests.alerts.login.provider import SECRET, STRONG, RealProvider, modules
from tests.alerts.world import PASSWORD, World

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# In the page before anything of ours runs: what the policy refused.
WATCH = (
    "window.refused = [];"
    "document.addEventListener('securitypolicyviolation',"
    " (e) => window.refused.push(e.violatedDirective + ' ' + e.blockedURI))"
)

Serve = Callable[[str, int | None], Any]


@pytest.fixture
def serve(world: World, tmp_path: Path) -> Serve:
    """Return a way to run alerts with a [login] of the test's own."""

    @contextmanager
    def running(login: str, port: int | None = None) -> Iterator[Served]:
        served = Served(world, tmp_path)
        if port is not None:
            served.port, served.address = port, f"http://127.0.0.1:{port}"
        served.config.write_text(
            f'[database]\ndsn = "{world.dsn}"\n[web]\nport = {served.port}\n'
            f'cookie_secure = false\npublic_url = "{served.address}"\n{login}'
        )
        served.start()
        yield served
        served.stop()

    return running


async def well_made(page: Page) -> None:
    """The page breaks no rule of WCAG's, and its policy refused nothing."""
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    assert found.response["violations"] == []
    assert await page.evaluate("window.refused") == []


async def test_a_nurse_logs_in_by_the_provider_with_javascript_off_too(
    world: World, serve: Serve, chromium: str, tmp_path: Path
) -> None:
    world.connection.execute("update account set subject = null")
    with RealProvider(modules(), {"anna": {}}) as real:
        world.connection.execute(
            "update account set subject = %s where username = 'anna'", (f"{real.issuer} anna",)
        )
        (tmp_path / "secret").write_text(SECRET)
        login = (
            f'[login.provider]\nissuer = "{real.issuer}"\nclient_id = "egenmonitor"\n'
            f'client_secret_file = "{tmp_path}/secret"\nacr_values = ["{STRONG}"]\n'
        )
        with serve(login, real.served_port) as served:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                for with_scripts in (True, False):
                    context = await browser.new_context(java_script_enabled=with_scripts)
                    await context.add_init_script(WATCH)
                    page = await context.new_page()
                    await page.goto(f"{served.address}/konto")
                    if with_scripts:
                        await well_made(page)
                    await page.get_by_role("link", name="Logga in med e-legitimation").click()
                    await page.get_by_label("Person").fill("anna")
                    await page.get_by_role("button", name="Legitimera").click()
                    await expect(page).to_have_url(f"{served.address}/konto")
                    await expect(page.get_by_text("med e-legitimation").first).to_be_visible()
                    if with_scripts:
                        await well_made(page)
                    cookies = {each["name"]: each for each in await context.cookies()}
                    ours = cookies["session"]
                    assert (ours["httpOnly"], ours["sameSite"]) == (True, "Lax")
                    assert "step" not in cookies
                await browser.close()
    assert world.rows("select distinct method, assurance from login_session") == [
        ("provider", STRONG)
    ]


async def test_who_logs_out_is_logged_out_at_the_provider_and_the_other_way_round(
    world: World, serve: Serve, chromium: str, tmp_path: Path
) -> None:
    with RealProvider(modules(), {"anna": {}}) as real:
        world.connection.execute(
            "update account set subject = %s where username = 'anna'", (f"{real.issuer} anna",)
        )
        (tmp_path / "secret").write_text(SECRET)
        login = (
            f'[login.provider]\nissuer = "{real.issuer}"\nclient_id = "egenmonitor"\n'
            f'client_secret_file = "{tmp_path}/secret"\nacr_values = ["{STRONG}"]\n'
        )
        there = f"{real.issuer}/session/end?client_id=egenmonitor"
        with serve(login, real.served_port) as served:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                page = await (await browser.new_context(java_script_enabled=False)).new_page()
                await by_provider(page, served)
                await page.get_by_role("button", name="Logga ut").click()
                # Ours is over before she says anything at the provider.
                await expect(page).to_have_url(re.compile(f"^{re.escape(real.issuer)}/session/end"))
                assert world.one("select count(*) from login_session") == 0
                assert "anna" not in page.url
                await page.get_by_role("button", name="Yes, sign me out").click()
                await expect(page).to_have_url(f"{served.address}/login")
                # Somebody else's page logs her out at the provider, which tells us.
                await by_provider(page, served)
                assert world.one("select provider_sid <> '' from login_session")
                await page.goto(there)
                await page.get_by_role("button", name="Yes, sign me out").click()
                await page.goto(f"{served.address}/konto")
                await expect(page).to_have_url(re.compile("/login"))
                await browser.close()
    assert world.one("select count(*) from login_session") == 0
    assert "logout.at_provider" in served.log_file.read_text()


async def by_provider(page: Page, served: Served) -> None:
    await page.goto(f"{served.address}/konto")
    await page.get_by_role("link", name="Logga in med e-legitimation").click()
    await page.get_by_label("Person").fill("anna")
    await page.get_by_role("button", name="Legitimera").click()
    await expect(page).to_have_url(f"{served.address}/konto")


async def test_codes_are_set_up_from_the_text_and_used_from_then_on(
    world: World, serve: Serve, chromium: str, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("k" * 44)
    with serve(f'[login]\nlocal = "all"\nkey_file = "{tmp_path}/key"\n', None) as served:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = await browser.new_page()
            await page.add_init_script(WATCH)
            await with_password(page, served)
            await expect(page.get_by_role("heading", name="Skaffa engångskod")).to_be_visible()
            await well_made(page)
            box = await page.locator("svg.qr").bounding_box()
            assert box is not None
            assert box["width"] > 150
            secret = (await page.locator(".code").inner_text()).replace(" ", "")
            await page.get_by_label("Siffrorna i appen").fill(pyotp.TOTP(secret).now())
            await page.get_by_role("button", name="Klart").click()
            await expect(page.get_by_role("heading", name="Spara dina reservkoder")).to_be_visible()
            await well_made(page)
            on_paper = await page.locator("li.code").all_inner_texts()
            await page.get_by_role("link", name="Fortsätt").click()
            await expect(page.get_by_text("Anna Provberg").first).to_be_visible()
            world.connection.execute("update account set totp_last_step = totp_last_step - 10")
            await page.get_by_role("button", name="Logga ut").click()
            await with_password(page, served)
            await expect(page.get_by_label("Engångskod")).to_be_focused()
            await well_made(page)
            await page.get_by_label("Engångskod").fill("000 000")
            await page.get_by_role("button", name="Fortsätt").click()
            await expect(page.get_by_role("alert")).to_contain_text("Koden stämmer inte")
            await page.get_by_label("Engångskod").fill(pyotp.TOTP(secret).now())
            await page.get_by_role("button", name="Fortsätt").click()
            await expect(page.get_by_text("Anna Provberg").first).to_be_visible()
            await page.get_by_role("button", name="Logga ut").click()
            await with_password(page, served)
            await page.get_by_text("Har du inte telefonen?").click()
            await page.get_by_label("Reservkod").fill(on_paper[3].lower())
            await well_made(page)
            await page.get_by_role("button", name="Logga in med reservkod").click()
            await page.goto(f"{served.address}/konto")
            await expect(page.get_by_text("Du har 9 reservkoder kvar")).to_be_visible()
            await well_made(page)
            await browser.close()
    log = served.log_file.read_text()
    assert [each for each in (secret, *on_paper) if each in log or each.lower() in log] == []


async def with_password(page: Page, served: Served) -> None:
    await page.goto(f"{served.address}/login")
    await page.get_by_label("Användarnamn").fill("anna")
    await page.get_by_label("Lösenord").fill(PASSWORD)
    await page.get_by_role("button", name="Logga in").click()
