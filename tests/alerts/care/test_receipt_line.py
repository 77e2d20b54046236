"""The receipt says what has happened to a measurement, and no more than that."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts import actions, log
from alerts.alert import Outcome
from alerts.care.receipt_line import Receipt, line, newest
from tests.alerts.conftest import Pool
from tests.alerts.world import D, S, World

NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)  # a Monday, 12:00 in Sweden
CAME = datetime(2026, 11, 23, 7, 12, tzinfo=UTC)
ANNA = "Anna Provberg"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "mottaget 08:12"),
        ({"has_alert": True}, "mottaget 08:12 · väntar på att någon ser det"),
        (
            {"has_alert": True, "seen_by": ANNA, "seen_at": CAME + timedelta(minutes=28)},
            "mottaget 08:12 · visat för Anna Provberg 08:40",
        ),
        (
            {
                "has_alert": True,
                "seen_by": "Eva",
                "seen_at": CAME,
                "taken_by": ANNA,
                "taken_at": CAME + timedelta(minutes=28),
                "answer_by": NOW + timedelta(days=4),
            },
            "mottaget 08:12 · Anna Provberg tog hand om det 08:40 · svar senast fredag",
        ),
        (
            {"has_alert": True, "taken_by": ANNA, "taken_at": CAME, "answer_by": NOW},
            "mottaget 08:12 · Anna Provberg tog hand om det 08:12",  # that time has gone by
        ),
        (
            {
                "has_alert": True,
                "taken_by": ANNA,
                "taken_at": CAME,
                "closed_by": ANNA,
                "closed_at": NOW,
                "answer_by": NOW + timedelta(days=1),
            },
            "mottaget 08:12 · Anna Provberg avslutade det 12:00",
        ),
        (
            {"has_alert": True, "closed_at": NOW},  # by nobody
            "mottaget 08:12 · avslutat 12:00",
        ),
    ],
)
def test_the_line(more: dict[str, object], expected: str) -> None:
    receipt = Receipt(**{"measured_at": CAME, "received_at": CAME, **more})  # type: ignore[arg-type]
    assert line(receipt, NOW) == expected


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(4, "i dag 16:00"), (24, "i morgon"), (6 * 24, "söndag"), (7 * 24, "30 nov")],
)
def test_by_when_is_told_in_words_of_the_calendar(hours: int, expected: str) -> None:
    receipt = Receipt(
        measured_at=CAME,
        received_at=CAME,
        taken_at=CAME,
        answer_by=NOW + timedelta(hours=hours),
    )
    assert line(receipt, NOW).endswith(f"svar senast {expected}")


def test_of_another_day_the_day_is_told() -> None:
    receipt = Receipt(measured_at=CAME, received_at=CAME - timedelta(days=1))
    assert line(receipt, NOW) == "mottaget i går 08:12"


async def test_it_follows_the_newest_reading(world: World, pool: Pool) -> None:
    patient_id, anna = world.patient("marta"), world.viewer("anna")
    async with pool.connection() as connection:
        assert await newest(connection, patient_id) is None
        await world.measure_soon("marta", {S: 192.0, D: 112.0}, ago=timedelta(minutes=30))
        alert_id = world.alert("marta")

        async def told() -> tuple[bool, str | None, str | None, str | None]:
            found = await newest(connection, patient_id)
            assert found is not None
            return found.has_alert, found.seen_by, found.taken_by, found.closed_by

        assert await told() == (True, None, None, None)
        await log.append_shown(connection, world.staff("anna"), [alert_id])
        assert await told() == (True, ANNA, None, None)
        newest_id = world.one("select max(breach_id) from breach")
        await actions.acknowledge(connection, anna, alert_id, seen_breach_id=newest_id)
        assert await told() == (True, ANNA, ANNA, None)
        # What was seen and taken was not this one.
        await world.measure_soon("marta", {S: 194.0, D: 112.0}, ago=timedelta(minutes=10))
        assert await told() == (True, None, None, None)
        await actions.close(
            connection, anna, alert_id, outcome=Outcome.CONTACTED, seen_breach_id=10**9
        )
        assert (await told())[3] == ANNA
        await world.measure_soon("marta", {S: 128.0, D: 76.0}, ago=timedelta(minutes=5))
        await world.measure_soon("marta", ago=timedelta(minutes=1))  # failed: nothing came of it
        assert await told() == (False, None, None, None)
