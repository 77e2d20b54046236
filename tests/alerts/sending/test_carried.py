"""Who cannot send is seen: no carrier, a carrier that breaks, a claim that never succeeds."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from alerts.channels import verify
from alerts.channels.message import Kind, Message
from alerts.channels.outcome import Outcome
from alerts.sending import carried, loop, store
from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Behaviour, Elks, Postbox

MINUTE = timedelta(minutes=1)
NUMBER, MAILBOX = "+46700000001", "anna@region.example"


def incidents(told: Told) -> list[tuple[Any, ...]]:
    return told.world.rows("select kind, key from incident where closed_at is null order by key")


async def test_no_carrier_is_an_incident_until_there_is_one(told: Told) -> None:
    async with told.pool.connection() as connection:
        await carried.look(connection, [])
        assert incidents(told) == [("sending", "nobody")]
        await carried.look(connection, ["email"])
        assert incidents(told) == []


async def test_who_can_only_call_patients_tells_nobody_of_alerts(told: Told) -> None:
    """Nor does who may hand over to services that nobody has given an address of."""
    async with told.pool.connection() as connection:
        await carried.look(connection, ["voice"])
        assert incidents(told) == [("sending", "nobody")]
        await carried.look(connection, ["apprise", "voice"])
        assert incidents(told) == [("sending", "nobody")]
        hook = told.channel("apprise", "jsons://chat.example/hook", verified_at=None)
        await carried.look(connection, ["apprise", "voice"])
        assert incidents(told) == [("sending", "nobody")]
        told.world.connection.execute(
            "update channel set verified_at = %s where channel_id = %s", (told.now, hook)
        )
        await carried.look(connection, ["apprise", "voice"])
        assert incidents(told) == []


async def test_verified_channels_without_a_carrier_are_an_incident_until_they_end(
    told: Told,
) -> None:
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX, verified_at=None)
    async with told.pool.connection() as connection:
        await carried.look(connection, ["email"])
        assert incidents(told) == [("sending", "sms: no carrier")]
        told.world.connection.execute("update channel set ended_at = %s", (told.now,))
        await carried.look(connection, ["email"])
        assert incidents(told) == []


async def test_a_sender_without_carriers_says_so_by_itself(told: Told) -> None:
    nobody = dataclasses.replace(told.carriers, by_kind=MappingProxyType({}))
    sender = asyncio.create_task(loop.run(told.pool, nobody))
    async with asyncio.timeout(10):
        while not incidents(told):  # noqa: ASYNC110 - rows
            await asyncio.sleep(0.02)
    sender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sender


async def test_who_cannot_claim_is_not_heard(told: Told) -> None:
    told.channel("sms", NUMBER)
    told.notify()
    kwargs = {"autocommit": True, "options": "-c statement_timeout=200"}
    async with (
        await psycopg.AsyncConnection.connect(told.world.dsn) as other,
        AsyncConnectionPool(told.world.dsn, min_size=1, open=False, kwargs=kwargs) as pool,
        asyncio.TaskGroup() as tasks,
    ):
        await other.execute("lock table attempt in access exclusive mode")
        with pytest.raises(psycopg.errors.QueryCanceled):
            await loop.start(pool, told.carriers, tasks, set(), told.clock)
        await other.rollback()
    assert told.world.rows("select part from pulse") == []
    await told.turn()
    assert told.world.rows("select part from pulse") == [("sending",)]


async def test_a_test_of_a_channel_shows_that_its_provider_is_mended(
    told: Told, elks: Elks
) -> None:
    """Else who has mended it waits for the next alert to be believed."""
    async with told.pool.connection() as connection:
        told.now = await store.now(connection)
        channel = told.channel("sms", NUMBER)
        told.notify()
        elks.behaviour = Behaviour.REFUSES
        await told.turn()
        for behaviour, left in ((Behaviour.REFUSES, [("sending", "sms")]), (Behaviour.GOOD, [])):
            elks.behaviour = behaviour
            now = await store.now(connection)
            await verify.ask(connection, told.carriers, told.world.staff("anna"), channel, now)
            await carried.look(connection, told.carriers.kinds)
            assert incidents(told) == left


class Broken:
    """A carrier with a fault in it."""

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        raise RecursionError(address)


async def test_a_carrier_that_breaks_ends_its_attempt_and_nothing_else(
    told: Told, postbox: Postbox, capfd: pytest.CaptureFixture[str]
) -> None:
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX)
    by_kind = {**told.carriers.by_kind, Kind.SMS: Broken()}
    told.carriers = dataclasses.replace(told.carriers, by_kind=by_kind)
    told.notify()
    await told.turn()
    assert told.attempts() == [("sms", "unknown"), ("email", "handed_over")]
    assert incidents(told) == [("sending", "sms")]
    logged = "".join(capfd.readouterr())
    assert "RecursionError" in logged
    assert NUMBER not in logged


async def test_in_the_hour_that_comes_twice_the_next_channel_waits_two_minutes(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    """02:59 by summer time, and no receipt comes."""
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX)
    told.now = datetime(2026, 10, 25, 0, 59, tzinfo=UTC)
    told.notify()
    await told.turn()
    await told.turn(3 * MINUTE)
    assert told.attempts() == [("sms", "accepted"), ("email", "handed_over")]
