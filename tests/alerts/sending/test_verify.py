"""A channel is known to work when the code that was sent to it comes back, and only then."""

import asyncio
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi import FastAPI

from alerts.channels import verify
from alerts.channels.verify import ASKED_MAX, LIFE, TRIES_MAX, Asked, Confirmed
from alerts.sending import receipts
from alerts.sending.receipts import Answer, Status
from alerts.web.services import ServicesOf
from tests.alerts.conftest import Login
from tests.alerts.sending.conftest import PUBLIC_URL, Told
from tests.alerts.sending.post import Behaviour, Elks

NUMBER = "+46700000001"
WORKS = (
    "select verified_at is not null and failing_since is null from channel where channel_id = %s"
)


async def asked(told: Told, channel: int, who: str = "anna") -> Asked:
    async with told.pool.connection() as connection:
        staff = told.world.staff(who)
        return await verify.ask(connection, told.carriers, staff, channel, told.now)


async def confirmed(told: Told, channel: int, code: str, who: str = "anna") -> Confirmed:
    async with told.pool.connection() as connection:
        return await verify.confirm(connection, told.world.staff(who), channel, code, told.now)


def code_of(elks: Elks) -> str:
    found = re.search(r"\b\d{6}\b", elks.messages[-1]["message"])
    assert found is not None
    return found[0]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_the_code_that_was_sent_proves_that_it_arrives(told: Told, elks: Elks) -> None:
    channel = told.channel("sms", NUMBER, verified_at=None, failing_since=told.now)
    assert await asked(told, channel) is Asked.SENT
    code = code_of(elks)
    assert code.encode() not in told.world.one("select code_hash from channel_test")
    assert await confirmed(told, channel, wrong(code)) is Confirmed.WRONG
    assert not told.world.one(WORKS, channel)
    assert await confirmed(told, channel, f" {code[:3]} {code[3:]}\n") is Confirmed.YES
    assert told.world.one(WORKS, channel)
    assert await confirmed(told, channel, code) is Confirmed.TOO_LATE  # once is all


async def test_only_the_newest_code_counts_and_not_for_long(told: Told, elks: Elks) -> None:
    channel = told.channel("sms", NUMBER, verified_at=None)
    await asked(told, channel)
    first = code_of(elks)
    told.now += timedelta(minutes=1)
    await asked(told, channel)
    second = code_of(elks)
    if first != second:
        assert await confirmed(told, channel, first) is Confirmed.WRONG
    told.now += LIFE
    assert await confirmed(told, channel, second) is Confirmed.TOO_LATE
    assert not told.world.one(WORKS, channel)


async def test_many_guesses_at_once_are_no_more_than_a_few(told: Told, elks: Elks) -> None:
    channel = told.channel("sms", NUMBER, verified_at=None)
    await asked(told, channel)
    guess = wrong(code_of(elks))
    answers = Counter(
        await asyncio.gather(*(confirmed(told, channel, guess) for _ in range(3 * TRIES_MAX)))
    )
    assert answers == {Confirmed.WRONG: TRIES_MAX, Confirmed.TOO_LATE: 2 * TRIES_MAX}
    assert await confirmed(told, channel, code_of(elks)) is Confirmed.TOO_LATE


async def test_nobody_is_sent_codes_without_end(told: Told, elks: Elks) -> None:
    channel = told.channel("sms", NUMBER)
    answers = Counter(await asyncio.gather(*(asked(told, channel) for _ in range(ASKED_MAX + 3))))
    assert answers == {Asked.SENT: ASKED_MAX, Asked.TOO_OFTEN: 3}
    assert len(elks.messages) == ASKED_MAX
    told.now += verify.ASKED_WITHIN
    assert await asked(told, channel) is Asked.SENT


@pytest.mark.parametrize("behaviour", [Behaviour.BUSY, Behaviour.REFUSES])
async def test_a_message_that_cannot_be_sent_says_so(
    told: Told, elks: Elks, behaviour: Behaviour
) -> None:
    elks.behaviour = behaviour
    assert await asked(told, told.channel("sms", NUMBER)) is Asked.NOT_SENT


async def test_anothers_channel_is_not_there(told: Told, elks: Elks) -> None:
    channel = told.channel("sms", NUMBER, who="eva")
    assert await asked(told, channel, "anna") is Asked.NOT_FOUND
    assert await asked(told, channel, "eva") is Asked.SENT
    assert await confirmed(told, channel, code_of(elks), "anna") is Confirmed.NOT_FOUND


async def test_the_page_leads_from_a_channel_that_is_not_known_to_one_that_works(
    told: Told, elks: Elks, app: FastAPI, browse: Login
) -> None:
    services: ServicesOf = app.state.services
    app.state.services = replace(services, carriers=told.carriers)
    channel = told.channel("sms", NUMBER, verified_at=None)
    async with browse("anna") as anna:
        text = (await anna.get("/kanaler")).text
        assert NUMBER in text
        assert "Larm når dig inte nu" in text
        answer = await anna.submit(f"/kanaler/{channel}/testa")
        assert (answer.status_code, "Vi har skickat en kod" in answer.text) == (200, True)
        code = code_of(elks)
        answer = await anna.submit(f"/kanaler/{channel}/kod", code=wrong(code))
        assert (answer.status_code, "Koden stämmer inte" in answer.text) == (409, True)
        answer = await anna.submit(f"/kanaler/{channel}/kod", code=code)
        assert (answer.status_code, "Koden stämmer. Larm kan nå dig" in answer.text) == (200, True)
        assert "Larm når dig inte nu" not in answer.text
        assert (await anna.post(f"/kanaler/{channel}/testa")).status_code == 403  # not our form
    async with browse("eva") as eva:
        assert NUMBER not in (await eva.get("/kanaler")).text
        assert (await eva.submit(f"/kanaler/{channel}/testa")).status_code == 404
        assert (await eva.submit(f"/kanaler/{channel}/kod", code=code)).status_code == 404


async def test_a_key_in_an_address_is_shown_to_nobody(
    told: Told, app: FastAPI, browse: Login
) -> None:
    told.channel("apprise", "jsons://nyckel.example/hemlig")
    async with browse("anna") as anna:
        text = (await anna.get("/kanaler")).text
    assert "Annan tjänst" in text
    assert "Används inte" in text  # nothing is sent from here
    assert "Larm når dig inte nu" in text
    assert "hemlig" not in text


async def test_the_page_keeps_when_she_wants_to_hear_of_yellow_alerts(
    told: Told, browse: Login
) -> None:
    kept = "select gather_minutes, quiet_from::text, quiet_until::text from reach"
    async with browse("anna") as anna:
        answer = await anna.submit(
            "/kanaler/nar", gather="15", quiet_from="21:00", quiet_until="07:30"
        )
        assert (answer.status_code, "Sparat" in answer.text) == (200, True)
        assert 'value="07:30"' in answer.text
        assert '<option value="15" selected>' in answer.text
        for wrong in (
            {"gather": "61"},
            {"gather": "-1"},
            {"gather": str(10**30)},
            {"gather": "0", "quiet_from": "21:00"},
            {"gather": "0", "quiet_from": "25:00", "quiet_until": "07:00"},
            {"gather": "0", "quiet_from": "08:00", "quiet_until": "07:00"},
            {"gather": "0", "quiet_from": "08:00", "quiet_until": "08:00"},
        ):
            assert (await anna.submit("/kanaler/nar", **wrong)).status_code in (409, 422), wrong
        assert told.world.rows(kept) == [(15, "21:00:00", "07:30:00")]
        await anna.submit("/kanaler/nar", gather="0", quiet_from="", quiet_until="")
    assert told.world.rows(kept) == [(0, None, None)]


async def test_a_test_is_an_attempt_and_its_receipt_proves_no_person(
    told: Told, elks: Elks
) -> None:
    channel = told.channel("sms", NUMBER, verified_at=None)
    assert await asked(told, channel) is Asked.SENT
    ((number, state, key),) = told.world.rows(
        "select attempt_id, state, provider_key from attempt where test_id is not null"
    )
    assert (state, key) == ("accepted", elks.keys[0])
    assert elks.receipts[0].startswith(f"{PUBLIC_URL}/delivery/sms/{number}/")
    async with told.pool.connection() as connection:
        done = await receipts.note(connection, number, key, Status.DELIVERED, told.now)
    assert done is Answer.NOTED
    assert told.world.rows("select state from attempt") == [("delivered",)]
    assert not told.world.one(WORKS, channel)  # with whom it arrived, only the code says


async def test_a_test_whose_sender_died_is_unknown_when_the_next_is_asked_for(
    told: Told, elks: Elks
) -> None:
    channel = told.channel("sms", NUMBER, verified_at=None)
    await asked(told, channel)
    told.world.connection.execute("update attempt set state = 'sending', answered_at = null")
    told.now += timedelta(minutes=2)
    await asked(told, channel)
    assert told.world.rows("select state from attempt order by attempt_id") == [
        ("unknown",),
        ("accepted",),
    ]
