"""The technicians' list: taken by one, ended by her or by itself; and in words that help."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from alerts.fleet.gateway import Reason, Trouble, Urgency
from alerts.fleet.words import trouble
from alerts.technical import listed, watch, words
from alerts.technical.fault import ALL_SILENT, WAITED, Kind
from alerts.technical.listed import Answer
from ingest.quarantine import Reason as Refusal
from tests.alerts.conftest import Login, Pool
from tests.alerts.gateways import say
from tests.alerts.world import GATEWAY, PATIENTS, World, device


async def silent(world: World, pool: Pool) -> int:
    """Let the world's gateway be silent and be found so; return the fault's number."""
    await say(world, ago=timedelta(minutes=40))
    async with pool.connection() as connection:
        assert await watch.look(connection) is not None
    return int(world.one("select technical_id from technical"))


async def test_one_takes_it_and_the_other_is_told(world: World, pool: Pool) -> None:
    number = await silent(world, pool)
    tove, anna = world.staff("tove"), world.staff("anna")
    async with pool.connection() as connection:
        assert await listed.take(connection, tove, number) is Answer.DONE
        assert await listed.take(connection, tove, number) is Answer.DONE  # a second click
        assert await listed.take(connection, anna, number) is Answer.TAKEN
        assert await listed.leave(connection, anna, number) is Answer.TAKEN
        assert await listed.close(connection, anna, number) is Answer.TAKEN
        assert await listed.leave(connection, tove, number) is Answer.DONE
        assert await listed.take(connection, anna, number) is Answer.DONE
        assert await listed.close(connection, anna, number, " Bytte kabel ") is Answer.DONE
        assert await listed.close(connection, anna, number) is Answer.GONE
        assert await listed.take(connection, tove, number) is Answer.GONE
        assert await listed.take(connection, tove, 2**62) is Answer.GONE
    assert world.rows("select closed_by, note from technical") == [(anna, "Bytte kabel")]


async def test_a_note_has_an_end(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        with pytest.raises(ValueError, match="500"):
            await listed.close(connection, world.staff("tove"), 1, "x" * 501)


async def test_the_list_is_in_the_order_of_urgency(world: World, pool: Pool) -> None:
    now = datetime.now(UTC)
    for key, urgency, age in (
        ("soon", 2, timedelta(hours=1)),
        ("forgotten", 2, WAITED + timedelta(hours=1)),
        ("now", 3, timedelta(minutes=1)),
        ("odd", 99, timedelta(days=1)),
    ):
        world.connection.execute(
            "insert into technical (kind, key, detail, opened_at) values "
            "('incident', %s, jsonb_build_object('urgency', %s::int), %s)",
            (key, urgency, now - age),
        )
    async with pool.connection() as connection:
        found = await listed.listed(connection, now)
        assert await listed.listed(connection, now, GATEWAY) == listed.Listed([], 0)
    keys = dict(world.rows("select technical_id, key from technical"))
    assert [keys[row.technical_id] for row in found.rows] == ["forgotten", "now", "odd", "soon"]


async def test_the_page_says_what_why_and_what_now(world: World, pool: Pool, browse: Login) -> None:
    number = await silent(world, pool)
    async with browse("tove") as client:
        page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (await client.get("/teknik")).text))
        for told in ("Att åtgärda 1", "Dosan är tyst.", "Kontrollera ström och nät", "ingen har"):
            assert told in page
        await client.submit(f"/teknik/fel/{number}/ta")
        assert "du tog det" in (await client.get("/teknik")).text
        answer = await client.submit(f"/teknik/fel/{number}/klart", note="Bytte kabel")
        assert answer.headers["location"] == "/teknik"
        assert "Inget att åtgärda." in (await client.get("/teknik")).text
        answer = await client.submit(f"/teknik/fel/{number}/klart")
        assert "Felet är redan över." in (await client.get(answer.headers["location"])).text


async def test_who_is_noted_as_away_reads_why_she_cannot_take_it(
    world: World, pool: Pool, browse: Login
) -> None:
    number = await silent(world, pool)
    world.connection.execute(
        "insert into absence (staff_id, from_at, until_at)"
        " values (%s, now() - interval '1 hour', now() + interval '1 day')",
        [world.staff("tove")],
    )
    async with browse("tove") as client:
        answer = await client.submit(f"/teknik/fel/{number}/ta")
        page = await client.get(answer.headers["location"])
    assert "Du står som frånvarande" in page.text
    assert world.one("select taken_by is null from technical")


async def test_no_patient_is_on_the_list(world: World, pool: Pool, browse: Login) -> None:
    for number in range(6):
        await world.measure_soon("marta", ago=timedelta(minutes=60 - number))
    await silent(world, pool)
    async with browse("tove") as client:
        page = (await client.get("/teknik")).text
    assert "6 mätningar i rad har misslyckats" in page
    assert device("marta") in page
    for secret in PATIENTS["marta"][:3]:
        assert str(secret) not in page


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_words(kind: Kind) -> None:
    for detail in ({}, {"what": "x"}, {"what": "x", "readings": 1}):
        told = words.words(kind, detail)
        assert told.what
        assert told.cure
        words.more(kind, detail)


@pytest.mark.parametrize(
    "what", [ALL_SILENT, "canary", "clock", "recheck", "lag", "rule", "sending", "routing"]
)
def test_every_incident_of_ingest_has_words_of_its_own(what: str) -> None:
    unknown = words.words(Kind.INCIDENT, {"what": "newer"})
    assert words.words(Kind.INCIDENT, {"what": what}) != unknown


def test_that_nothing_is_sent_is_not_said_as_if_one_provider_were_away() -> None:
    told = {
        words.words(Kind.INCIDENT, {"what": "sending", "which": which})
        for which in ("nobody", "no receipts", "sms", "sms: no carrier")
    }
    assert len(told) == 3


async def test_the_list_says_when_somebody_was_told(
    world: World, pool: Pool, browse: Login
) -> None:
    number = await silent(world, pool)
    async with browse("tove") as client:
        assert "ingen har fått ett meddelande" in (await client.get("/teknik")).text
        world.connection.execute(
            "with made as (insert into technical_notice (staff_id, is_urgent, made_at, state) "
            "values (%s, true, now(), 'delivered') returning notice_id) "
            "insert into technical_told select notice_id, %s, 0 from made",
            (world.staff("tove"), number),
        )
        assert "meddelat i dag" in (await client.get("/teknik")).text


def test_refused_readings_have_words_and_numbers() -> None:
    detail = {"what": Refusal.UNASSIGNED.value, "readings": 1}
    assert "inte utlånad till någon" in words.words(Kind.QUARANTINE_GROWS, detail).what
    assert words.more(Kind.QUARANTINE_GROWS, detail) == "1 mätning"
    assert words.more(Kind.QUARANTINE_GROWS, {**detail, "readings": 2}) == "2 mätningar"
    status = {"what": Reason.STATUS_UNREADABLE.value}
    assert words.words(Kind.QUARANTINE_GROWS, status) == trouble(
        Trouble(Urgency.SOON, Reason.STATUS_UNREADABLE)
    )


def test_a_common_silence_says_how_many() -> None:
    detail = {"what": ALL_SILENT, "silent": 40, "gateways": 41}
    assert words.more(Kind.INCIDENT, detail) == "40 av 41 dosor"
    assert "Åk inte ut" in words.words(Kind.INCIDENT, detail).cure
