"""A patient is reminded in her own way, by day, once, until her measurement has come."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from alerts import reminders
from alerts.channels.channel import Carrier, Carriers
from alerts.channels.message import Kind, Message
from alerts.channels.outcome import Fault, Outcome, State, failed
from alerts.words import ZONE
from tests.alerts.conftest import Pool
from tests.alerts.world import W, World

NOON = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)  # 12:00 in Sweden
NIGHT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
KEY = "missing:body_weight"
ACCEPTED = Outcome(state=State.ACCEPTED, provider_key="k1", reply="ok")
FAILED = failed(Fault.PROVIDER, "away")


class Post:
    """Carries nothing anywhere, and answers as it is told."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.sent: list[tuple[str, Message]] = []

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        assert attempt_id is None
        self.sent.append((address, message))
        return self.outcome


class Home:
    """Märta, whose weight is expected and not there."""

    def __init__(self, world: World, pool: Pool) -> None:
        self.world = world
        self.pool = pool
        self.patient_id = world.patient("marta")
        self.mail, self.sms = Post(ACCEPTED), Post(ACCEPTED)
        version = world.one(
            "select plan_version_id from plan_version where patient_id = %s", self.patient_id
        )
        self.version = version
        self.missing()

    def missing(self, key: str = KEY, quantity: str = "body_weight") -> None:
        """Let the clock have reminded of a measurement that was expected a day ago."""
        spec = f'{{"quantity": "{quantity}", "interval_h": 24.0}}'
        run = self.world.connection.execute
        run("insert into plan_rule values (%s, %s, 'missing', 1, %s)", (self.version, key, spec))
        run(
            "insert into rule_due (patient_id, rule_key, plan_version_id, due_at, step, kind, "
            "expected_at) values (%s, %s, %s, %s, 1, 'missing', %s)",
            (self.patient_id, key, self.version, NOON, NOON - timedelta(hours=24)),
        )
        run(
            "insert into reminder (patient_id, rule_key, expected_at, step, made_at) "
            "values (%s, %s, %s, 1, %s)",
            (self.patient_id, key, NOON - timedelta(hours=24), NOON - timedelta(hours=1)),
        )

    def has(self, *channels: tuple[str, str]) -> None:
        for place, (kind, address) in enumerate(channels, start=1):
            self.world.connection.execute(
                "insert into patient_channel (patient_id, kind, address, place) "
                "values (%s, %s, %s, %s)",
                (self.patient_id, kind, address, place),
            )

    async def look(self, now: datetime = NOON) -> int:
        by_kind: Mapping[Kind, Carrier] = {Kind.EMAIL: self.mail, Kind.SMS: self.sms}
        carriers = Carriers(MappingProxyType(dict(by_kind)), "https://egen.example")
        return await reminders.look(self.pool, carriers, now)

    def is_done(self) -> bool:
        return bool(self.world.one("select bool_and(done_at is not null) from reminder"))

    def attempts(self) -> list[tuple[int, str, str]]:
        rows = self.world.rows("select number, kind, state from reminder_attempt order by number")
        return [(number, kind, state) for number, kind, state in rows]


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


async def test_two_workers_send_one(home: Home) -> None:
    home.has(SMS)
    assert sum(await asyncio.gather(*(home.look() for _ in range(4)))) == 1
    assert len(home.sms.sent) == 1


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
