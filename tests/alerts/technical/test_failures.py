"""Three failed measurements in a row: somebody is to phone, once, until it goes well again."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from alerts.care import tasks
from alerts.care.tasks import Ending
from alerts.technical import watch
from alerts.words import Language
from tests.alerts.conftest import Pool
from tests.alerts.world import D, S, World, device

GOOD = {S: 128.0, D: 76.0}


class Home:
    """Märta's home: she measures now and then, and the list is looked at a minute later."""

    def __init__(self, world: World, connection: psycopg.AsyncConnection) -> None:
        self.world = world
        self.connection = connection
        self.began_at = datetime.now(UTC) - timedelta(hours=3)
        self.minute = 0

    async def measures(self, *well: bool) -> None:
        for is_well in well:
            self.minute += 5
            at = self.began_at + timedelta(minutes=self.minute)
            await self.world.measure_soon("marta", GOOD if is_well else None, at=at)

    async def fails(self, times: int) -> None:
        await self.measures(*[False] * times)

    async def look(self) -> tuple[int, int]:
        """Look a minute from now; return how many tasks were opened and ended."""
        looked = await watch.look(self.connection, datetime.now(UTC) + timedelta(minutes=1))
        assert looked is not None
        return looked.tasks.opened, looked.tasks.ended

    async def of(self, key: str) -> list[tasks.Task]:
        return await tasks.tasks(self.connection, self.world.viewer(key))


@pytest.fixture
async def home(world: World, pool: Pool) -> AsyncIterator[Home]:
    async with pool.connection() as connection:
        yield Home(world, connection)


async def test_two_failures_are_nothing_to_phone_about(home: Home) -> None:
    await home.fails(2)
    assert await home.look() == (0, 0)


async def test_three_in_a_row_are_and_once_is_enough(home: Home) -> None:
    await home.fails(3)
    assert await home.look() == (1, 0)
    await home.fails(1)
    assert await home.look() == (0, 0)
    (task,) = await home.of("anna")
    assert task.detail["failures"] == 4
    assert await home.of("lisa") == []
    assert await home.of("marta") == []


async def test_a_good_one_between_begins_the_count_anew(home: Home) -> None:
    await home.measures(False, False, True, False, False)
    assert await home.look() == (0, 0)


async def test_it_ends_by_itself_when_a_measurement_succeeds(home: Home) -> None:
    await home.fails(3)
    await home.look()
    await home.measures(True)
    assert await home.look() == (0, 1)
    assert await home.of("anna") == []
    assert home.world.rows("select outcome, done_by from task") == [("measured", None)]


async def test_after_a_call_three_more_are_needed(home: Home) -> None:
    await home.fails(3)
    await home.look()
    (task,) = await home.of("anna")
    assert await tasks.end(home.connection, home.world.viewer("anna"), task.task_id, Ending.PHONED)
    # She phoned when those three had been measured.
    home.world.connection.execute(
        "update task set done_at = %s", (home.began_at + timedelta(minutes=home.minute + 1),)
    )
    assert await home.look() == (0, 0)
    await home.fails(2)
    assert await home.look() == (0, 0)
    await home.fails(1)
    assert await home.look() == (1, 0)


async def test_only_one_who_may_see_her_ends_it_and_only_once(home: Home) -> None:
    await home.fails(3)
    await home.look()
    (task,) = await home.of("anna")
    for other in ("lisa", "eva", "marta", "tove"):
        assert not await tasks.end(
            home.connection, home.world.viewer(other), task.task_id, Ending.PHONED
        )
    anna = home.world.viewer("anna")
    assert not await tasks.end(home.connection, anna, task.task_id, Ending.MEASURED)  # not hers
    assert await tasks.end(home.connection, anna, task.task_id, Ending.PHONED)
    assert not await tasks.end(home.connection, anna, task.task_id, Ending.NOT_NEEDED)
    assert home.world.rows("select outcome, done_by from task") == [
        ("phoned", home.world.staff("anna"))
    ]


async def test_steps_between_say_nothing_of_the_cuff(home: Home) -> None:
    await home.fails(2)
    home.world.connection.execute(
        "insert into device_loan (patient_id, device_id, lent_from) values (%s, %s, '2020-01-01')",
        (home.world.patient("marta"), device("olga")[:-2] + "99"),
    )
    home.world.connection.execute(
        "insert into reading select gen_random_uuid(), patient_id, loan_id, gateway_id, %s, slot, "
        "'measured', now(), null, now(), now(), now(), now(), clock, null, 0, 0, null, source, "
        "payload, revision from reading limit 1",
        (device("olga")[:-2] + "99",),
    )
    await home.fails(1)
    assert await home.look() == (1, 0)


async def test_nobody_phones_in_a_pause(home: Home) -> None:
    home.world.connection.execute(
        "insert into patient_pause (patient_id, from_at, until_at) "
        "values (%s, now() - interval '1 day', now() + interval '1 day')",
        (home.world.patient("marta"),),
    )
    await home.fails(3)
    assert await home.look() == (0, 0)


async def test_what_was_stored_while_nobody_looked_is_found(home: Home) -> None:
    await home.look()
    await home.fails(3)
    # The look before was four days ago: what came since is caught up with, stretch by stretch.
    home.world.connection.execute(
        "update technical_turn set seen_until = now() - interval '4 days'"
    )
    opened = 0
    for _ in range(20):
        opened += (await home.look())[0]
    assert opened == 1


async def test_late_failures_behind_a_good_one_are_over(home: Home) -> None:
    await home.measures(True)
    home.minute -= 60
    await home.fails(3)
    assert await home.look() == (0, 0)


async def test_the_words_are_friendly_and_name_no_illness(home: Home) -> None:
    await home.fails(3)
    await home.look()
    (task,) = await home.of("anna")
    now = datetime.now(UTC)
    swedish, english = task.sentence(now), task.sentence(now, Language.ENGLISH)
    assert swedish.startswith("3 mätningar i rad med blodtrycksmätaren har misslyckats, senast i ")
    assert swedish.endswith("Ring och hör hur det går. Be om en ny mätning medan ni talas vid.")
    assert english.startswith("3 measurements in a row with the blood pressure monitor have failed")


async def test_six_in_a_row_are_also_the_technicians(home: Home) -> None:
    await home.fails(5)
    await home.look()
    assert home.world.one("select count(*) from technical where kind = 'failed_measurements'") == 0
    await home.fails(1)
    await home.look()
    assert home.world.rows(
        "select device_id, closed_at from technical where kind = 'failed_measurements'"
    ) == [(device("marta"), None)]


async def test_a_wake_up_goes_to_whose_list_it_is(home: Home) -> None:
    home.world.connection.execute("listen worklist")
    await home.fails(3)
    await home.look()
    (told,) = home.world.connection.notifies(timeout=1, stop_after=1)
    assert f"s{home.world.staff('anna')}" in told.payload.split()
