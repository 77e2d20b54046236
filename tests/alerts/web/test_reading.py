"""A reading is put right from the pages: asked for here, done by ingest, judged anew for both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection

from alerts.care import todo
from ingest.clock import Clock
from ingest.meter import NullMeter
from simulator.embedded.broker import Broker
from tests.alerts.conftest import Login
from tests.alerts.world import GATEWAY, W, World, device
from tests.ingest.county import message, reading
from tests.ingest.process import connected, running, until

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Told(NullMeter):
    """What the clock says that it has done."""

    def __init__(self) -> None:
        self.judged = asyncio.Event()  # something was asked for, and rules looked again
        self._asked = False

    def chore_done(self, chore: str, rows: int, took_s: float) -> None:
        self._asked |= chore == "asked" and rows > 0
        if self._asked and chore == "rejudge":
            self.judged.set()


@contextlib.asynccontextmanager
async def ingest_at_work(world: World) -> AsyncIterator[asyncio.Event]:
    """Let ingest's clock run, all its chores, as a worker does; yield when it has judged anew."""
    told = Told()
    clock = Clock(lambda: world.dsn, "test", keep_days=3650, meter=told)
    running = asyncio.create_task(clock.run())
    try:
        yield told.judged
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def weighs(world: World, kg: float, *, ago: timedelta, who: str = "marta") -> UUID:
    await world.measure_soon(who, {W: kg}, at=datetime.now(UTC) - ago)
    found: UUID = world.one("select reading_id from reading order by stored_at desc")
    return found


@pytest.fixture
async def doubted(world: World) -> UUID:
    """A weight of Märta's that is far from her own; Kalle lives there too."""
    for days in (5, 4, 3):
        await weighs(world, 60.0, ago=days * DAY)
    for key in ("marta", "kalle"):
        world.connection.execute(
            "insert into gateway_home (gateway_id, patient_id, from_at)"
            " values (%s, %s, '2020-01-01')",
            (GATEWAY, world.patient(key)),
        )
    reading_id = await weighs(world, 85.0, ago=HOUR)
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        assert await todo.look(connection) is not None
    return reading_id


def address(world: World, reading_id: UUID, who: str = "marta") -> str:
    return f"/patients/{world.patient(who)}/matningar/{reading_id}"


async def test_from_the_worklist_it_goes_to_whom_it_belongs_and_alerts_her_care(
    world: World, doubted: UUID, browse: Login
) -> None:
    kalle = world.patient("kalle")
    async with browse("anna") as anna, ingest_at_work(world) as judged:
        page = await anna.get("/")
        assert "men Märta brukar väga omkring 60 kg" in page.text
        assert f'<button name="whose" value="{kalle}">Kalle Å.</button>' in page.text
        said = await anna.submit(f"{address(world, doubted)}/vems", whose=str(kalle))
        assert (said.status_code, said.headers["location"]) == (303, "/")
        assert "Vågen visade" not in (await anna.get("/")).text
        await judged.wait()
        after = await anna.get(address(world, doubted))
    assert world.rows("select patient_id, level from alert") == [(kalle, 2)]
    assert "Anna Provberg har sagt att mätningen är någon annans." in after.text
    assert "Kalle" not in after.text


async def test_the_whole_way_from_the_scale_to_the_alert_of_whose_it_was(
    world: World, doubted: UUID, browse: Login, embedded_broker: Broker, tmp_path: Path
) -> None:
    """With ingest as the process that it is, and a broker."""
    kalle, port = world.patient("kalle"), embedded_broker.port
    weighed = reading({W: 90.0}, device_id=device("marta"), measured_at=datetime.now(UTC))
    with running(tmp_path, world.dsn, port), connected(port) as gateway:
        sent = await asyncio.to_thread(lambda: gateway.receipt(gateway.send(message([weighed]))))
        assert sent.receipt.stored == (weighed.reading_id,)
        assert world.rows("select 1 from alert") == []
        async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
            await todo.look(connection)
        async with browse("anna") as anna:
            assert "Vågen visade 90,0 kg" in (await anna.get("/")).text
            where = address(world, weighed.reading_id)
            await anna.submit(f"{where}/vems", whose=str(kalle))
            assert "Vågen visade 85,0 kg" in (await anna.get("/")).text
        await asyncio.to_thread(
            until, lambda: bool(world.rows("select 1 from alert")), lambda: "an alert"
        )
    assert world.rows("select patient_id, level, late from alert") == [(kalle, 2, False)]
    assert world.one("select refused is null from review_request")
    assert doubted != weighed.reading_id


async def test_the_patient_is_asked_on_her_page_and_her_word_counts(
    world: World, doubted: UUID, browse: Login
) -> None:
    async with browse("marta") as marta, ingest_at_work(world) as judged:
        page = await marta.get("/me")
        assert "Var det du som vägde dig?" in page.text
        assert "85,0 kg" in page.text
        assert "Kalle" not in page.text
        said = await marta.submit(f"/me/matningar/{doubted}", was_me="true")
        assert (said.status_code, said.headers["location"]) == (303, "/me")
        assert "Var det du" not in (await marta.get("/me")).text
        await judged.wait()
    assert world.rows("select level from alert") == [(2,)]
    assert world.rows("select done_by, outcome from task") == [(None, "hers")]


async def test_it_was_not_she_and_she_learns_nothing_of_others(
    world: World, doubted: UUID, browse: Login
) -> None:
    async with browse("marta") as marta:
        await marta.submit(f"/me/matningar/{doubted}", was_me="false")
        page = await marta.get("/me")
        assert "Var det du" not in page.text
    async with browse("anna") as anna:
        assert "Märta säger att det var någon annan." in (await anna.get("/")).text
    async with browse("ingrid") as ingrid:
        answer = await ingrid.submit(f"/me/matningar/{doubted}", was_me="true")
        assert answer.status_code == 404


async def test_any_reading_is_confirmed_or_rejected_with_a_reason(
    world: World, doubted: UUID, browse: Login
) -> None:
    where = address(world, doubted)
    async with browse("anna") as anna:
        page = await anna.get(where)
        assert "Ovanligt: vikten liknar inte de senaste." in page.text
        assert "Mätningen räknas inte" in page.text
        for fields in ({}, {"verdict": "moved", "to": ""}, {"verdict": "rejected", "why": " "}):
            refused = await anna.submit(where, **{"why": "Hunden", **fields})
            assert refused.status_code == 422
            assert "Inget är ändrat." in refused.text
        assert world.one("select count(*) from review_request") == 0
        said = await anna.submit(where, verdict="rejected", to="", why="Hunden stod på vågen\0")
        assert (said.status_code, said.headers["location"]) == (303, where)
        waiting = await anna.get(where)
        assert "Det görs inom några sekunder" in waiting.text
        assert "<form" not in waiting.text.partition("<main")[2]
        again = await anna.submit(where, verdict="confirmed", why="Nej, det var hon")
        assert again.status_code == 422
        assert "Vänta några sekunder" in again.text
        async with ingest_at_work(world) as judged:
            await judged.wait()
        assert "har sagt att mätningen inte ska räknas." in (await anna.get(where)).text
    assert world.one("select why from reading_word") == "Hunden stod på vågen"


async def test_what_is_refused_on_the_pages_is_in_the_access_log(
    world: World, doubted: UUID, browse: Login
) -> None:
    where = address(world, doubted)
    async with browse("anna") as anna:
        await anna.submit(where, verdict="rejected", why=" ")
        await anna.submit(address(world, doubted, "kalle"), verdict="rejected", why="Fel")
        await anna.submit(f"{where}/vems", whose="nobody")
        await anna.submit(f"{where}/vems", whose="hers")
    async with browse("ingrid") as ingrid:
        assert (await ingrid.submit(f"/me/matningar/{doubted}", was_me="true")).status_code == 404
    async with browse("marta") as marta:
        assert (await marta.submit(f"/me/matningar/{doubted}", was_me="true")).status_code == 303
    logged = world.rows(
        "select patient_id, action, ground, detail ->> 'answer' from access_log"
        " where action like 'reading%%' order by at"
    )
    marta_id, kalle_id = world.patient("marta"), world.patient("kalle")
    assert logged == [
        (marta_id, "reading_rejected", "contact", "no_reason"),
        (kalle_id, "reading_rejected", "contact", "not_found"),
        (marta_id, "reading_rejected", "contact", None),
        (marta_id, "reading_confirmed", "contact", "not_asked"),
        (marta_id, "reading_seen", "contact", None),  # she is shown what holds
        (world.patient("ingrid"), "reading_confirmed", "self", "not_found"),
        (marta_id, "reading_confirmed", "self", "replaced"),
    ]


async def test_a_nurse_whose_answer_comes_too_late_is_told_so_and_what_holds(
    world: World, doubted: UUID, browse: Login
) -> None:
    kalle, where = world.patient("kalle"), address(world, doubted)
    async with browse("anna") as anna:
        same = await anna.submit(f"{where}/vems", whose=str(world.patient("marta")))
        assert same.status_code == 409
        assert "Ditt svar sparades inte. Mätningen är redan hens." in same.text
        assert (await anna.submit(f"{where}/vems", whose="nobody")).headers["location"] == "/"
        late = await anna.submit(f"{where}/vems", whose=str(kalle))
        assert late.status_code == 409
        assert "Ditt svar sparades inte. Frågan är redan besvarad" in late.text
        assert "Läs här på sidan vad som gäller" in late.text
        assert "Anna Provberg" in late.text  # who said what
    assert world.rows("select verdict from review_request") == [("rejected",)]


async def test_a_patient_whose_answer_comes_too_late_is_told_so(
    world: World, doubted: UUID, browse: Login
) -> None:
    async with browse("anna") as anna:
        await anna.submit(f"{address(world, doubted)}/vems", whose="hers")
    async with browse("marta") as marta:
        late = await marta.submit(f"/me/matningar/{doubted}", was_me="false")
        assert late.status_code == 303
        told = "Frågan om vägningen var redan besvarad. Därför sparades inte det här svaret."
        assert told in (await marta.get(late.headers["location"])).text
        assert told not in (await marta.get("/me")).text
    assert world.rows("select verdict from review_request") == [("confirmed",)]


async def test_it_is_of_whom_the_address_says_and_goes_to_nobody_she_does_not_care_for(
    world: World, doubted: UUID, browse: Login
) -> None:
    ingrid = world.patient("ingrid")
    async with browse("anna") as anna:
        for wrong in (address(world, uuid4()), address(world, doubted, "kalle")):
            assert (await anna.get(wrong)).status_code == 404
        where = address(world, doubted)
        moved = await anna.submit(where, verdict="moved", to=str(ingrid), why="Hon")
        assert moved.status_code == 404
        whose = await anna.submit(f"{where}/vems", whose=str(ingrid))
        assert whose.status_code == 404
        for odd in ("0", "-1", "9" * 40, "²", "other", ""):
            assert (await anna.submit(f"{where}/vems", whose=odd)).status_code == 422
    async with browse("lisa") as lisa:
        assert (await lisa.get(where)).status_code == 404
    assert world.one("select count(*) from review_request") == 0


async def test_a_link_leads_from_the_patients_table_to_each_reading(
    world: World, doubted: UUID, browse: Login
) -> None:
    async with browse("anna") as anna:
        page = await anna.get(f"/patients/{world.patient('marta')}")
    assert address(world, doubted) in page.text
