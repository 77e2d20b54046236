"""A patient is reminded in her own way, by day, once, until her measurement has come."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from alerts import reminders
from alerts.channels.channel import Carriers
from alerts.channels.message import Kind, Message
from alerts.channels.outcome import Fault, Outcome, failed
from alerts.channels.posting import SEND_S_MAX
from alerts.sending import carried
from alerts.words import ZONE
from tests.alerts.conftest import Pool
from tests.alerts.reminding import ACCEPTED, FAILED, NIGHT, NOON, Clock, Home, Post
from tests.alerts.world import W, World

SMS = ("sms", "+46701740605")
MAIL = ("email", "marta@example.se")


@pytest.fixture
def home(world: World, pool: Pool) -> Home:
    return Home(world, pool)


async def test_she_is_told_once_in_the_way_she_put_first(home: Home) -> None:
    home.has(SMS, MAIL)
    assert await home.look() == 1
    assert await home.look(NOON + timedelta(minutes=5)) == 0
    assert [address for address, _ in home.sms.sent] == [SMS[1]]
    assert home.mail.sent == []
    assert home.attempts() == [(1, "sms", "accepted")]
    assert home.is_done()


async def test_nobody_is_woken(home: Home) -> None:
    home.has(SMS)
    assert await home.look(NIGHT) == 0
    assert not home.is_done()
    assert await home.look(NOON) == 1


@pytest.mark.parametrize(
    ("clock", "is_day"), [("08:59", False), ("09:00", True), ("19:59", True), ("20:00", False)]
)
def test_the_day_is_the_one_on_her_wall(clock: str, *, is_day: bool) -> None:
    for month in (1, 7):  # winter and summer time
        at = datetime.fromisoformat(f"2026-{month:02d}-15T{clock}:00").replace(tzinfo=ZONE)
        assert reminders.is_day(at.astimezone(UTC)) is is_day


async def test_when_her_measurement_has_come_she_is_not(home: Home) -> None:
    home.has(SMS)
    home.world.connection.execute(
        "insert into sample (patient_id, quantity_id, measured_at, reading_id, value) "
        "values (%s, %s, %s, gen_random_uuid(), 78)",
        (home.patient_id, W.facts.id, NOON - timedelta(minutes=10)),
    )
    assert await home.look() == 0
    assert home.is_done()
    assert home.attempts() == []


async def test_the_last_one_before_is_not_the_one_that_is_missing(home: Home) -> None:
    home.has(SMS)
    home.world.connection.execute(
        "insert into sample (patient_id, quantity_id, measured_at, reading_id, value) "
        "values (%s, %s, %s, gen_random_uuid(), 78)",
        (home.patient_id, W.facts.id, NOON - timedelta(hours=48)),
    )
    assert await home.look() == 1


@pytest.mark.parametrize(
    "change",
    [
        "update rule_due set expected_at = expected_at + interval '1 day'",
        "delete from rule_due",
        """insert into patient_pause (patient_id, from_at, until_at)
        select patient_id, '2026-11-19', '2026-11-25' from reminder""",
        "update reminder set made_at = '2026-11-19 10:59Z'",
    ],
)
async def test_what_is_overtaken_is_not_sent(home: Home, change: str) -> None:
    home.has(SMS)
    home.world.connection.execute(change.encode())
    assert await home.look() == 0
    assert home.sms.sent == []
    assert home.is_done()


async def test_a_channel_that_fails_is_followed_by_the_next(home: Home) -> None:
    home.has(SMS, MAIL)
    home.sms.outcome = FAILED
    assert await home.look() == 0
    assert await home.look(NOON + timedelta(minutes=1)) == 0  # the first may still be at it
    assert await home.look(NOON + timedelta(minutes=3)) == 1
    assert home.attempts() == [(1, "sms", "failed"), (2, "email", "accepted")]


async def test_tries_have_an_end_and_it_says_so(home: Home) -> None:
    home.has(SMS)
    home.sms.outcome = FAILED
    for number in range(10):
        await home.look(NOON + timedelta(minutes=3 * number))
    assert len(home.sms.sent) == reminders.TRIES_MAX
    assert home.attempts()[-1] == (reminders.TRIES_MAX + 1, "", "failed")
    assert home.is_done()


@pytest.mark.parametrize("channels", [(), (("voice", "+46600000000"),)])
async def test_who_has_no_channel_that_we_can_use_is_noted(
    home: Home, channels: tuple[tuple[str, str], ...]
) -> None:
    home.has(*channels)
    assert await home.look() == 0
    assert home.attempts() == [(1, "", "no_channel")]
    assert home.is_done()


async def test_what_she_ended_is_not_used(home: Home) -> None:
    home.has(SMS, MAIL)
    home.world.connection.execute("update patient_channel set ended_at = now() where kind = 'sms'")
    assert await home.look() == 1
    assert home.sms.sent == []


async def test_two_that_are_missing_are_one_message(home: Home) -> None:
    home.has(SMS)
    home.missing("missing:systolic", "systolic")
    assert await home.look() == 1
    assert await home.look(NOON + timedelta(minutes=5)) == 0
    assert len(home.sms.sent) == 1
    assert home.is_done()


async def test_a_worker_that_died_is_followed_by_another(home: Home) -> None:
    home.has(SMS)
    home.world.connection.execute(
        "insert into reminder_attempt (reminder_id, number, kind, began_at) "
        "select reminder_id, 1, 'sms', %s from reminder",
        (NOON,),
    )
    assert await home.look(NOON + timedelta(minutes=1)) == 0
    assert await home.look(NOON + timedelta(minutes=3)) == 1


class Slow(Post):
    """Answers when it is set free."""

    def __init__(self) -> None:
        super().__init__(ACCEPTED)
        self.freed = asyncio.Event()
        self.asked = asyncio.Semaphore(0)

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        outcome = await super().send(address, message, attempt_id)
        self.asked.release()
        await self.freed.wait()
        return outcome


async def test_a_slow_provider_calls_nobody_twice(home: Home) -> None:
    """Whom the slow one has not begun with, another takes; and it does not call them then."""
    everybody = home.everybody()
    assert everybody > reminders.AT_ONCE_MAX
    home.sms = slow = Slow()
    at_it = asyncio.create_task(home.look())
    async with asyncio.timeout(10):
        for _ in range(reminders.AT_ONCE_MAX):
            await slow.asked.acquire()
    home.sms = quick = Post(ACCEPTED)
    later = NOON + timedelta(seconds=SEND_S_MAX)
    assert await home.look(later) == everybody - reminders.AT_ONCE_MAX
    slow.freed.set()
    assert await at_it == reminders.AT_ONCE_MAX
    assert len({address for address, _ in slow.sent + quick.sent}) == everybody


async def test_a_day_that_ends_while_they_are_called_ends_the_calls(home: Home) -> None:
    everybody = home.everybody()
    clock = Clock(datetime(2026, 11, 20, 19, 59, 50, tzinfo=ZONE).astimezone(UTC))
    home.sms = slow = Slow()
    at_it = asyncio.create_task(home.look_by(clock))
    async with asyncio.timeout(10):
        await slow.asked.acquire()
    clock.now += timedelta(seconds=SEND_S_MAX)
    slow.freed.set()
    assert await at_it == reminders.AT_ONCE_MAX < everybody
    assert await home.look(clock.now + timedelta(hours=13)) == everybody - reminders.AT_ONCE_MAX


async def test_what_comes_while_others_are_called_calls_nobody(home: Home) -> None:
    """Those who are still to be called when their measurements come are not."""
    home.everybody()
    home.sms = slow = Slow()
    at_it = asyncio.create_task(home.look())
    async with asyncio.timeout(10):
        await slow.asked.acquire()
    home.world.connection.execute(
        "insert into sample (patient_id, quantity_id, measured_at, reading_id, value) "
        "select patient_id, %s, %s, gen_random_uuid(), 78 from person",
        (W.facts.id, NOON - timedelta(minutes=10)),
    )
    slow.freed.set()
    assert await at_it == len(slow.sent) == reminders.AT_ONCE_MAX


async def test_a_provider_that_takes_no_reminder_is_seen_and_mended(home: Home) -> None:
    """A wrong password at once, one that is away at the second try; over when it takes one."""
    home.has(SMS)
    home.sms.outcome = FAILED
    await home.look()
    assert home.incidents() == []
    await home.look(NOON + timedelta(minutes=3))
    assert home.incidents() == [("sending", "sms")]
    home.sms.outcome = ACCEPTED
    assert await home.look(NOON + timedelta(minutes=6)) == 1
    assert home.incidents() == []
    home.missing("missing:systolic", "systolic")
    home.sms.outcome = failed(Fault.OURS, "401")
    await home.look(NOON + timedelta(minutes=9))
    assert home.incidents() == [("sending", "sms")]
    assert home.world.rows("select fault from reminder_attempt order by began_at") == [
        ("provider",),
        ("provider",),
        (None,),
        ("ours",),
    ]


async def test_a_way_of_hers_that_we_cannot_go_is_seen_until_she_ends_it(home: Home) -> None:
    home.has(("voice", "+46980319201"))
    async with home.pool.connection() as connection:
        await carried.look(connection, ["email"])
        assert home.incidents() == [("sending", "voice: no carrier")]
        home.world.connection.execute("update patient_channel set ended_at = now()")
        await carried.look(connection, ["email"])
    assert home.incidents() == []


async def test_who_reminds_is_heard(home: Home) -> None:
    await home.look(NIGHT)
    assert home.world.rows("select part from pulse") == [("reminders",)]


async def test_two_workers_send_one(home: Home) -> None:
    home.has(SMS)
    assert sum(await asyncio.gather(*(home.look() for _ in range(4)))) == 1
    assert len(home.sms.sent) == 1


async def test_who_notes_it_and_who_comes_upon_it_late_do_not_wait_for_each_other(
    home: Home,
) -> None:
    home.has(SMS)
    waits = (
        "select exists (select from pg_stat_activity "
        "where wait_event_type = 'Lock' and datname = current_database())"
    )
    carriers = Carriers({Kind.SMS: home.sms}, "https://egen.example")
    async with home.pool.connection() as mine, home.pool.connection() as other:
        claim = await reminders._claim(mine, carriers, NOON)
        ((one, channel),) = claim.to_send
        async with other.transaction():  # it saw the reminder before the try was written
            await other.execute("select from reminder for update")
            noting = asyncio.create_task(reminders._note(mine, one, channel, ACCEPTED, NOON))
            async with asyncio.timeout(10):
                while not home.world.one(waits):  # noqa: ASYNC110 - the database tells nobody
                    await asyncio.sleep(0.01)
            row = (one.reminder_id, one.tried + 1, channel.kind, NOON, "sending")
            assert (await other.execute(reminders._TRY, row)).rowcount == 0
        assert await noting
    assert home.attempts() == [(1, "sms", "accepted")]
    assert home.is_done()


async def test_a_contact_who_is_away_is_not_to_be_phoned(home: Home) -> None:
    home.has(SMS)
    home.world.connection.execute(
        "insert into absence (staff_id, from_at, until_at) values (%s, %s, %s)",
        (home.world.staff("anna"), NOON - timedelta(days=1), NOON + timedelta(days=1)),
    )
    await home.look()
    ((_, message),) = home.sms.sent
    assert "Ring 0980-319 200." in message.text  # the unit's


async def test_the_words_name_neither_her_nor_an_illness(home: Home) -> None:
    home.has(SMS)
    await home.look()
    ((_, message),) = home.sms.sent
    assert message.text == (
        "Hej. Vi saknar din mätning. Mät gärna i dag. Behöver du hjälp? Ring 0980-319 202. "
        "Har du redan mätt? Då behöver du inte göra något."
    )
    assert len(message.text) <= 160  # one SMS
    assert "Ring" not in reminders.words("").text
