"""Whose a device is, is said for a time, once, and never against a reading that is stored."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts.care import loan
from alerts.care.lent import Answer, Device, Done
from alerts.fleet import actions as fleet
from devices.wire import LENT_MAX
from tests.alerts.world import GATEWAY, SINCE, D, S, World, device

Connection = AsyncConnection[Any]

DAY = timedelta(days=1)
NEW = "c4:64:e3:00:00:0a"
SCALE = Device(address=NEW, slot=1, serial=" A-17 ", model="mi_scale_v2")
NORMAL = {S: 120.0, D: 80.0}


@pytest.fixture
async def db(world: World) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def now(world: World) -> datetime:
    found: datetime = world.one("select now()")
    return found


def at_home(world: World, key: str, gateway_id: str = GATEWAY) -> None:
    world.connection.execute(
        "insert into gateway (gateway_id) values (%s) on conflict do nothing", [gateway_id]
    )
    world.connection.execute(
        "insert into gateway_home (gateway_id, patient_id, from_at) values (%s, %s, %s)",
        [gateway_id, world.patient(key), SINCE],
    )


def loan_of(world: World, key: str) -> int:
    return int(
        world.one(
            "select loan_id from device_loan where patient_id = %s order by lent_from desc",
            world.patient(key),
        )
    )


def listed(world: World) -> list[tuple[str, str]]:
    return world.rows(
        "select gateway_id, device_id from gateway_device where returned_at is null order by 2"
    )


async def lend(
    db: Connection,
    world: World,
    now: datetime,
    key: str,
    what: Device = SCALE,
    *,
    days: float = 0,
) -> Done:
    anna = world.viewer("anna")
    return await loan.lend(db, anna, world.patient(key), what, from_at=now + days * DAY, now=now)


async def test_a_device_is_lent_by_slot_and_given_back(
    db: Connection, world: World, now: datetime
) -> None:
    at_home(world, "marta")
    first = await lend(db, world, now, "marta")
    assert first.answer is Answer.DONE
    other = Device(address=NEW, slot=2)
    assert (await lend(db, world, now, "kalle", other)).answer is Answer.DONE
    (mine, _) = await loan.of_patient(db, world.viewer("anna"), world.patient("marta"))
    assert (mine.device_id, mine.slot, mine.serial, mine.model) == (
        NEW.upper(),
        1,
        "A-17",
        "mi_scale_v2",
    )
    for slot in (1, 2, None):
        taken = await lend(db, world, now, "kalle", Device(address=NEW, slot=slot), days=1)
        assert taken.answer is Answer.LENT
    assert first.loan_id is not None
    anna = world.viewer("anna")
    tomorrow = now + DAY
    back = await loan.give_back(db, anna, first.loan_id, at=tomorrow, now=now)
    assert back.answer is Answer.DONE
    again = await loan.give_back(db, anna, first.loan_id, at=tomorrow, now=now)
    assert again.answer is Answer.RETURNED
    assert (await lend(db, world, now, "kalle", days=0.9)).answer is Answer.LENT
    assert (await lend(db, world, now, "kalle", days=1)).answer is Answer.DONE
    assert world.rows(
        "select lent_by, returned_by, returned_at from loan_note where loan_id = %s", first.loan_id
    ) == [(world.staff("anna"), world.staff("anna"), now)]


async def test_without_a_gateway_at_home_it_says_that_nothing_will_arrive(
    db: Connection, world: World, now: datetime
) -> None:
    assert not (await lend(db, world, now, "marta")).has_gateway
    at_home(world, "kalle")
    assert (await lend(db, world, now, "kalle", Device(address=NEW, slot=3))).has_gateway


REFUSED = (
    (Device(address="C4:64"), 0, Answer.NO_ADDRESS),
    (Device(address=NEW, slot=256), 0, Answer.NO_SLOT),
    (Device(address=NEW, slot=-1), 0, Answer.NO_SLOT),
    (Device(address=NEW, model="toaster"), 0, Answer.NO_MODEL),
    (Device(address=NEW, serial="x" * 65), 0, Answer.NO_SERIAL),
    (SCALE, -31.1, Answer.TOO_FAR),
    (SCALE, 367, Answer.TOO_FAR),
)


async def test_what_cannot_be_lent_is_refused(db: Connection, world: World, now: datetime) -> None:
    for what, days, answer in REFUSED:
        assert (await lend(db, world, now, "marta", what, days=days)).answer is answer
    assert world.one("select count(*) from loan_note") == 0


async def test_no_loan_begins_or_ends_before_a_stored_reading(
    db: Connection, world: World, now: datetime
) -> None:
    anna, number = world.viewer("anna"), loan_of(world, "marta")
    await world.measure_soon("marta", NORMAL, at=now - 2 * DAY)
    await world.measure_soon("marta", NORMAL, at=now - 4 * DAY)
    for at in (now - 2 * DAY, now - 3 * DAY):
        done = await loan.give_back(db, anna, number, at=at, now=now)
        assert (done.answer, done.newest_at) == (Answer.HAS_READINGS, now - 2 * DAY)
        kalle = world.patient("kalle")
        assert (await loan.move(db, anna, number, kalle, at=at, now=now)).answer is (
            Answer.HAS_READINGS
        )
    just_after = now - 2 * DAY + timedelta(microseconds=1)
    assert (await loan.give_back(db, anna, number, at=just_after, now=now)).answer is Answer.DONE
    # A loan that was ended by hand before its readings: no other begins before them.
    world.connection.execute(
        "update device_loan set returned_at = %s where loan_id = %s", [now - 3 * DAY, number]
    )
    what = Device(address=device("marta"))
    done = await lend(db, world, now, "kalle", what, days=-2.5)
    assert (done.answer, done.newest_at) == (Answer.HAS_READINGS, now - 2 * DAY)
    assert (await lend(db, world, now, "kalle", what, days=-1.9)).answer is Answer.DONE


async def test_a_device_moves_without_a_gap_or_not_at_all(
    db: Connection, world: World, now: datetime
) -> None:
    anna, number = world.viewer("anna"), loan_of(world, "marta")
    marta, kalle = world.patient("marta"), world.patient("kalle")
    assert (await loan.move(db, anna, number, marta, now=now)).answer is Answer.SAME
    at_home(world, "marta")
    world.connection.execute(
        "insert into gateway_device (gateway_id, device_id) values ('g-test', %s)",
        [device("marta")],
    )
    at_home(world, "kalle", "g-other")
    later = await loan.move(db, anna, number, kalle, at=now + DAY, now=now)
    assert later.answer is Answer.LENT_ELSEWHERE
    assert world.one("select returned_at from device_loan where loan_id = %s", number) is None
    done = await loan.move(db, anna, number, kalle, now=now)
    assert (done.answer, done.has_gateway, listed(world)) == (Answer.DONE, True, [])
    assert world.rows(
        "select l.patient_id, l.lent_from, l.returned_at, n.moved_from from device_loan l "
        "join loan_note n using (loan_id) where device_id = %s order by lent_from",
        device("marta"),
    ) == [
        (marta, datetime.fromisoformat(SINCE), now, None),
        (kalle, now, None, number),
    ]
    assert sorted(world.rows("select action, patient_id, detail -> 'loan_id' from access_log")) == [
        ("device_lent", kalle, done.loan_id),
        ("device_returned", marta, number),
    ]
    after = world.one("select clock_timestamp()")
    await world.measure_soon("marta", NORMAL, at=after)  # of the device
    assert world.rows("select patient_id from reading") == [(kalle,)]


async def test_the_last_loan_of_a_device_takes_it_off_the_list(
    db: Connection, world: World, now: datetime
) -> None:
    anna = world.viewer("anna")
    at_home(world, "marta")
    at_home(world, "kalle")
    tove = world.staff("tove")
    assert await fleet.lend(db, tove, GATEWAY, NEW, "") is fleet.Answer.DONE_FOR_HOME
    first = await lend(db, world, now, "marta")
    second = await lend(db, world, now, "kalle", Device(address=NEW, slot=2))
    assert first.loan_id is not None
    assert second.loan_id is not None
    later = world.one("select clock_timestamp()")
    await loan.give_back(db, anna, first.loan_id, now=later)
    assert listed(world) == [(GATEWAY, NEW.upper())]
    moved = await loan.move(db, anna, second.loan_id, world.patient("marta"), now=later)
    assert moved.loan_id is not None
    assert listed(world) == [(GATEWAY, NEW.upper())]  # both live there
    last = world.one("select clock_timestamp()")
    await loan.give_back(db, anna, moved.loan_id, now=last)
    assert listed(world) == []
    assert world.rows("select detail ->> 'device_id' from gateway_event where kind = 'returned'")


async def test_a_gateway_takes_no_more_than_its_list_has_room_for(
    db: Connection, world: World, now: datetime
) -> None:
    at_home(world, "marta")
    assert await fleet.lend(db, world.staff("tove"), "g-test", NEW, "") is fleet.Answer.DONE
    world.connection.execute(
        "insert into gateway_device (gateway_id, device_id) "
        "select 'g-test', 'C4:00:00:00:01:' || lpad(to_hex(n), 2, '0') "
        "from generate_series(1, %s) n",
        [LENT_MAX],
    )
    full = await lend(db, world, now, "marta", Device(address="C4:00:00:00:0A:0A"))
    assert full.answer is Answer.FULL


async def test_of_many_who_lend_it_at_once_one_does(world: World, now: datetime) -> None:
    async def one(key: str) -> Done:
        async with await AsyncConnection.connect(world.dsn, autocommit=True) as mine:
            return await lend(mine, world, now, key)

    answers = await asyncio.gather(*(one(key) for key in ("marta", "kalle") * 3))
    assert sorted(done.answer for done in answers) == [Answer.DONE] + 5 * [Answer.LENT]


async def test_only_her_care_says_whose_it_is(db: Connection, world: World, now: datetime) -> None:
    number, patient = loan_of(world, "marta"), world.patient("marta")
    for who in ("lisa", "tove", "ingrid", "marta"):
        viewer = world.viewer(who)
        done = [
            await loan.lend(db, viewer, patient, SCALE, now=now),
            await loan.give_back(db, viewer, number, now=now),
            await loan.move(db, viewer, number, world.patient("ingrid"), now=now),
        ]
        assert {one.answer for one in done} <= {Answer.NOT_FOUND, Answer.NOT_YOURS}
    beyond = await loan.move(db, world.viewer("anna"), number, world.patient("ingrid"), now=now)
    assert beyond.answer is Answer.NOT_FOUND
    assert world.one("select count(*) from loan_note") == 0
