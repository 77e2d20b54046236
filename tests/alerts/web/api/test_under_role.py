"""What programs do with a patient's record, under the role that the pages have in the database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from alerts import roles
from alerts.config import WebSettings
from alerts.roles import WEB
from alerts.signal import Hub
from alerts.web import session
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from simulator.embedded.postgres import Postgres
from tests.alerts.conftest import Client, Pool, start_session
from tests.alerts.rota import coordinates
from tests.alerts.shared import Shared, shared_by_all
from tests.alerts.web.api.program import RED, Program
from tests.alerts.web.api.test_pauses import in_days
from tests.alerts.web.api.test_plans import STRICTER, proposed
from tests.alerts.world import PATIENTS, World


@pytest.fixture(scope="module")
def with_roles(plain_postgres: Postgres, template: str) -> Iterator[Shared]:
    with shared_by_all(plain_postgres, template, lambda world: roles.apply(world.connection)) as it:
        yield it


@pytest.fixture
def guarded(with_roles: Shared) -> Iterator[World]:
    """A world whose database knows the roles."""
    with with_roles.lend() as world:
        yield world


@pytest.fixture
async def pool_of_web(guarded: World) -> AsyncIterator[Pool]:
    dsn = make_conninfo(guarded.dsn, options=f"-c role={WEB}")
    async with AsyncConnectionPool(
        dsn, min_size=1, max_size=4, open=False, kwargs={"autocommit": True}
    ) as opened:
        yield opened


@asynccontextmanager
async def program(pool: Pool, username: str) -> AsyncIterator[Program]:
    services = ServicesOf(
        pool=pool,
        hub=Hub(),
        web=WebSettings(cookie_secure=False),
        hashing=anyio.CapacityLimiter(2),
    )
    transport = httpx.ASGITransport(create_app(services))
    async with Client(transport=transport, base_url="http://test") as client:
        token = await start_session(pool, username)
        client.cookies.set("session", token)
        async with pool.connection() as connection:
            found = await session.find(connection, token)
        assert found is not None
        client.csrf = found.csrf_token
        yield Program(client)


async def test_her_plan_and_devices_are_looked_after(guarded: World, pool_of_web: Pool) -> None:
    await guarded.measure_soon("marta", RED)
    coordinates(guarded, "anna")
    path = f"/patients/{guarded.patient('marta')}"
    async with program(pool_of_web, "anna") as anna, program(pool_of_web, "marta") as marta:
        made = await proposed(anna, guarded.patient("marta"))
        one = f"{path}/proposals/{made['proposal_id']}"
        reading = (await anna.get(f"{path}/readings")).json()["readings"][0]["reading_id"]
        asked = [
            await anna.post(f"{one}/preview"),
            await marta.post(f"{one}/question", {"text": "Varför?"}),
            await marta.post(f"{one}/agree", {"how": "self"}),
            await anna.post(f"{path}/plan/end", {"how": "phone", "why": "Frisk"}),
            await anna.post("/plan-templates/bp/approve", {"name": "Tryck", "plan": STRICTER}),
            await anna.post("/plan-templates/bp/retire", {"seen_version": 1}),
            await anna.post(f"{path}/pauses", {"until_at": in_days(3), "reason": "Resa"}),
            await anna.post(f"{path}/pauses/1/end", {}),
            await anna.post(f"{path}/readings/{reading}/reject", {"why": "Fel"}),
            await anna.post(f"{path}/loans", {"address": "C4:00:00:00:01:42"}),
        ]
        loan = (await anna.get(f"{path}/loans")).json()["loans"][0]["loan_id"]
        body = {"to_patient_id": guarded.patient("kalle")}
        moved = await anna.post(f"{path}/loans/{loan}/move", body)
        kalles = f"/patients/{guarded.patient('kalle')}/loans/{moved.json()['loan_id']}"
        asked += [moved, await anna.post(f"{kalles}/return", {})]
        for part in ("plan", "plan-versions", "proposals", "pauses", "loans", "asked-weights"):
            asked.append(await anna.get(f"{path}/{part}"))
    assert [(answer.url.path, answer.text) for answer in asked if answer.status_code >= 400] == []


async def test_who_may_see_her_is_said(guarded: World, pool_of_web: Pool) -> None:
    path = f"/patients/{guarded.patient('marta')}"
    unit = guarded.viewer("lisa").unit_id
    word = {"unit_id": unit, "how": "self"}
    share = {**word, "scopes": ["values", "alerts", "plan"]}
    async with (
        program(pool_of_web, "anna") as anna,
        program(pool_of_web, "marta") as marta,
        program(pool_of_web, "lisa") as lisa,
    ):
        asked = [
            await marta.post(f"{path}/consents", share),
            await marta.post(f"{path}/blocks", word),
            await marta.post(f"{path}/blocks/lift", word),
            await marta.post(f"{path}/consents/revoke", {"unit_id": unit}),
            await marta.post(f"{path}/consents", share),
            await lisa.post(
                "/emergency-access",
                {"personal_number": PATIENTS["marta"][2], "why": "Hittad medvetslös"},
            ),
            await anna.post(f"{path}/handover", {"to_unit_id": unit}),
            await anna.post(f"{path}/handover/withdraw"),
            await anna.post(f"{path}/handover", {"to_unit_id": unit}),
            await lisa.get("/handovers"),
            *[await anna.get(f"{path}/{part}") for part in ("relatives", "consents", "blocks")],
        ]
        number = asked[-4].json()["offers"][0]["handover_id"]
        body = {"staff_id": guarded.staff("lisa")}
        asked.append(await lisa.post(f"/handovers/{number}/accept", body))
    assert [(answer.url.path, answer.text) for answer in asked if answer.status_code >= 400] == []
