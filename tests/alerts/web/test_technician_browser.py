"""The technician's pages in a real browser: with and without JavaScript, narrow and wide."""

import pytest
from playwright.async_api import expect

from devices.wire import PairingStep
from tests.alerts.gateways import STRAY, follow, renew, say, stand, unwell
from tests.alerts.web.test_browser import Open, _check, _visit, desk  # noqa: F401 - a fixture
from tests.alerts.world import World

pytestmark = pytest.mark.browser
PAGE = "/teknik/g-test"


async def test_a_pairing_is_followed_without_loading_the_page(
    world: World,
    desk: Open,  # noqa: F811
) -> None:
    await say(world)
    async with desk() as technician:
        await technician.log_in("tove")
        page = await _visit(technician, PAGE)
        await page.locator("#pair-model").select_option("beurer_bf")
        await page.get_by_role("button", name="Para ihop", exact=True).click()
        told = page.locator("#pairing [role=status]")
        await expect(told).to_contain_text("Väntar på att dosan svarar.")
        await page.evaluate("window.sameDocument = true")
        await follow(world, PairingStep.SEARCHING)
        await expect(told).to_contain_text("Dosan letar efter mätaren.")
        await follow(world, PairingStep.PASSKEY, device_id=STRAY)
        number = page.get_by_label("Numret på mätaren")
        await expect(number).to_be_focused()
        await number.type("123")
        async with page.expect_response("**/nu"), page.expect_response("**/nu"):
            await follow(world, PairingStep.PAIRING, device_id=STRAY)
        await expect(told).to_contain_text("Dosan och mätaren paras ihop.")
        await expect(number).to_have_value("123")  # nor is it taken from under her fingers
        assert await page.evaluate("window.sameDocument")
        await number.type("456")
        await follow(world, PairingStep.PASSKEY, device_id=STRAY)
        await page.get_by_role("button", name="Skicka").click()
        await expect(told).to_contain_text("Numret är skickat.")
        assert world.one("select passkey from pairing_request") == 123456
        await follow(world, PairingStep.DONE, device_id=STRAY)
        await expect(page.locator("#pairing")).to_contain_text("Klart")
        await page.get_by_role("button", name=f"Låna ut {STRAY}").click()
        await expect(page.get_by_text("Mätaren är utlånad.")).to_be_visible()
        await technician.faultless(page)


async def test_everything_works_without_javascript(world: World, desk: Open) -> None:  # noqa: F811
    await unwell(world)
    async with desk(java_script_enabled=False) as technician:
        page = await technician.log_in("tove")
        await page.get_by_role("link", name="g-test").click()
        await page.get_by_label("Mätarens adress (står på mätaren, tolv tecken)").fill(STRAY)
        await page.get_by_role("button", name="Låna ut", exact=True).click()
        await expect(page.get_by_text("Mätaren är utlånad.")).to_be_visible()
        await renew(world)
        await page.reload()
        back = page.locator("li", has_text=STRAY).get_by_text("Lämna tillbaka", exact=True)
        await back.click()
        await page.get_by_role("button", name=f"Ja, lämna tillbaka {STRAY}").click()
        await expect(page.get_by_text("Mätaren är återlämnad.")).to_be_visible()

        await page.locator("#pair-model").select_option("beurer_bf")
        await page.get_by_role("button", name="Para ihop", exact=True).click()
        await follow(world, PairingStep.PASSKEY, device_id=STRAY)
        await page.get_by_role("button", name="Uppdatera").click()
        await page.get_by_label("Numret på mätaren").fill("42")
        await page.get_by_role("button", name="Skicka").click()
        await expect(page.get_by_text("Numret är skickat till dosan.")).to_be_visible()
        await page.get_by_role("button", name="Avbryt ihopparningen").click()
        await expect(page.get_by_text("Ihopparningen är avbruten.")).to_be_visible()

        await page.get_by_role("link", name="Ställ av dosan").click()
        await page.get_by_label("Ja, jag vill ställa av dosan").check()
        await page.get_by_role("button", name="Ställ av dosan").click()
        await expect(page.get_by_text("Dosan är avställd.")).to_be_visible()
    assert world.one("select retired_at is not null from gateway where gateway_id = 'g-test'")


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (800, "dark"), (1280, "light")])
async def test_every_page_is_accessible_and_fits(
    world: World,
    desk: Open,  # noqa: F811
    scheme: str,
    width: int,
) -> None:
    await unwell(world)
    stand(world, "kalle", gateway_id="g-frisk")
    async with desk(color_scheme=scheme, viewport={"width": width, "height": 800}) as technician:
        first = await technician.log_in("tove")
        await _check(first, "fleet")
        page = await _visit(technician, PAGE)
        for summary in await page.locator("summary").all():
            await summary.click()
        await _check(page, "gateway")
        for path in ("/teknik/g-ny", "/teknik?sok=nowhere", f"{PAGE}/avstall"):
            await _check(await _visit(technician, path), path)
        await page.locator("#pair-model").select_option("beurer_bf")
        async with page.expect_navigation():
            await page.get_by_role("button", name="Para ihop", exact=True).click()
        await _check(page, "pairing asked")
        await follow(world, PairingStep.PASSKEY, device_id=STRAY)
        await expect(page.get_by_label("Numret på mätaren")).to_be_visible()
        await _check(page, "passkey")
        await follow(world, PairingStep.FAILED, problem="wrong_passkey")
        await page.reload()
        await _check(page, "failed")
        await page.get_by_role("button", name="Låna ut", exact=True).scroll_into_view_if_needed()
        world.connection.execute("update gateway set retired_at = now()")
        await _check(await _visit(technician, PAGE), "retired")
        await _check(await _visit(technician, "/teknik"), "fleet, all retired")
        await technician.faultless(first)
