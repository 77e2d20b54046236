"""A patient with a telephone on the wall is called: by 46elks, or by one who speaks a text."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts import recovered, reminders
from alerts.channels.channel import Carriers, open_carriers
from alerts.channels.message import Kind
from alerts.channels.outcome import Fault, State
from alerts.channels.settings import VoiceSettings
from alerts.reminders import Clock
from tests.alerts.conftest import Pool
from tests.alerts.sending.conftest import PUBLIC_URL
from tests.alerts.sending.post import ELKS_PASSWORD, ELKS_USER, Behaviour, Elks
from tests.alerts.world import World

NUMBER = "+46980319201"
RECORDING = "https://egenmonitor.example/paminnelse.mp3"
NOON = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


def settings(elks: Elks, tmp_path: Path, path: str, **more: str) -> VoiceSettings:
    password = tmp_path / "elks"
    password.write_text(ELKS_PASSWORD)
    url = f"http://127.0.0.1:{elks.port}{path}"
    return VoiceSettings(url=url, username=ELKS_USER, password_file=password, **more)


def at(now: datetime) -> Clock:
    """Return a clock that stands still."""

    async def read(_: AsyncConnection[Any]) -> datetime:
        return now

    return read


@pytest.fixture
async def elks_calls(elks: Elks, tmp_path: Path) -> AsyncIterator[Carriers]:
    """46elks, with a recording."""
    voice = settings(elks, tmp_path, "/a1/calls", caller="+46980319200", recording=RECORDING)
    async with open_carriers(None, None, PUBLIC_URL, voice) as opened:
        yield opened


@pytest.fixture
async def speaker(elks: Elks, tmp_path: Path) -> AsyncIterator[Carriers]:
    """A service that speaks Swedish."""
    async with open_carriers(None, None, PUBLIC_URL, settings(elks, tmp_path, "/speak")) as opened:
        yield opened


async def test_46elks_is_asked_to_call_and_to_play_the_recording(
    elks: Elks, elks_calls: Carriers
) -> None:
    told = await elks_calls.by_kind[Kind.VOICE].send(NUMBER, reminders.words(""), None)
    assert (told.state, told.provider_key) == (State.HANDED_OVER, elks.keys[0])
    assert elks.calls == [
        {
            "from": "+46980319200",
            "to": NUMBER,
            "timeout": "60",
            "voice_start": f'{{"play": "{RECORDING}", "skippable": false}}',
        }
    ]


@pytest.mark.parametrize(
    ("behaviour", "state", "fault"),
    [
        (Behaviour.BUSY, State.FAILED, Fault.PROVIDER),
        (Behaviour.REFUSES, State.FAILED, Fault.OURS),
        (Behaviour.BAD_REQUEST, State.FAILED, Fault.OURS),
        (Behaviour.NAMELESS, State.UNKNOWN, Fault.PROVIDER),
        (Behaviour.CUTS, State.UNKNOWN, Fault.PROVIDER),
    ],
)
async def test_a_bad_answer_is_never_taken_for_a_call(
    elks: Elks, elks_calls: Carriers, behaviour: Behaviour, state: State, fault: Fault
) -> None:
    elks.behaviour = behaviour
    told = await elks_calls.by_kind[Kind.VOICE].send(NUMBER, reminders.words(""), None)
    assert (told.state, told.fault) == (state, fault)
    assert NUMBER not in told.reply


def due(world: World) -> None:
    """Let Märta, who has a telephone on the wall only, be missing a measurement."""
    patient = world.patient("marta")
    version = world.one("select plan_version_id from plan_version where patient_id = %s", patient)
    expected = NOON - timedelta(hours=24)
    key = "missing:body_weight"
    run = world.connection.execute
    run(
        "insert into plan_rule values (%s, %s, 'missing', 1, %s)",
        (version, key, '{"quantity": "body_weight", "interval_h": 24.0}'),
    )
    run(
        "insert into rule_due (patient_id, rule_key, plan_version_id, due_at, step, kind, "
        "expected_at) values (%s, %s, %s, %s, 1, 'missing', %s)",
        (patient, key, version, NOON, expected),
    )
    run(
        "insert into reminder (patient_id, rule_key, expected_at, step, made_at) "
        "values (%s, %s, %s, 1, %s)",
        (patient, key, expected, NOON - timedelta(hours=1)),
    )
    run(
        "insert into patient_channel (patient_id, kind, address, place) "
        "values (%s, 'voice', %s, 1)",
        (patient, NUMBER),
    )


async def test_her_reminder_is_spoken_slowly_and_twice_and_names_nobody(
    world: World, pool: Pool, elks: Elks, speaker: Carriers
) -> None:
    due(world)
    assert await reminders.look(pool, speaker, at(NOON)) == 1
    assert await reminders.look(pool, speaker, at(NOON + timedelta(minutes=5))) == 0
    (call,) = elks.spoken
    assert (call["to"], call["language"]) == (NUMBER, "sv")
    assert call["text"].count("Vi saknar din mätning") == 2
    assert call["text"].count("Ring 0, 9, 8, 0, 3, 1, 9, 2, 0, 2.") == 2
    assert "Märta" not in call["text"]
    assert world.rows("select kind, state from reminder_attempt") == [("voice", "handed_over")]
    assert world.one("select done_at is not null from reminder")


async def test_a_call_that_cannot_be_made_is_tried_again(
    world: World, pool: Pool, elks: Elks, speaker: Carriers
) -> None:
    due(world)
    elks.behaviour = Behaviour.BUSY
    assert await reminders.look(pool, speaker, at(NOON)) == 0
    elks.behaviour = Behaviour.GOOD
    assert await reminders.look(pool, speaker, at(NOON + timedelta(minutes=3))) == 1


async def test_who_stops_ends_the_call_that_is_being_asked_for(
    world: World, pool: Pool, elks: Elks, speaker: Carriers
) -> None:
    due(world)
    elks.behaviour = Behaviour.SLOW
    stop = asyncio.Event()
    looking = asyncio.create_task(reminders.look(pool, speaker, at(NOON), stop))
    async with asyncio.timeout(20):
        while not elks.spoken:  # noqa: ASYNC110 - the server is ours, and tells nobody
            await asyncio.sleep(0.02)
        stop.set()
        elks.freed.set()
        assert await looking == 1
    assert world.rows("select state from reminder_attempt") == [("handed_over",)]


async def test_who_has_stopped_begins_none(
    world: World, pool: Pool, elks: Elks, speaker: Carriers
) -> None:
    due(world)
    stop = asyncio.Event()
    stop.set()
    assert await reminders.look(pool, speaker, at(NOON), stop) == 0
    assert elks.spoken == []
    assert await reminders.look(pool, speaker, at(NOON + timedelta(minutes=3))) == 1
    async with asyncio.timeout(20):
        await reminders.run(pool, speaker, stop)


async def test_that_a_recovery_code_was_used_is_told_by_no_call(
    world: World, pool: Pool, elks: Elks, elks_calls: Carriers
) -> None:
    """The recording says that a measurement is missing, and the code may be used at night."""
    due(world)
    account = world.one(
        "select account_id from account join person using (patient_id) where patient_id = %s",
        world.patient("marta"),
    )
    ways = "select array_agg(kind) from patient_channel where patient_id = %s and ended_at is null"
    assert world.one(ways, world.patient("marta")) == ["voice"]
    await recovered.tell(pool, elks_calls, account)
    assert elks.calls == []
    told = "select detail from access_log where action = 'recovery_code_told'"
    assert world.rows(told) == [({"account_id": account, "answer": "no_channel"},)]
