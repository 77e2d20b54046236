"""The pages of sharing, emergencies and looks in a real browser: accessible, and they fit."""

import pytest
from psycopg import AsyncConnection

from alerts.web import session
from tests.alerts.audit.people import People
from tests.alerts.web.test_browser import RED, Open, _check, _visit, desk
from tests.alerts.world import World

pytestmark = pytest.mark.browser
__all__ = ["desk"]  # the fixture


@pytest.mark.timeout(240)  # logins and Axe on six pages
async def test_a_patient_shares_by_hand_and_the_pages_are_accessible(
    world: World, desk: Open
) -> None:
    await world.measure_soon("marta", RED)
    make = People(world.dsn, world.connection)
    daughter = make.relative(world.viewer("marta"))
    account_id = make.one(
        "insert into account (username, relative_id) values ('dotter', %s) returning account_id",
        daughter.relative_id,
    )
    async with desk(viewport={"width": 320, "height": 800}) as somebody:
        nurse = await somebody.log_in("anna")
        await nurse.get_by_role("link", name="Nödåtkomst").click()
        await nurse.get_by_label("Patientens personnummer").fill("189001059808")
        await _check(nurse, "emergency")
        await nurse.get_by_label("Varför måste du se patienten nu?").fill("Hittad medvetslös")
        await nurse.get_by_role("button", name="Visa patienten").click()
        await nurse.get_by_text("Nödåtkomst till").wait_for()
        await _check(nurse, "a patient in an emergency")
        await somebody.context.clear_cookies()

        patient = await somebody.log_in("marta")
        await patient.get_by_role("link", name="Dela med närstående").click()
        await patient.get_by_label("Mina värden").check()
        await patient.get_by_label("Mina larm").check()
        await _check(patient, "sharing")
        await patient.get_by_role("button", name="Dela").click()
        await patient.get_by_text("Ser nu: mina värden, mina larm").wait_for()
        await _check(patient, "shared")
        await patient.get_by_role("link", name="Vem har sett mina uppgifter").click()
        await patient.get_by_text("Anna Provberg").wait_for()
        await _check(patient, "looks")
        await somebody.context.clear_cookies()

        async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
            token = await session.start(connection, account_id)
        await somebody.context.add_cookies(
            [{"name": "session", "value": token, "url": somebody.address}]
        )
        relative = await _visit(somebody, "/")
        await relative.get_by_text("Märta delar med dig").wait_for()
        await _check(relative, "a relative")
        await somebody.faultless(relative)
