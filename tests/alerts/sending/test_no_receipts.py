"""An SMS whose receipts stop coming is told to whoever runs this: the proxy, or the provider."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.sending import carried, receipts
from alerts.sending.carried import RECEIPT_WITHIN
from alerts.sending.receipts import Status
from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Elks


async def looked(told: Told, later: timedelta = RECEIPT_WITHIN) -> list[tuple[Any, ...]]:
    """Return the incidents that a look *later* leaves open."""
    told.now += later
    async with told.pool.connection() as connection:
        await carried.look_at_receipts(connection, told.now)
    return told.world.rows("select kind, key from incident where closed_at is null")


async def send(told: Told, number: int, *, channels: int) -> None:
    """Let *number* messages be taken, by that many telephones in turn."""
    people = ("anna", "eva", "lisa")[:channels]
    known = told.world.one("select count(*) from channel")
    for place, who in enumerate(people):
        if not known:
            told.channel("sms", f"+4670000000{place}", who=who)
    for each in range(number):
        told.notify(who=people[each % channels])
        await told.turn()


async def receipt(told: Told, status: Status) -> None:
    """Let a receipt come of the newest message."""
    ((number, key),) = told.world.rows(
        "select attempt_id, provider_key from attempt order by attempt_id desc limit 1"
    )
    async with told.pool.connection() as connection:
        await receipts.note(connection, number, key, status, told.now)


async def test_three_to_several_without_a_receipt_are_an_incident(told: Told, elks: Elks) -> None:
    await send(told, 2, channels=2)
    assert await looked(told) == []
    await send(told, 1, channels=2)
    assert await looked(told, RECEIPT_WITHIN - timedelta(seconds=1)) == []
    assert await looked(told, timedelta(seconds=1)) == [("sending", "no receipts")]


async def test_one_telephone_that_is_off_is_none(told: Told, elks: Elks) -> None:
    await send(told, 7, channels=1)
    assert await looked(told) == []
    await send(told, 1, channels=1)
    assert await looked(told) == [("sending", "no receipts")]


@pytest.mark.parametrize("status", list(Status))
async def test_any_receipt_ends_it(told: Told, elks: Elks, status: Status) -> None:
    await send(told, 3, channels=3)
    assert await looked(told) == [("sending", "no receipts")]
    await receipt(told, status)
    assert await looked(told, timedelta()) == []
    await send(told, 3, channels=3)
    assert await looked(told) == [("sending", "no receipts")]
